#include "posix/detail/posix.h"

#include "os/handle.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <libproc.h>
#include <sys/proc_info.h>
#endif

void cvos_handle_close(cvos_handle handle)
{
  cvos_fd_close(handle);
}

int cvos_handle_duplicate(cvos_handle handle, cvos_handle *ret)
{
  int fd = CVOS_CALL(DUPLICATE, fcntl(handle, F_DUPFD_CLOEXEC, 3), -1);
  if (fd < 0) return errno == EBADF ? COVEY_EINVAL : cvos_translate(errno);
  *ret = fd;
  return 0;
}

int cvos_handle_share(cvos_handle handle, uint32_t rights, cvos_handle *ret)
{
  (void)rights;
  return cvos_handle_duplicate(handle, ret);
}

int cvos_handle_pull(int64_t pid, uint64_t value, cvos_handle *ret)
{
  (void)pid;
  (void)value;
  (void)ret;
  errno = ENOTSUP;
  return COVEY_ENOTSUP;
}

int64_t cvos_handle_count(void)
{
#if defined(__APPLE__)
  /* without a buffer it tells the places of the table, and 20 more (XNU, proc_info.c: proc_pidfdlist): room enough for what is open */
  int room = proc_pidinfo(getpid(), PROC_PIDLISTFDS, 0, NULL, 0);
  void *list = room > 0 ? cvy_alloc((size_t)room) : NULL;
  int size = list ? proc_pidinfo(getpid(), PROC_PIDLISTFDS, 0, list, room) : 0;
  cvy_free(list);
  return size > 0 ? size / (int)sizeof(struct proc_fdinfo) : -1;
#else
#if defined(__linux__)
  DIR *folder = opendir("/proc/self/fd");
#else
  DIR *folder = opendir("/dev/fd");
#endif
  if (!folder) return -1;
  int64_t count = 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') count++;
  }
  (void)closedir(folder);
  return count - 1;
#endif
}

bool cvos_handle_is_terminal(cvos_handle handle)
{
  int saved = errno;
  bool is = isatty(handle) == 1;
  errno = saved;
  return is;
}

cvos_handle cvos_handle_standard(int stream)
{
  return stream >= 0 && stream <= 2 && fcntl(stream, F_GETFD) >= 0 ? stream : CVOS_NONE;
}

static pthread_mutex_t standard_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  bool filled;     /* by us */
  struct stat was; /* else: what it was; nothing where it was only about to be opened */
} standard[3];

/* A child of fork may make loops of its own, whatever another thread was at. */
static void standard_hold(void)
{
  (void)pthread_mutex_lock(&standard_lock);
}
static void standard_let_go(void)
{
  (void)pthread_mutex_unlock(&standard_lock);
}
CVOS_AT_START standard_watch_forks(void)
{
  (void)pthread_atfork(standard_hold, standard_let_go, standard_let_go);
}

void cvos_standard_fill(void)
{
  (void)pthread_mutex_lock(&standard_lock);
  for (int i = 0; i < 3; i++) {
    memset(&standard[i], 0, sizeof standard[i]);
    if (fstat(i, &standard[i].was) == 0) continue;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    standard[i].filled = fd == i;
    if (fd >= 0 && fd != i) cvos_fd_close(fd); /* another thread was quicker */
  }
}

void cvos_standard_free(void)
{
  for (int i = 0; i < 3; i++)
    if (standard[i].filled) cvos_fd_close(i);
  (void)pthread_mutex_unlock(&standard_lock);
}

bool cvos_standard_is_spared(void)
{
  for (int i = 0; i < 3; i++) {
    const struct stat *was = &standard[i].was;
    struct stat now;
    if (standard[i].filled || fstat(i, &now) < 0) continue;
    if (now.st_dev == was->st_dev && now.st_ino == was->st_ino) continue;
    mode_t kind = now.st_mode & S_IFMT;
    if (!kind || kind == S_IFIFO || kind == S_IFSOCK)
      return false; /* an eventfd, epoll or ring has no kind */
  }
  return true;
}

