/* loop/state.h: what is inside covey_loop; for the files of this folder only. */
#ifndef COVEY_LOOP_STATE_H
#define COVEY_LOOP_STATE_H

#include "core/atomics.h"
#include "loop/loop.h"
#include "loop/sync.h"
#include "os/thread.h"
#include "os/watch.h"

#include <uv.h>

enum loop_kind {
  LOOP_OWN,     /* ours: threads take turns, a helper runs it while none does */
  LOOP_PRIVATE, /* ours, for one thread and one call */
  LOOP_LENT     /* the application's: its owner thread has the token for ever */
};

/* The 50 ms for which the helper leaves the loop alone after a thread of the program has left it: long enough that a thread that receives
 * in a loop never meets it, short enough that nobody notices the pause. */
#define HELPER_PAUSE_MS 50

/* So long after the last leave the helper looks for itself whether the token is free, once in a pause, also while others have it; then it sleeps until it
 * is told, which costs the leaving thread a system call and, on a shared CPU, the CPU. */
#define HELPER_AWAKE_MS 1000

/* Looks, and sleeps without uv, that found something, one after the other; then uv has a turn, for timers and colder streams. */
#define LOOKS_MAX 16

#define HOT_MAX 8 /* streams looked at before sleeping: what one look can serve in a few microseconds */
/* Deliveries of others after which a silent one is no longer looked at: each look in vain is a system call. */
#define HOT_FOR 64

/* A thread in cvy_loop_wait. Lives on its stack; in loop->waiters from entry to return. */
typedef struct waiter {
  struct waiter *next, *prev;
  cvy_predicate met;
  void *arg;
  covey_cancel *cancel;
  uv_cond_t cond;
  bool has_cond; /* made when the thread first has to follow */
  bool told;     /* signalled since it went to sleep */
  bool urgent;   /* cannot wait for the holder's own end: gets the token when the current turn ends */
} waiter;

struct covey_loop {
  uv_loop_t own;
  uv_loop_t *uv;
  uv_mutex_t lock;
  uv_async_t wake;       /* ends the poll of whoever runs the loop */
  uv_timer_t lead_timer; /* the leader's deadline */
  enum loop_kind kind;
  bool no_thread;
  bool closed;         /* the program has let go; under the global lock */
  bool over;           /* the same, under the lock: no callback of the user runs any more */
  uint32_t refs;       /* atomic: the program's and one per object */
  uint32_t poked;      /* atomic: predicates are to be looked at */
  uint32_t generation; /* cvos_fork_generation at birth */

  /* the token; under the lock, holder also read without it */
  void *holder;       /* atomic: identity of the thread that has the token, NULL: free */
  bool polling;       /* the holder is inside uv_run */
  uint32_t wake_sent; /* atomic: since it went in, someone has seen to it that it comes out */
  waiter *waiters;    /* all, oldest first */
  waiter *waiters_last;
  waiter *leader;  /* the waiter that has the token now; NULL: the helper, a dispatch, a call */
  waiter *heir;    /* the waiter that was told to take it */
  uint32_t urgent; /* waiters and dispatches that want it at the next turn's end */

  cvy_task *tasks, *tasks_last;
  cvy_note *notes, *notes_last;
  uint32_t awaited; /* threads that wait for a note */

  /* the helper thread */
  cvos_thread *helper;
  uv_cond_t helper_cond;
  bool helper_quit;
  bool helper_dozing; /* it waits without end and must be told when the token gets free */
  bool helper_now;    /* work was left: no pause */
  bool helper_leads;  /* it has the token */
  bool orphan;        /* the last reference went away in a callback on it: it ends the loop */
  uint64_t left_ns;   /* when the last thread of the program gave the token back */

  cvos_pollable *pollable;
  bool dispatching;  /* the holder is a dispatch: it arms the pollable itself */
  uint64_t activity; /* callbacks of ours in this folder: did a turn start something? */

