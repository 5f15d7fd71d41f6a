#include "posix/detail/peer.h"

#include "os/fault.h"

#include <errno.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <unistd.h>

/* The other end's pid: every system has its own word for it. 0: it does not tell. */
static int read_pid(int socket, pid_t *ret)
{
#if defined(LOCAL_PEERPID)
  socklen_t size = sizeof *ret;
  return getsockopt(socket, SOL_LOCAL, LOCAL_PEERPID, ret, &size) < 0 ? errno : 0;
#elif defined(__FreeBSD__)
  struct xucred who;
  socklen_t size = sizeof who;
  if (getsockopt(socket, SOL_LOCAL, LOCAL_PEERCRED, &who, &size) < 0) return errno;
  *ret = who.cr_pid;
  return 0;
#elif defined(LOCAL_PEEREID)
  struct unpcbid who;
  socklen_t size = sizeof who;
  if (getsockopt(socket, 0, LOCAL_PEEREID, &who, &size) < 0) return errno;
  *ret = who.unp_pid;
  return 0;
#elif defined(SO_PEERCRED)
  struct sockpeercred who;
  socklen_t size = sizeof who;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) return errno;
  *ret = who.pid;
  return 0;
#else
  (void)socket;
  *ret = 0;
  return 0;
#endif
}

int cvos_peer_read(int socket, cvos_peer *ret)
{
  cvos_peer peer = {.pidfd = -1};
  if (CVOS_CALL(IDENTITY, getpeereid(socket, &peer.uid, &peer.gid), -1) < 0) return errno;
  int error = read_pid(socket, &peer.pid);
  if (error) return error;
  *ret = peer;
  return 0;
}

int cvos_peer_tell(int socket, bool on)
{
  (void)socket;
  (void)on;
  return ENOTSUP;
}
