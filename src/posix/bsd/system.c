#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/bsd/table.h"
#include "posix/detail/launch.h"
#include "posix/detail/system.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/param.h>
#include <sys/proc.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <libproc.h>
#include <mach-o/dyld.h>
#endif

static uint64_t stamp(int64_t seconds, int64_t microseconds)
{
  return (uint64_t)seconds * 1000000 + (uint64_t)microseconds;
}

void cvos_table_entry(const cvos_info *p, cvos_entry *ret, uid_t *ret_uid, gid_t *ret_gid)
{
#if defined(__APPLE__)
  *ret = (cvos_entry){.pid = p->kp_proc.p_pid,
                      .parent = p->kp_eproc.e_ppid,
                      .group = p->kp_eproc.e_pgid,
                      .session = getsid(p->kp_proc.p_pid),
                      .start = stamp(p->kp_proc.p_starttime.tv_sec, p->kp_proc.p_starttime.tv_usec),
                      .zombie = p->kp_proc.p_stat == SZOMB,
                      .stopped = p->kp_proc.p_stat == SSTOP,
                      .kernel = (p->kp_proc.p_flag & P_SYSTEM) != 0};
  *ret_uid = p->kp_eproc.e_ucred.cr_uid;
  *ret_gid = p->kp_eproc.e_ucred.cr_groups[0];
#elif defined(__FreeBSD__)
  *ret = (cvos_entry){.pid = p->ki_pid,
                      .parent = p->ki_ppid,
                      .group = p->ki_pgid,
                      .session = p->ki_sid,
                      .start = stamp(p->ki_start.tv_sec, p->ki_start.tv_usec),
                      .zombie = p->ki_stat == SZOMB,
                      .stopped = p->ki_stat == SSTOP,
                      .kernel = (p->ki_flag & (P_SYSTEM | P_KPROC)) != 0};
  *ret_uid = p->ki_uid;
  *ret_gid = p->ki_groups[0];
#else
  *ret = (cvos_entry){.pid = p->p_pid,
                      .parent = p->p_ppid,
                      .group = p->p__pgid,
                      .session = p->p_sid,
                      .start = stamp((int64_t)p->p_ustart_sec, p->p_ustart_usec),
                      .zombie = p->p_stat == 5,  /* SZOMB, LSZOMB */
                      .stopped = p->p_stat == 4, /* SSTOP, LSSTOP */
                      .kernel = (p->p_flag & P_SYSTEM) != 0};
  *ret_uid = p->p_uid;
  *ret_gid = p->p_gid;
#endif
}

int cvos_table_ask(int what, int which, cvos_info **ret, size_t *ret_count)
{
#if defined(__NetBSD__) || defined(__OpenBSD__)
  int name[6] = {CTL_KERN, LIST_CALL, what, which, (int)sizeof(cvos_info), 0};
  const unsigned names = 6;
#else
  int name[4] = {CTL_KERN, LIST_CALL, what, which};
  const unsigned names = what == KERN_PROC_ALL ? 3 : 4;
#endif
  for (size_t room = what == KERN_PROC_PID ? 1 : 256;; room *= 2) {
    cvos_info *list = cvy_alloc(room * sizeof *list);
    if (!list) return ENOMEM;
    size_t size = room * sizeof *list;
#if defined(__NetBSD__) || defined(__OpenBSD__)
    name[5] = (int)room;
#endif
    int r = CVOS_CALL(PROCESS_LIST, sysctl(name, names, list, &size, NULL, 0), -1);
    if (r == 0 && (size < room * sizeof *list || what == KERN_PROC_PID)) {
      *ret = list;
      *ret_count = size / sizeof *list;
      return 0;
    }
    int error = r < 0 ? errno : ENOMEM;
    cvy_free(list);
    if (error != ENOMEM || room > (size_t)1 << 20) return error;
  }
}

static int ask_one(pid_t pid, cvos_entry *ret, uid_t *ret_uid, gid_t *ret_gid)
{
  cvos_info *list;
  size_t count;
  int error = cvos_table_ask(KERN_PROC_PID, (int)pid, &list, &count);
  if (error) return error;
  if (count == 0)
    error = ESRCH;
  else
    cvos_table_entry(list, ret, ret_uid, ret_gid);
  cvy_free(list);
  if (!error && ret->pid != pid) error = ESRCH;
  return error;
}

int cvos_system_entry(pid_t pid, cvos_entry *ret)
{
  uid_t uid;
  gid_t gid;
  return ask_one(pid, ret, &uid, &gid);
}

int cvos_system_user(pid_t pid, uid_t *ret_uid, gid_t *ret_gid)
{
  cvos_entry entry;
  return ask_one(pid, &entry, ret_uid, ret_gid);
}

int cvos_system_each(bool (*each)(pid_t pid, void *arg), void *arg)
{
  cvos_info *list;
  size_t count;
  int error = cvos_table_ask(KERN_PROC_ALL, 0, &list, &count);
  if (error) return error;
  bool more = true;
  for (size_t i = 0; more && i < count; i++) {
    cvos_entry entry;
    uid_t uid;
    gid_t gid;
    cvos_table_entry(&list[i], &entry, &uid, &gid);
    more = each(entry.pid, arg);
  }
  cvy_free(list);
  return 0;
}

