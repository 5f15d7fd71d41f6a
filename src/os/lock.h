/* os/lock.h: a lock on a whole file, held by an open file: it goes with the last copy of the handle, however
 * its holder ends.
 *
 * POSIX: flock. Locks conflict between any two calls of cvos_lock_try, in one process too. Windows:
 * LockFileEx over one byte far behind the end of the file. Both: advice for those who lock the same file the
 * same way; on a network drive it may reach one machine only. */
#ifndef COVEY_OS_LOCK_H
#define COVEY_OS_LOCK_H

#include "os/types.h"

enum {
  /* Beside other shared ones; else alone. */
  CVOS_LOCK_SHARED = 1 << 0,
  /* The file must be there (COVEY_ENOTFOUND); else it is made, 0600 less the umask. */
  CVOS_LOCK_EXISTING = 1 << 1,
  /* The file must be ours (COVEY_EUNSAFE): its owner is our effective user. Windows: not looked at. */
  CVOS_LOCK_OURS = 1 << 2
};

/* Takes the lock of the file path, without waiting. Never a link, never anything but a regular file
 * (COVEY_EUNSAFE). The file that was locked is the one that path names at that moment: a file that is removed
 * or replaced meanwhile is tried again. ret: owned, end with cvos_lock_release; close-on-exec, not inherited.
 * Any thread.
 * Errors: COVEY_EAGAIN (another holds it), COVEY_ENOTFOUND, COVEY_EACCES, COVEY_EUNSAFE, COVEY_ELIMIT,
 * COVEY_ENOTSUP (the file system has no locks), COVEY_EOS; cvos_last_error() still has the system's
 * number. */
int cvos_lock_try(const char *path, unsigned flags, cvos_handle *ret);

/* Lets go. remove (may be NULL): the path it was taken by; the file is removed while the lock is still held,
 * so that nobody can hold a lock on a file that is about to vanish; for exclusive locks. lock: moved,
 * CVOS_NONE does nothing. */
void cvos_lock_release(cvos_handle lock, const char *remove);

#endif
