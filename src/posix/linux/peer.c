#include "posix/detail/peer.h"

#include "os/fault.h"

#include <errno.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h of 6.5; other numbers only on parisc and sparc */
#endif

int cvos_peer_read(int socket, cvos_peer *ret)
{
  struct ucred who;
  socklen_t size = sizeof who;
  if (CVOS_CALL(IDENTITY, getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size), -1) < 0) return errno;
  if (who.uid == (uid_t)-1) return ENOTCONN;
  cvos_peer peer = {.pid = who.pid, .uid = who.uid, .gid = who.gid, .pidfd = -1};
  if (peer.pid != 0 && !CVOS_LACKS("pidfd")) {
    int pidfd;
    size = sizeof pidfd;
    if (CVOS_CALL(PIDFD, getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size), -1) == 0)
      peer.pidfd = cvos_fd_high(pidfd);
    else if (errno == ESRCH)
      return ESRCH;
    else if (errno == EMFILE || errno == ENFILE)
      return errno;
  }
  *ret = peer;
  return 0;
}

int cvos_peer_tell(int socket, bool on)
{
  int value = on;
  return CVOS_CALL(OPTION, setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &value, sizeof value), -1) < 0 ? errno
                                                                                                      : 0;
}