int cvos_system_children(pid_t pid, bool (*each)(pid_t pid, void *arg), void *arg)
{
#if defined(__APPLE__)
  for (int room = 64;; room *= 2) {
    pid_t *list = cvy_alloc((size_t)room * sizeof *list);
    if (!list) return ENOMEM;
    int size = CVOS_CALL(PROCESS_LIST,
                         proc_listpids(PROC_PPID_ONLY, (uint32_t)pid, list, room * (int)sizeof *list), -1);
    int count = size < 0 ? 0 : size / (int)sizeof *list;
    bool more = true;
    for (int i = 0; more && count < room && i < count; i++) more = each(list[i], arg);
    cvy_free(list);
    if (count < room) return 0;
  }
#else
  (void)pid;
  (void)each;
  (void)arg;
  return ENOTSUP;
#endif
}

int64_t cvos_system_start_time(uint64_t start)
{
  return (int64_t)(start / 1000);
}

int cvos_system_self(char **ret)
{
  char text[PATH_MAX] = "";
#if defined(__APPLE__)
  if (proc_pidpath(getpid(), text, sizeof text) <= 0) return cvos_translate(errno);
#elif defined(__OpenBSD__)
  errno = ENOTSUP; /* the kernel keeps no such path */
  return COVEY_ENOTSUP;
#else
#if defined(__FreeBSD__)
  int name[4] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
#else
  int name[4] = {CTL_KERN, KERN_PROC_ARGS, -1, KERN_PROC_PATHNAME};
#endif
  size_t size = sizeof text;
  if (sysctl(name, 4, text, &size, NULL, 0) < 0) return cvos_translate(errno);
#endif
  char *copy = cvy_strdup(text);
  if (!copy) {
    errno = ENOMEM;
    return COVEY_ENOMEM;
  }
  *ret = copy;
  return 0;
}

uint64_t cvos_system_namespace(void)
{
  return 0;
}

int cvos_system_pidfd(pid_t pid)
{
  (void)pid;
  errno = ENOSYS;
  return -1;
}

int cvos_system_pidfd_signal(int pidfd, int signal)
{
  (void)pidfd;
  (void)signal;
  return ENOSYS;
}

int cvos_system_wait(int pidfd, pid_t pid, int flags, cvos_ended *ret)
{
  (void)pidfd;
  if (flags & WNOWAIT) {
    siginfo_t about;
    memset(&about, 0, sizeof about);
    if (CVOS_CALL(WAIT, waitid(P_PID, (id_t)pid, &about, WEXITED | WNOHANG | WNOWAIT), -1) < 0) return -1;
    if (!cvos_says_ended(&about, pid)) return 0;
    *ret = (cvos_ended){.how = about.si_code, .status = about.si_status};
    return 1;
  }
  int status;
  struct rusage usage;
  pid_t r = CVOS_CALL(WAIT, wait4(pid, &status, WNOHANG, &usage), -1);
  if (r <= 0) return (int)r;
  *ret = (cvos_ended){.how = WIFEXITED(status)   ? CLD_EXITED
                             : WCOREDUMP(status) ? CLD_DUMPED
                                                 : CLD_KILLED,
                      .status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                      .usage = usage,
                      .has_usage = true};
  return 1;
}

int cvos_system_lost(int pidfd, cvos_ended *ret)
{
  (void)pidfd;
  (void)ret;
  return ENOSYS;
}

int cvos_system_await(const cvos_process *process, int timeout)
{
  int queue = cvos_fd_high(CVOS_CALL(POLL, kqueue(), -1));
  if (queue < 0) return -1;
  struct kevent wish, told;
  struct timespec limit = {timeout / 1000, (timeout % 1000) * 1000000L};
  EV_SET(&wish, (uintptr_t)process->pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, 0);
  int r = kevent(queue, &wish, 1, &told, 1, timeout < 0 ? NULL : &limit);
  int error = errno;
  cvos_fd_close(queue);
  /* it has ended already: the list of changes tells it as an event, or the call does */
  if (r > 0 && (told.flags & EV_ERROR)) {
    errno = (int)told.data;
    return errno == ESRCH ? 1 : -1;
  }
  errno = error;
  return r < 0 && error == ESRCH ? 1 : r;
}

int64_t cvos_system_peak(const struct rusage *usage)
{
#if defined(__APPLE__)
  return (int64_t)usage->ru_maxrss;
#else
  struct rusage ours; /* a fork starts with our memory */
  if (getrusage(RUSAGE_SELF, &ours) < 0 || usage->ru_maxrss <= ours.ru_maxrss) return -1;
  return (int64_t)usage->ru_maxrss * 1024;
#endif
}

int64_t cvos_system_peak_of(pid_t pid)
{
  (void)pid;
  return -1;
}

uint32_t cvos_system_caps(void)
{
  return cvos_launch_flat() ? COVEY_CAP_SPAWN_FLAT : 0;
}
