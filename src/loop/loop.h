/* loop/loop.h: the inside of covey_loop: one uv loop, one lock, one token.
 *
 *   lock    guards all state of all objects that hang on the loop. Held for short pieces of work, never over a system call that may wait,
 *           never in a user's callback, never inside uv_run.
 *   token   the right to run the uv loop and to touch its handles (everything marked [token] in os/watch.h). One thread has it: a thread
 *           that waits (the leader), the helper thread while nobody waits, covey_loop_dispatch, or on a lent loop its owner in its uv_run.
 *   waiting a thread holds the lock, states what it waits for as a predicate over state under the lock, and calls cvy_loop_wait. Whoever
 *           changes state that a predicate reads calls cvy_loop_changed before it unlocks: that wakes the threads whose wish is met.
 *   tasks   a thread without the token leaves a task; the token's thread runs it without the lock.
 *
 *        cvy_loop_lock(loop);
 *        r = cvy_loop_wait(loop, has_message, group, deadline, cancel);     the lock is released while it waits, held again on return
 *        ... take it ...
 *        cvy_loop_unlock(loop); */
#ifndef COVEY_LOOP_LOOP_H
#define COVEY_LOOP_LOOP_H

#include <covey/loop.h>
#include "os/types.h"

struct uv_loop_s;

/* ---- time: libuv's monotonic clock ---- */

typedef int64_t cvy_deadline; /* milliseconds of the monotonic clock; CVY_NEVER: none */
#define CVY_NEVER INT64_MAX
int64_t cvy_now(void); /* milliseconds */
uint64_t cvy_now_ns(void);

/* Milliseconds since 1970 (UTC), of the clock that people set: to be told, never to be waited by. */
int64_t cvy_wall(void);

/* From a timeout argument: COVEY_FOREVER -> CVY_NEVER, saturating; rounded up, so that a wait of n ms never ends before n ms have passed. */
cvy_deadline cvy_deadline_in(int64_t timeout);
bool cvy_deadline_passed(cvy_deadline deadline);
int64_t cvy_deadline_left(cvy_deadline deadline); /* >= 0; COVEY_FOREVER for CVY_NEVER */

/* Checks a timeout argument: COVEY_EINVAL, recorded, when negative and not COVEY_FOREVER; else 0. */
int cvy_timeout_check(int64_t timeout);

/* A time of an options struct: 0 -> fallback, everything else stays (negatives are refused by cvy_timeout_check before). */
int64_t cvy_option_time(int64_t value, int64_t fallback);

/* ---- loops ---- */

/* Resolves the loop argument of a public call (NULL: the default loop, made at first need) and adds a reference, which keeps the loop
 * and its helper thread alive. Errors, recorded: COVEY_ENOMEM, COVEY_ELIMIT, COVEY_ENOTSUP, COVEY_ESTALE (inherited by fork).
 * The last release may come from anywhere outside the lock, also from a closed callback; but a thread inside cvy_loop_wait, cvy_loop_call or
 * a dispatch must hold a reference of its own (that of its object) until the call has returned. */
int cvy_loop_acquire(covey_loop *loop, covey_loop **ret);
void cvy_loop_ref(covey_loop *loop);
void cvy_loop_release(covey_loop *loop);

/* A loop for one call on the calling thread: no helper thread, not shared. Objects on it may hold references. cvy_loop_private_close, by the
 * same thread and without the token, turns it until those are gone and all closed callbacks have come, then frees it; so every object on
 * it must have been told to close. (A cvy_loop_release that drops the last reference does the same; but an object that closes
 * in a later turn needs somebody who turns the loop.) */
int cvy_loop_private(covey_loop **ret);
void cvy_loop_private_close(covey_loop *loop); /* NULL does nothing */

/* COVEY_ESTALE, recorded, when this process inherited the loop by fork; else 0. Every public call on an object asks first. */
int cvy_loop_check(const covey_loop *loop);

struct uv_loop_s *cvy_loop_uv(covey_loop *loop); /* for os/watch.h; touch it with the token only */
bool cvy_loop_is_own(const covey_loop *loop);    /* false: a lent one */

void cvy_loop_lock(covey_loop *loop);
void cvy_loop_unlock(covey_loop *loop);

/* True on the thread that holds the token now (inside a callback of a watch, a task, or a dispatch's uv_run), and always on the owner's
 * thread of a lent loop. */
bool cvy_loop_has_token(const covey_loop *loop);

/* ---- waiting ---- */

/* Called under the lock, by any thread, often: cheap, no side effects. */
typedef bool (*cvy_predicate)(void *arg);

/* Waits, lock held on entry and on return, until met(arg) is true: 0. COVEY_ETIMEDOUT when the deadline has passed and it is not met (a
 * deadline that has passed at entry still lets the loop turn once, so that "try once" sees what the system has ready; not on a lent loop,
 * where it sees what the owner's last turn has brought). COVEY_ECANCELED when cancel (may be NULL) was fired and it is not met.
 * COVEY_EDEADLK at once, instead of waiting, on the owner's thread of a lent loop and in a callback that runs with the token (a deadline
 * that has passed there: COVEY_ETIMEDOUT). COVEY_ENOMEM. Nothing is recorded: the caller knows what it was about. */
int cvy_loop_wait(covey_loop *loop, cvy_predicate met, void *arg, cvy_deadline deadline,
                  covey_cancel *cancel);

/* Waits until met(arg) is true where cvy_loop_wait could not: on the owner's thread of a lent loop, and without memory. Only for what other threads
 * do soon by themselves, or by tasks: these are run here, where the token is ours. The loop does not turn. Lock held on entry and on return. */
