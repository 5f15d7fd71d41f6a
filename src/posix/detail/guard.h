/* posix/detail/guard.h: the guard: a shell that outlives us by a moment and ends what we tied to our life.
 *
 * One per program, started with the first tied child: /bin/sh with a script of builtins, in a session of its own, all signals ignored, nobody's
 * child (it would keep a host's wait() from ever ending). It holds two things of ours and no more: the read end of a pipe, where it waits for our
 * end, and the table: a file without a name, a line of CVOS_GUARD_LINE bytes for each slot: "cgroup target" (the number of a control group or 0;
 * -group or pid), or blanks. It reads the table only when the pipe has ended, kills what stands there, and takes our folder of control groups
 * away; so a start costs one small write, an end another, and the guard no time at all. The child writes its own line, before its exec; until
 * then it holds our end of the pipe too, so that the guard does not read too early. Our ends are close-on-exec and closed after a fork, so nobody
 * else keeps them open. A guard that is gone is noticed by the next start, one that is stuck (it reads no line in the pipe for a second) every
 * 256 starts; it is killed if need be, and replaced: the table stays. */
#ifndef COVEY_POSIX_DETAIL_GUARD_H
#define COVEY_POSIX_DETAIL_GUARD_H

#include "posix/detail/posix.h"

#include <sys/types.h>

/* Bytes of a line: ten digits, a blank, a sign, ten digits, the end of the line; and one more. */
#define CVOS_GUARD_LINE 24

typedef struct cvos_guard_place {
  int slot;        /* -1 none */
  uint32_t births; /* in which child of fork() it was taken */
  uint32_t cgroup; /* number of the control group that ends with it, 0 none; set before the guard is told */
} cvos_guard_place;

/* Takes a slot and makes sure that a guard runs; *ret_fd is the table, where the child writes its line. 0 or errno (ENOTSUP: no /bin/sh). */
int cvos_guard_take(cvos_guard_place *ret_place, int *ret_fd);

/* The child has written its line: target. */
void cvos_guard_told(const cvos_guard_place *place, int64_t target);

/* We tell it for the child (which does not run yet). 0 or errno. */
int cvos_guard_tell(const cvos_guard_place *place, int64_t target);

/* A child could not write its line: *ret_fd is where it may be tried again, another table where ours was closed. 0 or errno. */
int cvos_guard_failed(int *ret_fd);

/* The slot's target is nobody any more; before its number can become a stranger's. place->slot is -1 afterwards; -1 does nothing. */
void cvos_guard_free(cvos_guard_place *place);

/* The guard's pid, 0 none: for tests. */
pid_t cvos_guard_pid(void);

/* Another shell for the next guard, borrowed for ever: for tests, which try dash, bash and busybox. */
void cvos_guard_use_shell(const char *path);

/* /bin/sh is there. */
bool cvos_guard_possible(void);

#endif
