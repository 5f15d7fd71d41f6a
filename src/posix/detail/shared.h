/* posix/detail/shared.h: what all watches of one uv loop share; for watch.c and its private halves. */
#ifndef COVEY_POSIX_SHARED_H
#define COVEY_POSIX_SHARED_H

#include "os/watch.h"

#include <uv.h>

#define CVOS_READ_SIZE                                                                                       \
  65536 /* what a pipe and a Unix socket hold by default on Linux; more does not pay (own measurement: capture) */

typedef struct cvos_shared {
  struct cvos_shared *next;
  uv_loop_t *uv;
  size_t refs;
  char *buffer;         /* CVOS_READ_SIZE bytes; used inside one callback at a time, with the token */
  int exit_queue;       /* kqueue for the ends of processes; -1 none */
  uv_poll_t *exit_poll; /* watches it; frees itself when closed */
  size_t exit_count;    /* watches on it */
} cvos_shared;

/* Finds or makes what the watches of uv share, and adds a reference; NULL without memory. [token] */
cvos_shared *cvos_shared_get(uv_loop_t *uv);
void cvos_shared_put(cvos_shared *shared); /* [token] */

/* Ends of processes that a sleep looks at itself (Linux, our own loops). uv's data is the first of their watches. ask: what to poll for; more than
 * CVOS_EXITS: too many. tell: what poll answered; true: somebody was told. sweep: looks at all of them, tells, and hands the others to uv, for
 * when they are too many. [token] */
enum { CVOS_EXITS = 8 };
struct pollfd;
size_t cvos_exits_ask(const uv_loop_t *uv, struct pollfd *ret);
bool cvos_exits_tell(uv_loop_t *uv, const struct pollfd *answers, size_t count);
bool cvos_exits_sweep(uv_loop_t *uv);

/* Counts a callback of a watch on this thread; how many there were (cvos_watch_activity). */
void cvos_watch_count(void);
uint64_t cvos_watch_counted(void);

#endif
