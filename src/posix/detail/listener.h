/* posix/detail/listener.h: what a listener is here. For listener.c, which makes it, and acceptor.c, which accepts on it. */
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

#endif