void cvy_loop_linger(covey_loop *loop, cvy_predicate met, void *arg);

/* True once cancel has been fired; false for NULL. For loops of one's own that do not wait in cvy_loop_wait. */
bool cvy_cancel_fired(const covey_cancel *cancel);

/* State under the lock changed: wakes the threads whose predicate is met now. Lock held. */
void cvy_loop_changed(covey_loop *loop);

/* Lets every predicate be looked at again, for state that changed without the lock: an atomic flag that predicates read. Any thread, and signal
 * handlers (an atomic store and uv_async_send). */
void cvy_loop_poke(covey_loop *loop);

/* ---- work for the token's thread ---- */

typedef struct cvy_task {
  void (*run)(void *arg); /* on the token's thread, without the lock */
  void *arg;
  struct cvy_task *next; /* private */
  bool queued;           /* private: a task that is queued already is not queued twice */
} cvy_task;

/* Leaves a task; it runs once, soon. task: borrowed until it runs (it may free itself). Lock held. */
void cvy_loop_post(covey_loop *loop, cvy_task *task);

/* Takes back a task that has not run; false when it has, or was not queued. Lock held. */
bool cvy_loop_unpost(covey_loop *loop, cvy_task *task);

/* Runs fn(arg) with the token and without the lock, and returns its result when it is done: at once where the token is ours or free, else
 * by the token's thread. For opening and closing watches, never for long work. Lock not held. */
int cvy_loop_call(covey_loop *loop, int (*fn)(void *arg), void *arg);

/* Takes the token if it is free, without waiting: false when another has it, or a thread waits for it. Lock held. For work at the end of a call
 * that would otherwise wake the helper thread: between the two calls [token] work is allowed, without the lock. cvy_loop_leave, lock not held,
 * turns the loop once, so that closed callbacks come, and gives the token back. */
bool cvy_loop_enter(covey_loop *loop);
void cvy_loop_leave(covey_loop *loop);

/* cvy_loop_leave for a caller that has looked at one stream: who found bytes leaves without a turn, except now and then, so that timers and
 * other streams have theirs; who found none is about to wait, and turns it there. */
void cvy_loop_looked(covey_loop *loop, bool found);

/* ---- timers ---- */

typedef struct cvy_timer cvy_timer;

/* [token] One shot: calls run(arg) on the token's thread, without the lock, once the deadline has passed. Set again moves it; CVY_NEVER
 * stops it. After cvy_timer_close run is not called any more; true: the memory goes in a later turn. timer may be NULL. */
int cvy_timer_open(covey_loop *loop, void (*run)(void *arg), void *arg, cvy_timer **ret);
void cvy_timer_set(cvy_timer *timer, cvy_deadline deadline);
bool cvy_timer_close(cvy_timer *timer);

/* ---- bells: wake-ups that anybody may give ---- */

typedef struct cvy_bell cvy_bell;

/* [token] run(arg) is called on the token's thread, without the lock, soon after cvy_bell_ring; several rings may be one call. A bell that is open
 * keeps a lent loop's uv_run going. cvy_bell_ring: any thread, and signal handlers (it takes no lock and no memory, and keeps errno).
 * cvy_bell_close: nobody rings any more, run is not called any more; closed(arg) comes in a later turn and is the last use of
 * arg. Errors: COVEY_ENOMEM, COVEY_ELIMIT. */
int cvy_bell_open(covey_loop *loop, void (*run)(void *arg), void (*closed)(void *arg), void *arg,
                  cvy_bell **ret);
void cvy_bell_ring(cvy_bell *bell);
void cvy_bell_close(cvy_bell *bell);

/* ---- callbacks of the user ---- */

typedef struct cvy_note {
  void (*run)(void *arg); /* on the user's thread, without locks */
  void *arg;
  /* run also gives back what nobody else would: it runs in the close of the loop too, and looks at cvy_loop_is_over */
  bool owns;
  struct cvy_note *next; /* private */
  bool queued;           /* private */
} cvy_note;

/* Notes a completion, whose callback the next covey_loop_dispatch runs (on a lent loop: a handle of ours inside the owner's uv_run). Lock
 * held. cvy_loop_unnote takes it back: false when it has run or runs now. */
void cvy_loop_note(covey_loop *loop, cvy_note *note);
bool cvy_loop_unnote(covey_loop *loop, cvy_note *note);

/* The program has closed the loop: no callback of the user runs any more. Lock held. */
bool cvy_loop_is_over(const covey_loop *loop);

/* ---- streams that are worth a look before sleeping ---- */

/* The leader looks at hot streams (cvos_io_look) for a bounded, adaptive time before it sleeps: at most 50 us, none where the system has one CPU,
 * and letting others run between two looks; that is what a sleep and wake-up cost. It then sleeps in the system, not in uv (cvos_watch_sleep):
 * bytes on a hot stream are told without a turn of uv, which has one after LOOKS_MAX of them and whenever something else woke the leader.
 * [token] hot: io just delivered bytes (the eight latest are looked at, none that has been silent while others delivered 64 times); expect: it is about
 * to, so the next sleep is put off for a look, whatever was learned; cold: before io is closed. */
struct cvos_io;
void cvy_loop_hot(covey_loop *loop, struct cvos_io *io);
void cvy_loop_expect(covey_loop *loop, struct cvos_io *io);
void cvy_loop_cold(covey_loop *loop, struct cvos_io *io);

#endif
