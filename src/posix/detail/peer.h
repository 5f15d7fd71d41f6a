/* posix/detail/peer.h: what the kernel knows of a socket's other end; one definition in posix/linux/, one in
 * posix/bsd/ (macOS too). */
#ifndef COVEY_POSIX_PEER_H
#define COVEY_POSIX_PEER_H

#include "posix/detail/posix.h"

#include <sys/types.h>

typedef struct cvos_peer {
  pid_t pid; /* 0: in another pid namespace */
  uid_t uid;
  gid_t gid;
  int pidfd; /* owned; of the very process that the kernel noted; -1: the kernel has no such thing */
} cvos_peer;

/* Fills *ret. 0 or errno: ENOTCONN (no connection), ESRCH (that process has ended), others of getsockopt. */
int cvos_peer_read(int socket, cvos_peer *ret);

/* Makes a socket's reads tell who sent the bytes, or not. 0 or errno; ENOTSUP: the system cannot. */
int cvos_peer_tell(int socket, bool on);

#endif
