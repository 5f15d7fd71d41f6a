#include "posix/detail/posix.h"

#include "os/proclist.h"
#include "core/mem.h"
#include "core/proc_text.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/bsd/table.h"
#include "posix/detail/proclist.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <libproc.h>
#include <mach/mach_time.h>
#define NAME_MAX_SIZE MAXCOMLEN
#elif defined(__FreeBSD__)
#define NAME_MAX_SIZE COMMLEN
#else
#define NAME_MAX_SIZE 0 /* not known to be cut */
#endif

struct cvos_proclist {
  cvos_info *table; /* owned */
  size_t count, next;
  const cvos_info *info; /* the current row's */
  char name[PATH_MAX], exe[PATH_MAX], cwd[PATH_MAX];
  char *block; /* owned: the current row's command line */
};

static int failed(int error)
{
  errno = error;
  return cvos_translate(error);
}

int cvos_proclist_open(cvos_proclist **ret)
{
  cvos_proclist *list = cvy_alloc_zero(1, sizeof *list);
  if (!list) return failed(ENOMEM);
  int error = cvos_table_ask(KERN_PROC_ALL, 0, &list->table, &list->count);
  if (error) {
    cvy_free(list);
    return failed(error);
  }
  *ret = list;
  return 0;
}

/* Makes place i the current row. */
static cvos_entry turn_to(cvos_proclist *list, size_t i)
{
  cvos_entry entry;
  uid_t uid;
  gid_t gid;
  cvy_free(list->block);
  list->block = NULL;
  list->info = &list->table[i];
  cvos_table_entry(list->info, &entry, &uid, &gid);
  return entry;
}

int cvos_proclist_next(cvos_proclist *list, cvos_proc *ret)
{
  while (list->next < list->count) {
    size_t place = list->next++;
    cvos_entry entry = turn_to(list, place);
    if (entry.pid < 1) continue;
    cvos_proc_row(&entry, ret);
    return 1;
  }
  return 0;
}

int cvos_proclist_seek(cvos_proclist *list, int64_t pid, uint64_t start, cvos_proc *ret)
{
  for (size_t i = 0; i < list->count; i++) {
    cvos_entry entry;
    uid_t uid;
    gid_t gid;
    cvos_table_entry(&list->table[i], &entry, &uid, &gid);
    if (pid < 1 || entry.pid != pid || (start && entry.start != start)) continue;
    entry = turn_to(list, i);
    cvos_proc_row(&entry, ret);
    return 0;
  }
  return failed(ESRCH);
}

/* ---- reading: 0 or errno; ENOTSUP: there is none, or no way to it ---- */

#if defined(__APPLE__)

static int read_exe(cvos_proclist *list, const cvos_proc *row)
{
  int n = CVOS_CALL(READ, proc_pidpath((int)row->pid, list->exe, sizeof list->exe), -1);
  if (n <= 0) return !errno || errno == ENOENT ? ENOTSUP : errno;
  return 0;
}

static int read_cwd(cvos_proclist *list, const cvos_proc *row)
{
  struct proc_vnodepathinfo paths;
  int n =
      CVOS_CALL(READ, proc_pidinfo((int)row->pid, PROC_PIDVNODEPATHINFO, 0, &paths, (int)sizeof paths), -1);
  if (n < (int)sizeof paths) return n < 0 || errno ? errno : ENOTSUP;
  memcpy(list->cwd, paths.pvi_cdir.vip_path, sizeof paths.pvi_cdir.vip_path);
  list->cwd[sizeof paths.pvi_cdir.vip_path - 1] = '\0';
  return list->cwd[0] ? 0 : ENOTSUP;
}

