/* tests/support/box.h: what tests of the loop wait for: a number under the loop's lock, and everything that can make it grow. */
#ifndef COVEY_TESTS_BOX_H
#define COVEY_TESTS_BOX_H

#include "loop/loop.h"

#define BOX_LONG 20000 /* a deadline that is only met in failure */

/* loop and wanted are set by the test, the rest is zero or as the calls say. */
typedef struct box {
  covey_loop *loop;
  int64_t count, wanted;
  int64_t timeout;      /* ms: of box_wait_thread (0: BOX_LONG) and of the timer */
  covey_cancel *cancel; /* ends its waits; may be NULL */
  int result;           /* of box_wait_thread */
  bool in_wait;         /* a wait has begun; under the lock */
  bool has_token;       /* whether the last box_add ran with the loop's token */
  cvy_task task;
  cvy_note note;
  cvy_timer *timer;
  void *other; /* the test's own */
} box;

/* A loop of its own with COVEY_LOOP_ flags; it must succeed. */
covey_loop *box_loop(uint32_t flags);

/* count + 1, told to all who wait; arg is the box. Runs anywhere but under the lock. */
void box_add(void *arg);
int64_t box_count(box *b);

/* Whether count has come up to wanted: as a predicate of a wait (lock held), and for test_wait_until. */
bool box_full(void *arg);
bool box_filled(void *arg);

/* Waits at most ms until count is wanted. The thread does so with b->timeout and puts what came into b->result. */
int box_wait(box *b, int64_t ms);
void box_wait_thread(void *arg);
bool box_in_wait(void *arg); /* for test_wait_until */

/* run, which adds, as a task of a loop of its own that is closed again: what it has put into b->result. */
int box_run(box *b, void (*run)(void *b));

/* box_add as a task of the loop, and as a note for the one who dispatches. */
void box_post(box *b);
void box_note(box *b);

/* box_add by a timer after b->timeout. On the loop's thread: for cvy_loop_call; the box is the argument. */
int box_timer_open(void *arg);
int box_timer_set(void *arg);
int box_timer_close(void *arg);

#endif
