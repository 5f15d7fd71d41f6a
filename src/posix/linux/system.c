#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/thread.h"
#include "posix/detail/cgroup.h"
#include "posix/detail/controllers.h"
#include "posix/detail/guard.h"
#include "posix/detail/launch.h"
#include "posix/detail/system.h"
#include "posix/linux/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define WAIT_PIDFD 3 /* P_PIDFD, Linux 5.4 */

/* linux/pidfd.h of Linux 6.15, first size */
typedef struct pidfd_info {
  uint64_t mask, cgroup;
  uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
} pidfd_info;
#define PIDFD_INFO_EXIT_BIT 8U
#define PIDFD_GET_INFO_CALL _IOWR(0xFF, 11, pidfd_info)

int64_t cvos_procfs_text(int folder, const char *path, char *ret, size_t size)
{
  int fd = CVOS_CALL(IDENTITY, openat(folder, path, O_RDONLY | O_CLOEXEC), -1);
  ssize_t n = -1;
  do {
    if (fd >= 0) n = CVOS_CALL(READ, read(fd, ret, size - 1), -1);
  } while (fd >= 0 && n < 0 && errno == EINTR);
  cvos_fd_close(fd);
  /* a folder of /proc whose process has ended is empty; an open file of it has no process any more */
  if (n == 0 || (n < 0 && errno == ENOENT)) {
    errno = ESRCH;
    n = -1;
  }
  if (n >= 0) ret[n] = '\0';
  return n;
}

int cvos_procfs_stat(int folder, const char *path, cvy_proc_stat *ret)
{
  char text[1024];
  int64_t n = cvos_procfs_text(folder, path, text, sizeof text);
  if (n < 0) return errno;
  return cvy_proc_stat_read(text, (size_t)n, ret) ? 0 : EPROTO;
}

pid_t cvos_procfs_process(const char *status)
{
  int process;
  const char *at = strstr(status, "\nTgid:");
  return at && sscanf(at + 6, "%d", &process) == 1 ? process : 0;
}

void cvos_procfs_entry(const cvy_proc_stat *stat, cvos_entry *ret)
{
  *ret = (cvos_entry){.pid = (pid_t)stat->pid,
                      .parent = (pid_t)stat->parent,
                      .group = (pid_t)stat->group,
                      .session = (pid_t)stat->session,
                      .start = stat->start,
                      .zombie = (stat->state == 'Z' || stat->state == 'X') && stat->threads <= 1,
                      .stopped = stat->state == 'T' || stat->state == 't',
                      .kernel = (stat->flags & CVOS_PROCFS_KERNEL) != 0};
}

int cvos_system_entry(pid_t pid, cvos_entry *ret)
{
  char path[32];
  cvy_proc_stat stat;
  (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int error = cvos_procfs_stat(AT_FDCWD, path, &stat);
  if (error) return error;
  cvos_procfs_entry(&stat, ret);
  return 0;
}

int cvos_system_each(bool (*each)(pid_t pid, void *arg), void *arg)
{
  DIR *folder = CVOS_CALL(PROCESS_LIST, opendir("/proc"), NULL);
  if (!folder) return errno;
  bool more = true;
  for (struct dirent *entry; more && (entry = readdir(folder));) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    more = each((pid_t)strtol(entry->d_name, NULL, 10), arg);
  }
  (void)closedir(folder);
  return 0;
}

/* One thread's children: numbers with blanks between them. */
static int children_of_thread(const char *path, bool (*each)(pid_t pid, void *arg), void *arg, bool *more)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char text[4096];
  int64_t n;
  long pid = 0;
  while (*more && (n = cvos_fd_read_all(fd, text, sizeof text)) > 0) {
    for (int64_t i = 0; *more && i < n; i++) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
      } else if (pid) {
        *more = each((pid_t)pid, arg);
        pid = 0;
      }
    }
  }
  cvos_fd_close(fd);
  return 0;
}

