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

/* Counts a callback of a watch on this thread (cvos_watch_activity). */
void cvos_watch_count(void);

#endif
