#include "posix/detail/posix.h"

#include "os/lock.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a file may be replaced under our hands before we say that somebody has it. */
#define ATTEMPTS 100

/* A link in the place of the file: every system has its own word for it. */
static bool is_link(int error)
{
#if defined(EFTYPE)
  if (error == EFTYPE) return true;
#endif
#if !defined(__linux__)
  if (error == EMLINK) return true;
#endif
  return error == ELOOP;
}

/* A folder, a pipe or a socket. A socket that is opened: ENXIO, or, on BSD and macOS, EOPNOTSUPP (open(2)). */
static bool is_no_file(int error)
{
  return error == EISDIR || error == ENXIO || error == EOPNOTSUPP;
}

static bool same_file(int dir, const char *name, int fd)
{
  struct stat named, opened;
  return fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &opened) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

static int open_file(int dir, const char *name, unsigned flags, int *ret)
{
  struct stat s;
  /* O_NONBLOCK: a FIFO in the place of the file must not hold us up. */
  int how = (flags & CVOS_LOCK_SHARED ? O_RDONLY : O_RDWR) | (flags & CVOS_LOCK_EXISTING ? 0 : O_CREAT) |
            O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  int fd = cvos_fd_high(CVOS_CALL(OPEN, openat(dir, name, how, 0600), -1));
  if (fd < 0) return is_link(errno) || is_no_file(errno) ? COVEY_EUNSAFE : cvos_translate(errno);
  bool fits = CVOS_CALL(STAT, fstat(fd, &s), -1) == 0 && S_ISREG(s.st_mode) &&
              (!(flags & CVOS_LOCK_OURS) || s.st_uid == geteuid());
  if (!fits) {
    cvos_fd_close(fd);
    errno = 0;
    return COVEY_EUNSAFE;
  }
  *ret = fd;
  return 0;
}

int cvos_lock_try_at(int dir, const char *name, unsigned flags, int *ret)
{
  int how = (flags & CVOS_LOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB;
  for (int i = 0; i < ATTEMPTS; i++) {
    int fd = -1, r = open_file(dir, name, flags, &fd);
    if (r < 0) return r;
    do r = CVOS_CALL(LOCK, flock(fd, how), -1);
    while (r < 0 && errno == EINTR);
    if (r < 0) {
      r = cvos_translate(errno);
      cvos_fd_close(fd);
      return r;
    }
    if (same_file(dir, name, fd)) {
      *ret = fd;
      return 0;
    }
    cvos_fd_close(fd);
  }
  errno = 0;
  return COVEY_EAGAIN;
}

/* Unlocked by name: a copy of the descriptor that another thread's fork has taken would go on holding it. */
void cvos_lock_release_at(int dir, int lock, const char *remove)
{
  if (lock < 0) return;
  int saved = errno;
  if (remove && same_file(dir, remove, lock)) (void)unlinkat(dir, remove, 0);
  (void)flock(lock, LOCK_UN);
  errno = saved;
  cvos_fd_close(lock);
}

int cvos_lock_try(const char *path, unsigned flags, cvos_handle *ret)
{
  return cvos_lock_try_at(AT_FDCWD, path, flags, ret);
}

void cvos_lock_release(cvos_handle lock, const char *remove)
{
  cvos_lock_release_at(AT_FDCWD, lock, remove);
}
