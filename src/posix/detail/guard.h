/* posix/detail/guard.h: the guard: a shell that outlives us by a moment and ends what we tied to our life.
 *
 * One per program, started with the first tied child: /bin/sh with a script of builtins, in a session of its own, all signals ignored, nobody's
 * child (it would keep a host's wait() from ever ending). It holds two read ends of ours and nothing else. Through the first it is told lines
 * "slot cgroup target" (the number of a control group or 0; -group or pid) and "slot" (free); the second is where it waits: it gets the number of lines to read now and then, so
 * that a line does not cost a wake-up, and its end of file is our end: then it reads what is left, kills what is still in a slot, and takes our folder of control groups away. Our ends are
 * close-on-exec and closed after a fork, so nobody else keeps them open. A guard that is gone or stuck (its pipe full for a second) is
 * noticed by the next line, killed if need be, and replaced; the new one is told all slots again. */
#ifndef COVEY_POSIX_DETAIL_GUARD_H
#define COVEY_POSIX_DETAIL_GUARD_H

#include "posix/detail/posix.h"

#include <sys/types.h>

typedef struct cvos_guard_place {
  int slot;            /* -1 none */
  uint32_t generation; /* of the guard that the child was pointed at */
  uint32_t births;     /* in which child of fork() it was taken */
  uint32_t cgroup; /* number of the control group that ends with it, 0 none; set before the guard is told */
} cvos_guard_place;

/* Takes a slot and makes sure that a guard runs; *ret_fd is where the child tells itself to it. 0 or errno (ENOTSUP: no /bin/sh). */
int cvos_guard_take(cvos_guard_place *ret_place, int *ret_fd);

/* The child has told itself as target. */
void cvos_guard_told(const cvos_guard_place *place, int64_t target);

/* We tell it for the child (which does not run yet). 0 or errno. */
int cvos_guard_tell(cvos_guard_place *place, int64_t target);

/* The child could not tell itself: replaces the guard unless that has been done. 0 or errno. */
int cvos_guard_failed(cvos_guard_place *place);

/* The slot's target is nobody any more; before its number can become a stranger's. place->slot is -1 afterwards; -1 does nothing. */
void cvos_guard_free(cvos_guard_place *place);

/* The guard's pid, 0 none: for tests. */
pid_t cvos_guard_pid(void);

/* Another shell for the next guard, borrowed for ever: for tests, which try dash, bash and busybox. */
void cvos_guard_use_shell(const char *path);

/* /bin/sh is there. */
bool cvos_guard_possible(void);

#endif
