/* notice runs in signal handlers: atomics and cvy_bell_ring are all it may use. Subscriptions are in slots that it reads without a lock; whoever
 * closes one takes it out of its slot and then waits for the notices that read the slots right now. */
#include "proc/signal.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "loop/loop.h"
#include "loop/sync.h"
#include "os/interrupt.h"
#include "os/signal.h"
#include "os/thread.h"
#include "proc/process.h"

#include <string.h>

enum { SLOTS = 8 };

/* Two requests within this time are one: what sends both, a terminal and a parent, does so within a few ms, and nobody presses a key again that
 * fast. */
#define ONE_REQUEST_MS 100

/* What waits of one signal of a set. The words are atomic: how often it has come in the lower half; above it, for the order among signals, the ticket of the
 * first one. 0: nothing waits. */
typedef struct mark {
  int signal;
  uint64_t waiting; /* for next and on_event */
  uint64_t onward;  /* for cvy_onward */
  /* of the last one; atomic */
  uint64_t sender; /* pid below, uid above; UINT32_MAX: no uid */
  uint64_t until;  /* when the system ends us, on our clock; 0: never */
  uint32_t system;
  uint32_t flags;
} mark;

struct covey_signals {
  covey_loop *loop; /* a reference */
  cvy_bell *bell;
  mark *marks;
  size_t count;
  uint32_t flags;
  covey_signal_callback on_event;
  void *user;
  covey_cancel *cancel;
  cvy_onward onward;
  uint64_t asked; /* atomic: when the first INT or TERM came, on our clock; 0: none yet */

  uint32_t parent_told; /* atomic: PARENT is a fact, told once */

  /* under the loop's lock */
  bool open; /* events go onward from now on */
  bool closed;
  uint32_t holds; /* the bell, and a callback that is noted or runs */
  cvy_note note;
  cvy_task work;
};

typedef struct chunk {
  void *at[SLOTS]; /* covey_signals *, atomic */
  void *next;      /* chunk *, only ever appended */
} chunk;

static struct {
  chunk first;
  uint32_t reading; /* atomic: notices that read the slots */
  uint32_t tickets; /* atomic */
  /* under the global lock */
  uint32_t users[CVOS_INTERRUPT_COUNT]; /* subscriptions, by cvos_interrupt_index */
  uint32_t generation;                  /* cvos_fork_generation: a child of fork has none of its parent's */
} all;

/* ---- what comes in ---- */

static mark *find_mark(const covey_signals *s, int signal)
{
  for (size_t i = 0; i < s->count; i++)
    if (s->marks[i].signal == signal) return &s->marks[i];
  return NULL;
}

static void put(uint64_t *word, uint32_t ticket)
{
  uint64_t old = cvy_load_relaxed_u64(word), next;
  do {
    if ((uint32_t)old == UINT32_MAX) return;
    next = (uint32_t)old ? old + 1 : (uint64_t)ticket << 32 | 1;
  } while (!cvy_cas_u64(word, &old, next));
}

/* A further INT or TERM of a program that has not ended since the first. */
static bool is_second(covey_signals *s, int signal)
{
  if (signal != COVEY_SIGNAL_INT && signal != COVEY_SIGNAL_TERM) return false;
  uint64_t now = (uint64_t)cvy_now() + 1, first = 0;
  return !cvy_cas_u64(&s->asked, &first, now) && now >= first + ONE_REQUEST_MS;
}

static void put_all(covey_signals *s, mark *m, const cvos_interrupt *what, uint32_t ticket)
{
  uint32_t user = what->user < 0 ? UINT32_MAX : (uint32_t)what->user;
  cvy_store_relaxed_u64(&m->sender, (uint64_t)user << 32 | (uint32_t)what->sender);
  cvy_store_relaxed_u64(&m->until, what->bound < 0 ? 0 : (uint64_t)(cvy_now() + what->bound));
  cvy_store_relaxed_u32(&m->system, (uint32_t)what->system);
  cvy_store_relaxed_u32(&m->flags, what->by_system ? COVEY_SIGNAL_BY_SYSTEM : 0);
  if (s->onward.send) put(&m->onward, ticket);
  put(&m->waiting, ticket);
  cvy_bell_ring(s->bell);
}