/* Our end of the two, non-blocking, and the child's. */
static int share(const int ends[2], int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs)
{
  int ours = direction == CVOS_FROM_CHILD ? ends[0] : ends[1];
  if (CVOS_CALL(OPTION, fcntl(ours, F_SETFL, fcntl(ours, F_GETFL) | O_NONBLOCK), -1) < 0) {
    int r = cvos_translate(errno);
    cvos_fd_close(ends[0]);
    cvos_fd_close(ends[1]);
    return r;
  }
  *ret_ours = ours;
  *ret_theirs = direction == CVOS_FROM_CHILD ? ends[1] : ends[0];
  return 0;
}

int cvos_pipe_for_child(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs)
{
  int ends[2];
  if (cvos_fd_pipe(ends) < 0) return cvos_translate(errno);
#if defined(F_SETNOSIGPIPE)
  (void)fcntl(direction == CVOS_FROM_CHILD ? ends[0] : ends[1], F_SETNOSIGPIPE, 1);
#endif
  return share(ends, direction, ret_ours, ret_theirs);
}

int cvos_socket_for_child(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs)
{
  int ends[2];
  if (cvos_fd_sockets(ends) < 0) return cvos_translate(errno);
#if defined(SO_NOSIGPIPE)
  /* ours alone: what the child writes to without a reader ends it, as a pipe does */
  int on = 1;
  (void)setsockopt(direction == CVOS_FROM_CHILD ? ends[0] : ends[1], SOL_SOCKET, SO_NOSIGPIPE, &on,
                   sizeof on);
#endif
  /* who shall not write: SHUT_RD at the other end would not hinder him on macOS (XNU, uipc_usrreq.c: it looks at the sender's side alone) */
  (void)shutdown(ends[0], SHUT_WR);
  return share(ends, direction, ret_ours, ret_theirs);
}

int cvos_pipe_between(cvos_handle *ret_read, cvos_handle *ret_write)
{
  int ends[2];
  if (cvos_fd_pipe(ends) < 0) return cvos_translate(errno);
  *ret_read = ends[0];
  *ret_write = ends[1];
  return 0;
}

static int open_high(const char *path, int flags, cvos_handle *ret)
{
  int fd;
  do fd = CVOS_CALL(OPEN, open(path, flags | O_CLOEXEC | O_NOCTTY, 0666), -1);
  while (fd < 0 && errno == EINTR);
  fd = cvos_fd_high(fd);
  if (fd < 0) return errno == EISDIR ? COVEY_EACCES : cvos_translate(errno);
  *ret = fd;
  return 0;
}

int cvos_file_open(const char *path, int how, cvos_handle *ret)
{
  switch (how) {
  case CVOS_FILE_READ: return open_high(path, O_RDONLY, ret);
  case CVOS_FILE_TRUNCATE: return open_high(path, O_WRONLY | O_CREAT | O_TRUNC, ret);
  case CVOS_FILE_APPEND: return open_high(path, O_WRONLY | O_CREAT | O_APPEND, ret);
  case CVOS_FILE_EXCLUSIVE: return open_high(path, O_WRONLY | O_CREAT | O_EXCL, ret);
  default: errno = EINVAL; return COVEY_EINVAL;
  }
}

int cvos_null_open(cvos_handle *ret)
{
  return open_high("/dev/null", O_RDWR, ret);
}

static int null_kept = -1;               /* atomic */
static uint64_t null_device, null_inode; /* atomic: which file it is */

static bool is_null(int fd)
{
  return cvos_fd_is(fd, __atomic_load_n(&null_device, __ATOMIC_RELAXED),
                    __atomic_load_n(&null_inode, __ATOMIC_RELAXED));
}

int cvos_null_kept(cvos_handle *ret)
{
  int kept = __atomic_load_n(&null_kept, __ATOMIC_ACQUIRE);
  if (!is_null(kept)) {
    cvos_handle fresh = CVOS_NONE;
    struct stat about = {0};
    int r = cvos_null_open(&fresh);
    if (r < 0) return r;
    (void)fstat(fresh, &about);
    __atomic_store_n(&null_device, (uint64_t)about.st_dev, __ATOMIC_RELAXED);
    __atomic_store_n(&null_inode, (uint64_t)about.st_ino, __ATOMIC_RELAXED);
    if (__atomic_compare_exchange_n(&null_kept, &kept, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      kept = fresh;
    else
      cvos_fd_close(fresh); /* another thread was quicker: kept is its */
  }
  *ret = kept;
  return 0;
}
