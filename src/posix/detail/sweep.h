/* posix/detail/sweep.h: what dead processes have left in a place. For stream.c, which found nobody behind a name, and listener.c, which comes to live there. */
#ifndef COVEY_POSIX_SWEEP_H
#define COVEY_POSIX_SWEEP_H

#include "posix/detail/place.h"

/* Nobody answers under a name: is somebody alive who holds its lock? If not, what is left there is removed: COVEY_ENOPEER. COVEY_EAGAIN: he lives, or
 * somebody else is in the place just now. */
int cvos_place_look(const cvos_place *place, const char *socket_name, const char *lock_name);

/* The same for who has entered the place. */
int cvos_place_clean(const cvos_place *place, const char *socket_name, const char *lock_name);

/* A socket's name before it is published. One is enough: only who has entered the place uses it. */
#define CVOS_UNPUBLISHED "~.s"

/* Removes some of what lies in place, and in the folders of pid namespaces in it; with its last file such a folder goes too. own_lock: is passed over. What
 * cannot be removed stays. */
void cvos_place_sweep(const cvos_place *place, const char *own_lock);

#endif