static bool notice(const cvos_interrupt *what)
{
  bool taken = false, second = false, repeat = false;
  cvy_add_u32(&all.reading, 1);
  uint32_t ticket = cvy_add_u32(&all.tickets, 1);
  for (chunk *c = &all.first; c; c = cvy_load_seq_ptr(&c->next)) {
    for (int i = 0; i < SLOTS; i++) {
      covey_signals *s = cvy_load_seq_ptr(&c->at[i]);
      mark *m = s ? find_mark(s, what->signal) : NULL;
      if (!m) continue;
      if (what->signal == COVEY_SIGNAL_PARENT && cvy_exchange_u32(&s->parent_told, 1)) continue;
      taken = true;
      if (s->flags & COVEY_SIGNALS_REPEAT)
        repeat = true;
      else if (is_second(s, what->signal))
        second = true;
      put_all(s, m, what, ticket);
    }
  }
  cvy_add_u32(&all.reading, UINT32_MAX);
  return taken && (repeat || !second);
}

void cvy_signals_tell_parent(void)
{
  notice(&(cvos_interrupt){.signal = COVEY_SIGNAL_PARENT, .user = -1, .bound = -1});
}

/* ---- the list ---- */

/* Global lock held. False: out of memory. */
static bool list_add(covey_signals *s)
{
  chunk *c = &all.first;
  for (;;) {
    for (int i = 0; i < SLOTS; i++) {
      if (cvy_load_relaxed_ptr(&c->at[i])) continue;
      cvy_store_seq_ptr(&c->at[i], s);
      return true;
    }
    if (!c->next) {
      chunk *next = cvy_alloc_zero(1, sizeof *next);
      if (!next) return false;
      cvy_store_seq_ptr(&c->next, next);
    }
    c = c->next;
  }
}

static void list_remove(const covey_signals *s)
{
  for (chunk *c = &all.first; c; c = c->next)
    for (int i = 0; i < SLOTS; i++)
      if (cvy_load_relaxed_ptr(&c->at[i]) == s) cvy_store_seq_ptr(&c->at[i], NULL);
}

/* The first count signals of s are given back; global lock held. */
static void leave(const covey_signals *s, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    int index = cvos_interrupt_index(s->marks[i].signal);
    if (s->marks[i].signal == COVEY_SIGNAL_PARENT || --all.users[index]) continue;
    cvos_interrupt_leave(s->marks[i].signal);
  }
}

/* Takes the signals of s, which is in the list already; global lock held. */
static int take(const covey_signals *s)
{
  for (size_t i = 0; i < s->count; i++) {
    int signal = s->marks[i].signal, r;
    if (signal == COVEY_SIGNAL_PARENT) continue;
    int index = cvos_interrupt_index(signal);
    if (index < 0)
      r = COVEY_ENOTSUP;
    else
      r = all.users[index] ? 0 : cvos_interrupt_take(signal, notice);
    if (r < 0) {
      leave(s, i);
      return cvy_fail(r, COVEY_STAGE_OPEN, "signal %d", signal);
    }
    all.users[index]++;
  }
  return 0;
}

/* In a child of fork: what the parent subscribed to is not ours. Global lock held. */
static void forget_parents(void)
{
  uint32_t now = cvos_fork_generation();
  if (all.generation == now) return;
  all.generation = now;
  memset(all.users, 0, sizeof all.users);
  cvy_store_seq_u32(&all.reading, 0);
  for (chunk *c = &all.first; c; c = c->next)
    for (int i = 0; i < SLOTS; i++) cvy_store_seq_ptr(&c->at[i], NULL);
}