int cvos_system_children(pid_t pid, bool (*each)(pid_t pid, void *arg), void *arg)
{
  char path[300];
  (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *folder = CVOS_CALL(PROCESS_LIST, opendir(path), NULL);
  if (!folder) return errno == ENOENT ? 0 : errno;
  bool more = true, listed = false, missing = false;
  for (struct dirent *entry; more && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, entry->d_name);
    int error = children_of_thread(path, each, arg, &more);
    if (error == 0)
      listed = true;
    else if (error == ENOENT)
      missing = true;
  }
  (void)closedir(folder);
  return missing && !listed ? ENOTSUP : 0;
}

int cvos_system_user(pid_t pid, uid_t *ret_uid, gid_t *ret_gid)
{
  char path[32], text[2048];
  (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  if (cvos_procfs_text(AT_FDCWD, path, text, sizeof text) < 0) return errno;
  /* "Uid:" real, effective, saved, of files; the number of a thread has a file too, which names its process */
  unsigned uid, gid;
  pid_t process = cvos_procfs_process(text);
  if (!process) return EPROTO;
  if (process != pid) return ESRCH;
  char *at = strstr(text, "\nUid:");
  if (!at || sscanf(at + 5, "%*u %u", &uid) != 1) return EPROTO;
  at = strstr(at, "\nGid:");
  if (!at || sscanf(at + 5, "%*u %u", &gid) != 1) return EPROTO;
  *ret_uid = uid;
  *ret_gid = gid;
  return 0;
}

int64_t cvos_system_start_time(uint64_t start)
{
  struct timespec wall, boot;
  if (clock_gettime(CLOCK_REALTIME, &wall) < 0 || clock_gettime(CLOCK_BOOTTIME, &boot) < 0) return -1;
  int64_t booted =
      ((int64_t)wall.tv_sec - (int64_t)boot.tv_sec) * 1000 + (wall.tv_nsec - boot.tv_nsec) / 1000000;
  return booted + (int64_t)(start * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

void cvos_procfs_drop_mark(char *path)
{
  static const char mark[] = " (deleted)";
  struct stat there;
  size_t size = strlen(path), tail = sizeof mark - 1;
  if (size > tail && strcmp(path + size - tail, mark) == 0 && lstat(path, &there) < 0)
    path[size - tail] = '\0';
}

int cvos_system_self(char **ret)
{
  for (size_t size = 256; size <= (size_t)1 << 20; size *= 2) {
    char *text = cvy_alloc(size);
    if (!text) break;
    ssize_t n = CVOS_CALL(STAT, readlink("/proc/self/exe", text, size), -1);
    if (n >= 0 && (size_t)n < size) {
      text[n] = '\0';
      cvos_procfs_drop_mark(text); /* an update has put a new file there, as a rule */
      *ret = text;
      return 0;
    }
    cvy_free(text);
    if (n < 0) return cvos_translate(errno);
  }
  errno = ENOMEM;
  return COVEY_ENOMEM;
}

uint64_t cvos_system_namespace(void)
{
  static uint64_t known; /* of which fork + 1, and the number: 32 bits each */
  uint64_t fork = (uint64_t)cvos_fork_generation() + 1, had = __atomic_load_n(&known, __ATOMIC_RELAXED);
  struct stat s;
  if (had >> 32 == fork) return had & UINT32_MAX;
  if (stat("/proc/self/ns/pid", &s) < 0) return 0;
  if (s.st_ino <= UINT32_MAX) __atomic_store_n(&known, fork << 32 | s.st_ino, __ATOMIC_RELAXED);
  return s.st_ino;
}

int cvos_system_pidfd(pid_t pid)
{
  if (CVOS_LACKS("pidfd")) {
    errno = ENOSYS;
    return -1;
  }
  return CVOS_CALL(PIDFD, (int)syscall(SYS_pidfd_open, pid, 0U), -1);
}

int cvos_system_pidfd_signal(int pidfd, int signal)
{
  return CVOS_CALL(SIGNAL, syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0U), -1) < 0 ? errno : 0;
}

/* The kernel's rusage, in longs; that of a 32-bit libc may have wider times. */
typedef struct raw_usage {
  long user[2], system[2], peak, rest[13];
} raw_usage;

int cvos_system_wait(int pidfd, pid_t pid, int flags, cvos_ended *ret)
{
  siginfo_t info = {0};
  raw_usage usage = {0};
  long r = -1;
  int how = WEXITED | WNOHANG | __WALL | flags;
  errno = EINVAL;
  if (pidfd >= 0) r = CVOS_CALL(WAIT, syscall(SYS_waitid, WAIT_PIDFD, pidfd, &info, how, &usage), -1);
  if (r < 0 && errno == EINVAL) r = CVOS_CALL(WAIT, syscall(SYS_waitid, P_PID, pid, &info, how, &usage), -1);
  if (r < 0) return -1;
  if (info.si_pid == 0) return 0;
  *ret = (cvos_ended){.how = info.si_code,
                      .status = info.si_status,
                      .usage = {.ru_utime = {usage.user[0], usage.user[1]},
                                .ru_stime = {usage.system[0], usage.system[1]},
                                .ru_maxrss = usage.peak},
                      .has_usage = true};
  return 1;
}

int cvos_system_lost(int pidfd, cvos_ended *ret)
{
  pidfd_info info = {.mask = PIDFD_INFO_EXIT_BIT};
  if (pidfd < 0) return ENOSYS;
  if (syscall(SYS_ioctl, pidfd, PIDFD_GET_INFO_CALL, &info) < 0)
    return errno; /* its type is not the same in every C library */
  if (!(info.mask & PIDFD_INFO_EXIT_BIT)) return EAGAIN;
  int status = info.exit_code;
  *ret = (cvos_ended){.how = WIFEXITED(status)   ? CLD_EXITED
                             : WCOREDUMP(status) ? CLD_DUMPED
                                                 : CLD_KILLED,
                      .status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)};
  return 0;
}

int cvos_system_await(const cvos_process *process, int timeout)
{
  if (process->handle == CVOS_NONE) {
    errno = ENOSYS;
    return -1;
  }
  struct pollfd look = {.fd = process->handle, .events = POLLIN};
  return CVOS_CALL(POLL, poll(&look, 1, timeout), -1);
}

/* Our own never falls: what does not exceed what we had once does not exceed what we have now. */
int64_t cvos_system_peak(const struct rusage *usage)
{
  static long known; /* atomic */
  struct rusage ours;
  if (usage->ru_maxrss <= __atomic_load_n(&known, __ATOMIC_RELAXED)) return -1;
  if (getrusage(RUSAGE_SELF, &ours) < 0) return -1;
  __atomic_store_n(&known, ours.ru_maxrss, __ATOMIC_RELAXED);
  return usage->ru_maxrss <= ours.ru_maxrss ? -1 : (int64_t)usage->ru_maxrss * 1024;
}

int64_t cvos_system_peak_of(pid_t pid)
{
  char path[32], text[2048];
  unsigned long long kilobytes;
  (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  if (cvos_procfs_text(AT_FDCWD, path, text, sizeof text) < 0) return -1;
  const char *at = strstr(text, "\nVmHWM:");
  return at && sscanf(at + 7, "%llu", &kilobytes) == 1 ? (int64_t)kilobytes * 1024 : -1;
}

uint32_t cvos_system_caps(void)
{
  uint32_t caps = 0;
  int pidfd = cvos_system_pidfd(getpid());
  if (pidfd >= 0 && cvos_system_pidfd_signal(pidfd, 0) == 0) caps |= COVEY_CAP_PIDFD;
  cvos_fd_close(pidfd);
  if (cvos_launch_flat()) caps |= COVEY_CAP_SPAWN_FLAT;
  if (cvos_guard_possible() && cvos_cgroup_possible())
    caps |= COVEY_CAP_TREE_KERNEL | cvos_controllers_caps();
  return caps;
}
