#include "posix/detail/posix.h"

#include "os/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int cvos_fd_high(int fd)
{
  if (fd < 0 || fd > 2) return fd;
  int high = CVOS_CALL(DUPLICATE, fcntl(fd, F_DUPFD_CLOEXEC, 3), -1);
  cvos_fd_close(fd);
  return high;
}

static int both_high(int ends[2], int ret_ends[2])
{
  ends[0] = cvos_fd_high(ends[0]);
  if (ends[0] < 0) {
    cvos_fd_close(ends[1]);
    return -1;
  }
  ends[1] = cvos_fd_high(ends[1]);
  if (ends[1] < 0) {
    cvos_fd_close(ends[0]);
    return -1;
  }
  ret_ends[0] = ends[0];
  ret_ends[1] = ends[1];
  return 0;
}

int cvos_fd_pipe(int ret_ends[2])
{
  int ends[2];
#if defined(__APPLE__)
  if (CVOS_CALL(PIPE, pipe(ends), -1) < 0) return -1;
  (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#else
  if (CVOS_CALL(PIPE, pipe2(ends, O_CLOEXEC), -1) < 0) return -1;
#endif
  return both_high(ends, ret_ends);
}

int cvos_fd_sockets(int ret_ends[2])
{
  int ends[2];
#if defined(__APPLE__)
  if (CVOS_CALL(SOCKETPAIR, socketpair(AF_UNIX, SOCK_STREAM, 0, ends), -1) < 0) return -1;
  (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  cvos_fd_widen(ends[0]);
  cvos_fd_widen(ends[1]);
#else
  if (CVOS_CALL(SOCKETPAIR, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), -1) < 0) return -1;
#endif
  return both_high(ends, ret_ends);
}

void cvos_fd_widen(int socket)
{
#if defined(__APPLE__)
  int size = 128 << 10;
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
#else
  (void)socket;
#endif
}

void cvos_fd_close(int fd)
{
  int saved = errno;
  if (fd >= 0) (void)close(fd);
  errno = saved;
}

bool cvos_fd_is(int fd, uint64_t device, uint64_t inode)
{
  struct stat about;
  return fd >= 0 && fstat(fd, &about) == 0 && (uint64_t)about.st_dev == device &&
         (uint64_t)about.st_ino == inode;
}

int cvos_fd_write_quiet(int fd, const void *data, size_t size)
{
  sigset_t pipe_set, before, pending;
#if defined(F_SETNOSIGPIPE)
  (void)fcntl(
      fd, F_SETNOSIGPIPE,
      1); /* macOS gives the signal to the whole program, whose other threads may not block it (XNU, sys_generic.c) */
#endif
  sigemptyset(&pipe_set);
  sigaddset(&pipe_set, SIGPIPE);
  (void)pthread_sigmask(SIG_BLOCK, &pipe_set, &before);
  /* one can be pending before only where it was blocked */
  bool was_pending =
      sigismember(&before, SIGPIPE) == 1 && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  ssize_t n;
  do n = CVOS_CALL(WRITE, write(fd, data, size), -1);
  while (n < 0 && errno == EINTR);
  int error = n < 0 ? errno : (size_t)n < size ? EAGAIN : 0;
  if (error == EPIPE && !was_pending && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1) {
    int eaten;
    (void)sigwait(&pipe_set, &eaten);
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

void cvos_sleep_ms(int64_t milliseconds)
{
  struct timespec left = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000L};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) {
  }
}

void cvos_take_away(int64_t pid)
{
  struct timespec pause = {0, 50000};
  for (;;) {
    pid_t r = waitpid((pid_t)pid, NULL, WNOHANG);
    if (r > 0 || (r < 0 && errno != EINTR)) return;
    if (r < 0) continue;
    (void)nanosleep(&pause, NULL);
    if (pause.tv_nsec < 10000000) pause.tv_nsec *= 2;
  }
}

int64_t cvos_clock_ms(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t cvos_fd_read_all(int fd, void *out, size_t size)
{
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(fd, (char *)out + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += (size_t)n;
  }
  return (int64_t)done;
}
