/* posix/detail/lock.h: the file lock of lock.c below an open folder, for stream.c. */
#ifndef COVEY_POSIX_LOCK_H
#define COVEY_POSIX_LOCK_H

#include "os/lock.h"

/* cvos_lock_try and cvos_lock_release for name in the folder dir (AT_FDCWD: a path). */
int cvos_lock_try_at(int dir, const char *name, unsigned flags, int *ret);
void cvos_lock_release_at(int dir, int lock, const char *remove);

#endif
