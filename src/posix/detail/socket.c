#include "posix/detail/socket.h"

#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>

/* What every socket of ours is. fd is moved: closed on failure. */
static int prepare(int fd, int *ret)
{
  fd = cvos_fd_high(fd);
  if (fd < 0) return cvos_translate(errno);
#if !defined(__linux__)
  int flags = fcntl(fd, F_GETFL);
  if (CVOS_CALL(OPTION, fcntl(fd, F_SETFD, FD_CLOEXEC), -1) < 0 || flags < 0 ||
      fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    goto failed;
#endif
#if defined(SO_NOSIGPIPE)
  int on = 1;
  /* EINVAL: both ways are shut, since who had connected is gone; what he wrote can still be read, and the listener's setting is inherited
   * (XNU, uipc_socket.c: sosetoptlock, uipc_socket2.c: sonewconn) */
  if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) < 0 && errno != EINVAL) goto failed;
#endif
  cvos_fd_widen(fd);
  *ret = fd;
  return 0;
#if !defined(__linux__)
failed:;
  int r = cvos_translate(errno);
  cvos_fd_close(fd);
  return r;
#endif
}

#if defined(__linux__)
#define OUR_STREAM (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
#else
#define OUR_STREAM SOCK_STREAM
#endif

int cvos_socket_new(int *ret)
{
  return prepare(CVOS_CALL(SOCKET, socket(AF_UNIX, OUR_STREAM, 0), -1), ret);
}

int cvos_socket_pair(int *ret_one, int *ret_other)
{
  int raw[2], one = -1, other = -1;
  if (CVOS_CALL(SOCKETPAIR, socketpair(AF_UNIX, OUR_STREAM, 0, raw), -1) < 0) return cvos_translate(errno);
  int r = prepare(raw[0], &one);
  if (r < 0) {
    cvos_fd_close(raw[1]);
    return r;
  }
  r = prepare(raw[1], &other);
  if (r < 0) {
    cvos_fd_close(one);
    return r;
  }
  *ret_one = one;
  *ret_other = other;
  return 0;
}

int cvos_accept(int listener, int *ret)
{
  int fd;
  do {
#if defined(__linux__)
    fd = CVOS_CALL(ACCEPT, accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), -1);
#else
    fd = CVOS_CALL(ACCEPT, accept(listener, NULL, NULL), -1);
#endif
  } while (fd < 0 && errno == EINTR);
  if (fd < 0 && (errno == ECONNABORTED || errno == EPROTO)) return COVEY_EAGAIN;
  return prepare(fd, ret);
}