static int read_args(cvos_proclist *list, cvos_proc *row)
{
  int limit_name[2] = {CTL_KERN, KERN_ARGMAX}, name[3] = {CTL_KERN, KERN_PROCARGS2, (int)row->pid}, limit = 0;
  size_t size = sizeof limit;
  if (CVOS_CALL(READ, sysctl(limit_name, 2, &limit, &size, NULL, 0), -1) < 0) return errno;
  char *block = cvy_alloc((size_t)limit + 1);
  if (!block) return ENOMEM;
  size = (size_t)limit;
  if (CVOS_CALL(READ, sysctl(name, 3, block, &size, NULL, 0), -1) < 0) {
    int error = errno;
    cvy_free(block);
    /* other users' processes and those that end: kern_sysctl.c, sysctl_procargsx; EIO, and no number: psutil 1886, 2709 */
    return !error || error == EINVAL || error == EIO ? EACCES : error;
  }
  list->block = block;
  if (!cvy_proc_args2(block, size, &row->args, &row->args_size)) return ENOTSUP;
  return row->args_size ? 0 : ENOTSUP;
}

static int read_usage(const cvos_proclist *list, cvos_proc *row)
{
  struct proc_taskinfo task;
  mach_timebase_info_data_t base;
  (void)list;
  int n = CVOS_CALL(READ, proc_pidinfo((int)row->pid, PROC_PIDTASKINFO, 0, &task, (int)sizeof task), -1);
  if (n < (int)sizeof task) return n < 0 || errno ? errno : ENOTSUP;
  if (mach_timebase_info(&base) || !base.denom) return ENOTSUP;
  double us = (double)base.numer / (double)base.denom / 1000;
  row->user_us = (int64_t)((double)task.pti_total_user * us);
  row->system_us = (int64_t)((double)task.pti_total_system * us);
  row->memory = (int64_t)task.pti_resident_size;
  return 0;
}

static const char *short_name(const cvos_info *info)
{
  return info->kp_proc.p_comm;
}

#elif defined(__FreeBSD__)

static int read_path(const cvos_proc *row, int what, char *ret, size_t size)
{
  int name[4] = {CTL_KERN, KERN_PROC, what, (int)row->pid};
  ret[0] = '\0';
  if (CVOS_CALL(READ, sysctl(name, 4, ret, &size, NULL, 0), -1) < 0) return errno == ENOENT ? ENOTSUP : errno;
  return ret[0] ? 0 : ENOTSUP;
}

static int read_exe(cvos_proclist *list, const cvos_proc *row)
{
  return read_path(row, KERN_PROC_PATHNAME, list->exe, sizeof list->exe);
}

static int read_cwd(cvos_proclist *list, const cvos_proc *row)
{
  int name[4] = {CTL_KERN, KERN_PROC, KERN_PROC_CWD, (int)row->pid};
  struct kinfo_file file;
  size_t size = sizeof file;
  if (CVOS_CALL(READ, sysctl(name, 4, &file, &size, NULL, 0), -1) < 0)
    return errno == ENOENT ? ENOTSUP : errno;
  if (!size || !file.kf_path[0]) return ENOTSUP;
  memcpy(list->cwd, file.kf_path,
         sizeof file.kf_path < sizeof list->cwd ? sizeof file.kf_path : sizeof list->cwd);
  list->cwd[sizeof list->cwd - 1] = '\0';
  return 0;
}

static int read_args(cvos_proclist *list, cvos_proc *row)
{
  int name[4] = {CTL_KERN, KERN_PROC, KERN_PROC_ARGS, (int)row->pid};
  for (size_t room = 8192;; room *= 2) {
    size_t size = room;
    list->block = cvy_alloc(room + 1);
    if (!list->block) return ENOMEM;
    int r = CVOS_CALL(READ, sysctl(name, 4, list->block, &size, NULL, 0), -1);
    int error = r < 0 ? errno : 0;
    if (!error && size && size <= room) {
      if (list->block[size - 1]) list->block[size++] = '\0';
      row->args = list->block;
      row->args_size = size;
      return 0;
    }
    cvy_free(list->block);
    list->block = NULL;
    if (error != ENOMEM || room > (size_t)ARG_MAX) return error ? error : ENOTSUP;
  }
}

