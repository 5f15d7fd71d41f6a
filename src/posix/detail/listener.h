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

/* Nobody answers under a name: is somebody alive who holds its lock? If not, what is left there is removed: COVEY_ENOPEER. COVEY_EAGAIN: he lives, or
 * somebody else is in the place just now. */
int cvos_place_look(const cvos_place *place, const char *socket_name, const char *lock_name);

/* The same for who has entered the place. */
int cvos_place_clean(const cvos_place *place, const char *socket_name, const char *lock_name);

/* A socket's name before it is published. One is enough: only who has entered the place uses it. */
#define CVOS_UNPUBLISHED "~.s"

/* ---- sweep.c ---- */

/* Removes some of what dead processes have left in place, and in the folders of pid namespaces in it; with its last file such a folder goes too. own_lock: is
 * passed over. What cannot be removed stays. */
void cvos_place_sweep(const cvos_place *place, const char *own_lock);

#endif
