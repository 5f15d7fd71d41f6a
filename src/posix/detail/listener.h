/* posix/detail/listener.h: what a listener is here. For stream.c, which makes it, and watch.c, which accepts on it. */
#ifndef COVEY_POSIX_LISTENER_H
#define COVEY_POSIX_LISTENER_H

#include "os/stream.h"

#include <sys/types.h>

struct cvos_listener {
  int socket;    /* listening, non-blocking, close-on-exec; watch.c polls it and calls posix_accept */
  int directory; /* the folder that holds the files */
  int lock;      /* the lock file, held with flock for as long as we live */
  dev_t device;  /* of the folder */
  ino_t folder, socket_file, lock_file;
  char *path;       /* of the socket, owned */
  const char *base; /* its last part, inside path */
};

/* Accepts one connection from a listening socket: close-on-exec, non-blocking, no SIGPIPE, 3 or more. COVEY_EAGAIN: none is waiting (also when it
 * went away again); else as os/stream.h says. */
int posix_accept(int listener, int *ret);

#endif
