/* posix/detail/listener.h: what a listener is here. For listener.c, which makes it, and acceptor.c, which accepts on it with
 * stream.c's sockets. */
#ifndef COVEY_POSIX_LISTENER_H
#define COVEY_POSIX_LISTENER_H

#include "posix/detail/place.h"

struct cvos_listener {
  cvos_listener *next; /* of this process's */
  int socket;          /* listening, non-blocking, close-on-exec; watch.c polls it and calls cvos_accept */
  int lock;            /* the lock file, held with flock for as long as we live */
  cvos_place place;    /* the folder that holds both files; its descriptor is ours */
  char socket_name[CVOS_FILE_MAX], lock_name[CVOS_FILE_MAX]; /* in it */
  ino_t socket_file, lock_file;                              /* what they were when we made them */
};

/* A stream socket as all of ours are: close-on-exec, non-blocking, no SIGPIPE, 3 or more. */
int cvos_socket_new(int *ret);

/* Accepts one connection from a listening socket: close-on-exec, non-blocking, no SIGPIPE, 3 or more.
 * COVEY_EAGAIN: none is waiting (also when it went away again); else as os/stream.h says. */
int cvos_accept(int listener, int *ret);

/* Nobody answers under a name: is somebody alive who holds its lock? If not, what is left there is removed: COVEY_ENOPEER. COVEY_EAGAIN: he lives, or
 * somebody else is in the place just now. */
int cvos_place_look(const cvos_place *place, const char *socket_name, const char *lock_name);

#endif