static int read_usage(const cvos_proclist *list, cvos_proc *row)
{
  const struct timeval *user = &list->info->ki_rusage.ru_utime, *system = &list->info->ki_rusage.ru_stime;
  row->user_us = (int64_t)user->tv_sec * 1000000 + user->tv_usec;
  row->system_us = (int64_t)system->tv_sec * 1000000 + system->tv_usec;
  row->memory = (int64_t)list->info->ki_rssize * sysconf(_SC_PAGESIZE);
  return 0;
}

static const char *short_name(const cvos_info *info)
{
  return info->ki_comm;
}

#else

static int read_exe(cvos_proclist *list, const cvos_proc *row)
{
  (void)list;
  (void)row;
  return ENOTSUP;
}

static int read_cwd(cvos_proclist *list, const cvos_proc *row)
{
  return read_exe(list, row);
}

static int read_args(cvos_proclist *list, cvos_proc *row)
{
  return read_exe(list, row);
}

static int read_usage(const cvos_proclist *list, cvos_proc *row)
{
  const cvos_info *info = list->info;
  row->user_us = (int64_t)info->p_uutime_sec * 1000000 + (int64_t)info->p_uutime_usec;
  row->system_us = (int64_t)info->p_ustime_sec * 1000000 + (int64_t)info->p_ustime_usec;
  row->memory = (int64_t)info->p_vm_rssize * sysconf(_SC_PAGESIZE);
  return 0;
}

static const char *short_name(const cvos_info *info)
{
  return info->p_comm;
}

#endif

static int read_name(cvos_proclist *list, cvos_proc *row)
{
  const char *name = short_name(list->info);
  row->name = name;
  if (NAME_MAX_SIZE == 0 || strlen(name) != NAME_MAX_SIZE || read_exe(list, row) != 0) return 0;
  const char *whole = cvy_proc_whole_name(name, NAME_MAX_SIZE, list->exe);
  if (!whole) return 0;
  memcpy(list->name, whole, strlen(whole) + 1);
  row->name = list->name;
  return 0;
}

static int read_user(const cvos_proclist *list, cvos_proc *row)
{
  cvos_entry entry;
  uid_t uid;
  gid_t gid;
  cvos_table_entry(list->info, &entry, &uid, &gid);
  row->uid = (int64_t)uid;
  row->gid = (int64_t)gid;
  row->sid = "";
  return 0;
}

static int read_one(cvos_proclist *list, int what, cvos_proc *row)
{
  int error;
  errno = 0;
  switch (what) {
  case CVOS_PROC_NAME: return read_name(list, row);
  case CVOS_PROC_EXE:
    error = read_exe(list, row);
    if (!error) row->exe = list->exe;
    return error;
  case CVOS_PROC_CWD:
    error = read_cwd(list, row);
    if (!error) row->cwd = list->cwd;
    return error;
  case CVOS_PROC_COMMAND: return list->block ? 0 : read_args(list, row);
  case CVOS_PROC_USER: return read_user(list, row);
  case CVOS_PROC_USAGE: return read_usage(list, row);
  default: return ENOTSUP;
  }
}

int cvos_proclist_read(cvos_proclist *list, int what, cvos_proc *row)
{
  cvos_entry now;
  int error = row->flags & CVOS_PROC_ZOMBIE && what != CVOS_PROC_NAME && what != CVOS_PROC_USER
                  ? ENOTSUP
                  : read_one(list, what, row);
  bool asked = what != CVOS_PROC_USER && (error || what != CVOS_PROC_NAME || row->name == list->name);
  /* what was asked by number is of this process only if the number is still its own */
  int looked = asked && error != ENOMEM ? cvos_system_entry((pid_t)row->pid, &now) : EAGAIN;
  if (looked == ESRCH || (looked == 0 && now.start != row->start)) error = ESRCH;
  return error ? failed(error) : 0;
}

void cvos_proclist_close(cvos_proclist *list)
{
  if (!list) return;
  cvy_free(list->block);
  cvy_free(list->table);
  cvy_free(list);
}