/* No notice knows a subscription any more that was taken out of the list. */
static void wait_for_notices(void)
{
  while (cvy_load_seq_u32(&all.reading)) cvos_thread_yield(); /* on one CPU the other one needs ours */
}

static int join(covey_signals *s)
{
  cvy_global_lock();
  forget_parents();
  int r = list_add(s) ? take(s) : cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  if (r < 0) list_remove(s);
  cvy_global_unlock();
  if (r < 0) wait_for_notices();
  return r;
}

static void part(const covey_signals *s)
{
  cvy_global_lock();
  list_remove(s);
  leave(s, s->count);
  cvy_global_unlock();
  wait_for_notices();
}

/* ---- the object ---- */

/* Takes the event whose first signal came first; of waiting words or of onward ones. */
static bool take_first(covey_signals *s, bool onward, covey_signal_event *ret)
{
  mark *first = NULL;
  uint32_t ticket = 0;
  for (size_t i = 0; i < s->count; i++) {
    uint64_t word = cvy_load_seq_u64(onward ? &s->marks[i].onward : &s->marks[i].waiting);
    uint32_t its = (uint32_t)(word >> 32);
    if ((uint32_t)word == 0 || (first && its - ticket < UINT32_MAX / 2)) continue;
    first = &s->marks[i];
    ticket = its;
  }
  if (!first) return false;
  uint32_t count = (uint32_t)cvy_exchange_u64(onward ? &first->onward : &first->waiting, 0);
  uint64_t sender = cvy_load_relaxed_u64(&first->sender), until = cvy_load_relaxed_u64(&first->until);
  uint32_t user = (uint32_t)(sender >> 32);
  *ret = (covey_signal_event){.signal = first->signal,
                              .system = (int)cvy_load_relaxed_u32(&first->system),
                              .count = count,
                              .flags = cvy_load_relaxed_u32(&first->flags),
                              .sender = (int64_t)(uint32_t)sender,
                              .user = user == UINT32_MAX ? -1 : (int64_t)user,
                              .left = until ? cvy_deadline_left((cvy_deadline)until) : COVEY_FOREVER};
  return true;
}

bool cvy_signals_ready(void *signals)
{
  covey_signals *s = signals;
  for (size_t i = 0; i < s->count; i++)
    if ((uint32_t)cvy_load_seq_u64(&s->marks[i].waiting)) return true;
  return false;
}

bool cvy_signals_take(covey_signals *signals, covey_signal_event *ret)
{
  return take_first(signals, false, ret);
}

covey_loop *cvy_signals_loop(const covey_signals *signals)
{
  return signals->loop;
}

static void scrap(covey_signals *s)
{
  covey_loop *loop = s->loop;
  if (s->onward.released) s->onward.released(s->onward.arg);
  cvy_free(s->marks);
  cvy_free(s);
  cvy_loop_release(loop);
}

/* The last use of s by the caller. */
static void unhold(covey_signals *s)
{
  cvy_loop_lock(s->loop);
  bool last = --s->holds == 0;
  cvy_loop_unlock(s->loop);
  if (last) scrap(s);
}

/* Loop's lock held. */
static void note_events(covey_signals *s)
{
  if (s->closed || !s->on_event || s->note.queued || !cvy_signals_ready(s)) return;
  s->holds++;
  cvy_loop_note(s->loop, &s->note);
}

/* A round of callbacks: at most one for each signal, so that a storm does not keep a dispatch for ever. */
static void call_back(void *arg)
{
  covey_signals *s = arg;
  covey_signal_event event;
  cvy_loop_lock(s->loop);
  for (size_t i = 0; i < s->count && !s->closed && cvy_signals_take(s, &event); i++) {
    cvy_loop_unlock(s->loop);
    s->on_event(&event, s->user);
    cvy_loop_lock(s->loop);
  }
  note_events(s);
  cvy_loop_unlock(s->loop);
  unhold(s);
}

