#include "posix/detail/posix.h"

#include "os/proclist.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/proclist.h"
#include "posix/linux/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  PATH_SIZE = 4097, /* what a link of /proc gives at most: a page */
  COMM_SIZE = 15,   /* TASK_COMM_LEN without its NUL */
  NAME_WORDS =
      3, /* words of the command line in which a script's name may stand: interpreter, option, script */
  ARGS_FIRST = 8192 /* most command lines come in one read */
};

struct cvos_proclist {
  DIR *folder;
  int proc; /* its descriptor */
  int pin;  /* the current process's folder; -1: not pinned yet */
  int64_t pid;
  char name[CVY_PROC_NAME];
  cvy_proc_stat stat;
  char *args; /* owned; args_capacity bytes and room for a NUL */
  size_t args_size, args_capacity;
  bool args_read;
  char exe[PATH_SIZE], cwd[PATH_SIZE];
};

static int failed(int error)
{
  errno = error;
  return cvos_translate(error);
}

static void let_go(cvos_proclist *list)
{
  cvos_fd_close(list->pin);
  list->pin = -1;
  list->args_read = false;
}

int cvos_proclist_open(cvos_proclist **ret)
{
  cvos_proclist *list = cvy_alloc_zero(1, sizeof *list);
  if (!list) return failed(ENOMEM);
  list->pin = -1;
  struct stat self;
  list->folder = CVOS_CALL(PROCESS_LIST, opendir("/proc"), NULL);
  int error = list->folder ? 0 : errno;
  if (!error) list->proc = dirfd(list->folder);
  /* an empty folder is no list of no processes */
  if (!error && fstatat(list->proc, "self", &self, AT_SYMLINK_NOFOLLOW) < 0) error = errno;
  if (error) {
    if (list->folder) (void)closedir(list->folder);
    cvy_free(list);
    return failed(error == ENOENT ? ENOSYS : error);
  }
  *ret = list;
  return 0;
}

/* Opens the current process's folder: what is read under it is of that process alone, however long it takes. 0 or errno. */
static int pin(cvos_proclist *list)
{
  char path[24];
  (void)snprintf(path, sizeof path, "%lld", (long long)list->pid);
  list->pin = CVOS_CALL(OPEN, openat(list->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC), -1);
  return list->pin >= 0 ? 0 : errno == ENOENT ? ESRCH : errno;
}

/* Looks at process pid and makes it the current one. 0 or errno. */
static int look(cvos_proclist *list, int64_t pid, cvos_proc *ret)
{
  cvos_entry entry;
  let_go(list);
  list->pid = pid;
  int error = pin(list);
  if (!error) error = cvos_procfs_stat(list->pin, "stat", &list->stat);
  *ret = (cvos_proc){.pid = pid};
  if (error == EACCES || error == EPERM) { /* hidepid=1 */
    list->stat = (cvy_proc_stat){.pid = pid};
    ret->flags = CVOS_PROC_OPAQUE;
    return 0;
  }
  if (error) return error;
  cvos_procfs_entry(&list->stat, &entry);
  cvos_proc_row(&entry, ret);
  return 0;
}

int cvos_proclist_next(cvos_proclist *list, cvos_proc *ret)
{
  for (;;) {
    errno = 0;
    struct dirent *entry = CVOS_CALL(PROCESS_LIST, readdir(list->folder), NULL);
    if (!entry) return errno ? failed(errno) : 0;
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    int error = look(list, strtoll(entry->d_name, NULL, 10), ret);
    if (!error) return 1;
    if (error != ESRCH) return failed(error);
  }
}

int cvos_proclist_seek(cvos_proclist *list, int64_t pid, uint64_t start, cvos_proc *ret)
{
  char status[2048];
  cvos_proc row;
  if (pid < 1 || pid > INT32_MAX) return failed(ESRCH);
  int error = look(list, pid, &row);
  if (!error && start && row.start != start) error = ESRCH;
  /* the number of a thread has a folder too, which no listing shows */
  if (!error && !(row.flags & CVOS_PROC_OPAQUE)) {
    if (cvos_procfs_text(list->pin, "status", status, sizeof status) < 0)
      error = errno;
    else if (cvos_procfs_process(status) != pid)
      error = ESRCH;
  }
  if (error) return failed(error);
  *ret = row;
  return 0;
}

/* ---- reading ---- */

static int grow(cvos_proclist *list)
{
  size_t more = list->args_capacity ? list->args_capacity * 2 : ARGS_FIRST;
  char *args = cvy_realloc(list->args, more + 1);
  if (!args) return ENOMEM;
  list->args = args;
  list->args_capacity = more;
  return 0;
}