  /* hot streams, with the token only */
  struct {
    struct cvos_io *io;
    uint32_t at; /* hot_clock when it last brought bytes */
  } hot[HOT_MAX];
  uint32_t hot_count, hot_clock;
  uint32_t look_max_us; /* how long a look may take; 0: none on this machine */
  uint32_t look_off;    /* short sleeps until the next try; 0: look */
  uint32_t look_pause;  /* what look_off becomes after a look in vain */
  uint64_t crowded_ns;  /* no look before that time */
  uint32_t looks;       /* that found something since uv had its turn */
  bool looking;         /* the holder looks or sleeps, and is not inside uv_run */
  uint64_t asleep_ns;   /* when the leader went to sleep, for judging in hindsight; 0: judged */

  cvy_task end; /* the last task of a lent loop */
};

/* Identity of the calling thread: never NULL, unique among living threads, free of charge. */
void *cvy_loop_self(void);

/* uv_async_send for whoever does not hold the lock that the callback takes: what was stored before is seen by the callback. libuv begins with a
 * plain look at whether one is pending, which ARM may do before others see our stores (libuv#349, #4584); and on Windows it takes its note back
 * by a plain store, which may be seen after the callback has looked (libuv#3184): such a callback begins with a fence too. */
static inline void cvy_async_send(uv_async_t *async)
{
  cvy_fence();
  uv_async_send(async);
}

/* ---- token.c; lock held ---- */

/* False when another thread has it, or is about to have it. w may be NULL. */
bool cvy_token_take(covey_loop *loop, const waiter *w);

/* Runs what is posted, gives it back, sees to a successor; the lock is released meanwhile. */
void cvy_token_give(covey_loop *loop);

/* A free token: tells the next thread. */
void cvy_token_successor(covey_loop *loop);

/* Whoever runs the loop comes out of uv_run soon; nothing when nobody is inside. */
void cvy_token_wake(covey_loop *loop);

/* With the token; the lock is released around each. */
void cvy_token_run_tasks(covey_loop *loop);

/* One turn of uv with the token; the lock is released meanwhile. */
void cvy_token_turn(covey_loop *loop, uv_run_mode mode);

/* Gets the token, whoever has it: waits until the holder's turn has ended. COVEY_EDEADLK when this thread has it already. */
int cvy_token_demand(covey_loop *loop);

/* The callback of loop->wake. */
void cvy_token_on_wake(uv_async_t *wake);

/* ---- task.c; lock held ---- */

/* The token is free: starts the helper where it is allowed and missing, tells it where it dozes. */
void cvy_helper_poke(covey_loop *loop);

/* Ends it for good; the lock is released while it waits for its end. Any thread but the helper. */
void cvy_helper_stop(covey_loop *loop);

/* Runs what is noted now; the lock is released around each. Returns how many ran. */
int cvy_notes_run(covey_loop *loop);

/* The program lets go: from now on none runs, but here and now those that own something; the lock is released around each. */
void cvy_notes_close(covey_loop *loop);

/* ---- cancel.c ---- */

/* Registers wake: from now on firing c sends it. slot is needed for leaving. c: not NULL. COVEY_ENOMEM. */
int cvy_cancel_join(covey_cancel *c, uv_async_t *wake, void ***ret_slot);
void cvy_cancel_leave(covey_cancel *c, void **slot);

/* ---- loop.c ---- */

/* Ends a loop without references, with the token not held by anybody else. */
void cvy_loop_destroy(covey_loop *loop);

/* ---- hot.c ---- */

void cvy_hot_init(covey_loop *loop);

enum hot {
  HOT_OFF,     /* not now */
  HOT_FOUND,   /* bytes came, and were told */
  HOT_NOTHING, /* none in the time of a look */
  HOT_TURN     /* uv has a turn without sleeping: something waits for it, or it has not had one for long */
};

/* Looks at hot streams for a while, with the token, the lock released meanwhile. now: uv_hrtime. */
enum hot cvy_hot_look(covey_loop *loop, uint64_t now);

/* Sleeps in the system in place of uv, until the deadline, a timer of uv or an event; the same otherwise. HOT_OFF: uv must sleep itself. */
enum hot cvy_hot_sleep(covey_loop *loop, uint64_t now, cvy_deadline deadline);

#endif