/* [token] */
static void rung(void *arg)
{
  covey_signals *s = arg;
  covey_signal_event event;
  bool open;
  for (size_t i = 0; s->onward.send && i < s->count; i++) {
    cvy_loop_lock(s->loop);
    open = s->open && !s->closed;
    cvy_loop_unlock(s->loop);
    if (!open || !take_first(s, true, &event)) break;
    if (s->onward.send(s->onward.arg, &event)) continue;
    put(&find_mark(s, event.signal)->onward, cvy_load_relaxed_u32(&all.tickets));
    break;
  }
  cvy_loop_lock(s->loop);
  if (!s->closed) cvy_loop_changed(s->loop);
  note_events(s);
  cvy_loop_unlock(s->loop);
}

static void bell_closed(void *arg)
{
  unhold(arg);
}

/* [token] */
static void close_bell(void *arg)
{
  cvy_bell_close(((covey_signals *)arg)->bell);
}

static int open_bell(void *arg)
{
  covey_signals *s = arg;
  return cvy_bell_open(s->loop, rung, bell_closed, s, &s->bell);
}

/* ---- opening ---- */

static const int shutdown_set[] = {COVEY_SIGNAL_INT,      COVEY_SIGNAL_TERM,  COVEY_SIGNAL_QUIT,
                                   COVEY_SIGNAL_HUP,      COVEY_SIGNAL_CLOSE, COVEY_SIGNAL_LOGOFF,
                                   COVEY_SIGNAL_SHUTDOWN, COVEY_SIGNAL_PARENT};

/* The number under which a signal is known, whatever it was called; negative: refused, recorded. */
static int canonical(int signal)
{
  if (signal >= COVEY_SIGNAL_CLOSE && signal <= COVEY_SIGNAL_PARENT) return signal;
  if (signal < 1 || (signal > COVEY_SIGNAL_TSTP && signal <= COVEY_SIGNAL_RAW))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d", signal);
  int system = cvos_signal_to_system(signal);
  if (signal > COVEY_SIGNAL_RAW && system <= 0)
    return cvy_fail(CVOS_WINDOWS ? COVEY_ENOTSUP : COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d", signal);
  if (system > 0) signal = cvos_signal_from_system(system);
  switch (signal) {
  case COVEY_SIGNAL_KILL:
  case COVEY_SIGNAL_STOP:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d cannot be handled", signal);
  case COVEY_SIGNAL_ILL:
  case COVEY_SIGNAL_FPE:
  case COVEY_SIGNAL_SEGV:
  case COVEY_SIGNAL_BUS:
  case COVEY_SIGNAL_TRAP:
  case COVEY_SIGNAL_ABRT:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d is a fault of the program", signal);
  case COVEY_SIGNAL_CHLD:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d belongs to those who wait for children",
                    signal);
  default: return signal;
  }
}

static bool is_spared(const covey_signals_options *o, int signal)
{
  return (o->flags & COVEY_SIGNALS_SPARE) && signal != COVEY_SIGNAL_PARENT &&
         !cvos_interrupt_is_default(signal);
}

/* Fills marks, each signal once. */
static int fill_set(covey_signals *s, const covey_signals_options *o)
{
  const int *set = o->signals ? o->signals : shutdown_set;
  size_t count = o->signals ? o->count : sizeof shutdown_set / sizeof shutdown_set[0];
  if (!(s->marks = cvy_alloc_zero(count, sizeof *s->marks)))
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  for (size_t i = 0; i < count; i++) {
    int signal = canonical(set[i]);
    if (signal < 0) return signal;
    if (!find_mark(s, signal) && !is_spared(o, signal)) s->marks[s->count++].signal = signal;
  }
  return 0;
}

static const covey_signals_options none;