/* The words of the command line, each with its NUL. 0 or errno: ENOTSUP, there are none. */
static int read_args(cvos_proclist *list)
{
  if (list->args_read) return list->args_size ? 0 : ENOTSUP;
  int fd = CVOS_CALL(OPEN, openat(list->pin, "cmdline", O_RDONLY | O_CLOEXEC), -1);
  if (fd < 0) return errno == ENOENT ? ESRCH : errno;
  int error = 0;
  list->args_size = 0;
  for (;;) {
    if (list->args_size == list->args_capacity && (error = grow(list)) != 0) break;
    size_t room = list->args_capacity - list->args_size;
    ssize_t n = CVOS_CALL(READ, read(fd, list->args + list->args_size, room), -1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = errno;
    if (n > 0) list->args_size += (size_t)n;
    if (n < 0 || (size_t)n < room) break; /* a short read is the end: fs/proc/base.c, get_mm_cmdline */
  }
  cvos_fd_close(fd);
  if (error) return error;
  list->args_read = true;
  if (list->args_size && list->args[list->args_size - 1]) list->args[list->args_size++] = '\0';
  return list->args_size ? 0 : ENOTSUP;
}

/* The target of a link of the current process. 0 or errno: ENOTSUP, it has none (a kernel thread, a zombie), or one longer than a page. */
static int read_link(const cvos_proclist *list, const char *name, char *ret)
{
  struct stat there;
  ssize_t n = CVOS_CALL(READ, readlinkat(list->pin, name, ret, PATH_SIZE - 1), -1);
  int error = n < 0 ? errno : 0;
  if (error == ENAMETOOLONG) return ENOTSUP;
  if (error == ENOENT) return fstatat(list->pin, "stat", &there, 0) == 0 ? ENOTSUP : ESRCH;
  if (error) return error;
  ret[n] = '\0';
  return 0;
}

/* The name, and where it is cut the whole of it, from the words that start a program or a script. */
static int read_name(cvos_proclist *list, cvos_proc *row)
{
  memcpy(list->name, list->stat.name, sizeof list->name);
  row->name = list->name;
  if (strlen(list->name) != COMM_SIZE || (row->flags & (CVOS_PROC_KERNEL | CVOS_PROC_ZOMBIE))) return 0;
  int error = read_args(list);
  if (error) return error == ENOMEM || error == ESRCH || error == EMFILE || error == ENFILE ? error : 0;
  const char *word = list->args, *end = list->args + list->args_size;
  for (int i = 0; i < NAME_WORDS && word < end; i++, word += strlen(word) + 1) {
    const char *whole = cvy_proc_whole_name(list->name, COMM_SIZE, word);
    if (whole) {
      row->name = whole;
      break;
    }
  }
  return 0;
}

static int read_user(const cvos_proclist *list, cvos_proc *row)
{
  struct stat about;
  /* a folder /proc/PID belongs to the effective user, also where its files belong to root: fs/proc/base.c, task_dump_owner */
  if (CVOS_CALL(STAT, fstat(list->pin, &about), -1) < 0) return errno == ENOENT ? ESRCH : errno;
  row->uid = (int64_t)about.st_uid;
  row->gid = (int64_t)about.st_gid;
  row->sid = "";
  return 0;
}

static int read_usage(const cvos_proclist *list, cvos_proc *row)
{
  int64_t tick = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
  if (tick < 1) return ENOTSUP;
  row->user_us = (int64_t)(list->stat.user_ticks * 1000000 / (uint64_t)tick);
  row->system_us = (int64_t)(list->stat.system_ticks * 1000000 / (uint64_t)tick);
  row->memory = list->stat.pages > 0 ? list->stat.pages * page : 0;
  return 0;
}

int cvos_proclist_read(cvos_proclist *list, int what, cvos_proc *row)
{
  int error = 0;
  if ((row->flags & CVOS_PROC_OPAQUE) && what != CVOS_PROC_USER) return failed(EACCES);
  switch (what) {
  case CVOS_PROC_NAME: error = read_name(list, row); break;
  case CVOS_PROC_EXE:
    error = read_link(list, "exe", list->exe);
    if (!error) cvos_procfs_drop_mark(list->exe);
    if (!error) row->exe = list->exe;
    break;
  case CVOS_PROC_CWD:
    error = read_link(list, "cwd", list->cwd);
    if (!error) cvos_procfs_drop_mark(list->cwd);
    if (!error) row->cwd = list->cwd;
    break;
  case CVOS_PROC_COMMAND:
    error = read_args(list);
    row->args = list->args;
    row->args_size = error ? 0 : list->args_size;
    break;
  case CVOS_PROC_USER: error = read_user(list, row); break;
  case CVOS_PROC_USAGE: error = read_usage(list, row); break;
  default: error = ENOTSUP;
  }
  return error ? failed(error) : 0;
}

void cvos_proclist_close(cvos_proclist *list)
{
  if (!list) return;
  let_go(list);
  (void)closedir(list->folder);
  cvy_free(list->args);
  cvy_free(list);
}