int cvy_signals_check(const covey_signals_options *options, covey_signals *const *ret)
{
  const covey_signals_options *o = options ? options : &none;
  if (!ret) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_signals is NULL");
  if (o->signals ? o->count < 1 || o->count > CVY_SIGNAL_SET_MOST : o->count != 0)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "count %llu", (unsigned long long)o->count);
  if (o->flags & ~(uint32_t)(COVEY_SIGNALS_REPEAT | COVEY_SIGNALS_SPARE))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags 0x%x", (unsigned)o->flags);
  if (o->reserved0 || !cvy_is_zero(o->reserved, 8))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_signals_options");
  for (size_t i = 0; i < o->count; i++) {
    int r = canonical(o->signals[i]);
    if (r < 0) return r;
  }
  return 0;
}

static bool pass_to_process(void *arg, const covey_signal_event *event)
{
  cvy_signal_pass(arg, event);
  return true;
}

static void release_process(void *arg)
{
  covey_process_close(arg);
}

/* From here on s is ended like any other, but for onward, which stays the caller's. */
static void open_failed(covey_signals *s)
{
  s->onward.released = NULL;
  cvy_loop_lock(s->loop);
  s->closed = true;
  cvy_loop_post(s->loop, &s->work);
  cvy_loop_unlock(s->loop);
}

int cvy_signals_open(const covey_signals_options *options, const cvy_onward *onward, covey_signals **ret)
{
  const covey_signals_options *o = options ? options : &none;
  covey_loop *loop;
  int r = cvy_signals_check(o, ret);
  if (r == 0 && o->forward) r = cvy_loop_check(o->forward->loop);
  if (r == 0) r = cvy_loop_acquire(o->loop, &loop);
  if (r < 0) return r;
  covey_signals *s = cvy_alloc_zero(1, sizeof *s);
  if (!s) {
    cvy_loop_release(loop);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  }
  *s = (covey_signals){.loop = loop, .flags = o->flags, .on_event = o->on_event, .user = o->user};
  s->cancel = o->cancel;
  s->holds = 1;
  s->note = (cvy_note){.run = call_back, .arg = s};
  s->work = (cvy_task){.run = close_bell, .arg = s};
  r = fill_set(s, o);
  if (r == 0 && (r = cvy_loop_call(loop, open_bell, s)) < 0) cvy_fail(r, COVEY_STAGE_OPEN, "signals");
  if (r < 0) {
    scrap(s);
    return r;
  }
  if (onward) s->onward = *onward;
  if (o->forward) s->onward = (cvy_onward){pass_to_process, release_process, o->forward};
  if ((r = join(s)) < 0) {
    open_failed(s);
    return r;
  }
  if (o->forward) cvy_process_ref(o->forward);
  cvy_loop_lock(loop);
  s->open = true;
  cvy_loop_unlock(loop);
  cvy_bell_ring(s->bell);
  *ret = s;
  return 0;
}

void cvy_signals_again(covey_signals *signals)
{
  cvy_bell_ring(signals->bell);
}

/* ---- the calls ---- */

int covey_signals_next(covey_signals *signals, int64_t timeout, covey_signal_event *ret_event)
{
  covey_signals *s = signals;
  covey_signal_event event;
  if (!s) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signals is NULL");
  int r = cvy_timeout_check(timeout);
  if (r < 0 || (r = cvy_loop_check(s->loop)) < 0) return r;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  cvy_loop_lock(s->loop);
  do {
    r = cvy_loop_wait(s->loop, cvy_signals_ready, s, deadline, s->cancel);
  } while (r == 0 && !cvy_signals_take(s, &event));
  cvy_loop_unlock(s->loop);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "no signal");
  if (s->on_event) s->on_event(&event, s->user);
  if (ret_event) *ret_event = event;
  return 0;
}

void covey_signals_close(covey_signals *signals)
{
  covey_signals *s = signals;
  if (!s || cvy_loop_check(s->loop) < 0) return;
  part(s);
  cvy_loop_lock(s->loop);
  s->closed = true;
  if (cvy_loop_unnote(s->loop, &s->note)) s->holds--; /* the bell holds it */
  cvy_loop_post(s->loop, &s->work);
  cvy_loop_unlock(s->loop);
}
