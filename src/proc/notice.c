/* notice runs in signal handlers: atomics and cvy_bell_ring are all it may use. Subscriptions are in slots that it reads without a lock; whoever
 * closes one takes it out of its slot and then waits for the notices that read the slots right now. */
#include "proc/notice.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "os/interrupt.h"
#include "os/thread.h"

#include <string.h>

enum { SLOTS = 8 };

/* Two requests within this time are one: what sends both, a terminal and a parent, does so within a few ms, and nobody presses a key again that
 * fast. */
#define ONE_REQUEST_MS 100

typedef struct chunk {
  void *at[SLOTS]; /* cvy_notices *, atomic */
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

static cvy_mark *find_mark(const cvy_notices *n, int signal)
{
  for (size_t i = 0; i < n->count; i++)
    if (n->marks[i].signal == signal) return &n->marks[i];
  return NULL;
}

void cvy_notices_add(cvy_notices *n, int signal)
{
  if (!find_mark(n, signal)) n->marks[n->count++].signal = signal;
}

static void put(cvy_u64 *word, uint32_t ticket)
{
  cvy_u64 old = cvy_load_relaxed_u64(word), next;
  do {
    if ((uint32_t)old == UINT32_MAX) return;
    next = (uint32_t)old ? old + 1 : (uint64_t)ticket << 32 | 1;
  } while (!cvy_cas_u64(word, &old, next));
}

/* A further INT or TERM of a program that has not ended since the first. */
static bool is_second(cvy_notices *n, int signal)
{
  if (signal != COVEY_SIGNAL_INT && signal != COVEY_SIGNAL_TERM) return false;
  cvy_u64 now = (cvy_u64)cvy_now() + 1, first = 0;
  return !cvy_cas_u64(&n->asked, &first, now) && now >= first + ONE_REQUEST_MS;
}

static void put_all(cvy_notices *n, cvy_mark *m, const cvos_interrupt *what, uint32_t ticket)
{
  uint32_t user = what->user < 0 ? UINT32_MAX : (uint32_t)what->user;
  cvy_store_relaxed_u64(&m->sender, (uint64_t)user << 32 | (uint32_t)what->sender);
  cvy_store_relaxed_u64(&m->until, what->bound < 0 ? 0 : (uint64_t)(cvy_now() + what->bound));
  cvy_store_relaxed_u32(&m->system, (uint32_t)what->system);
  cvy_store_relaxed_u32(&m->flags, what->by_system ? COVEY_SIGNAL_BY_SYSTEM : 0);
  if (n->onward) put(&m->onward, ticket);
  put(&m->waiting, ticket);
  cvy_bell_ring(n->bell);
}

static bool notice(const cvos_interrupt *what)
{
  bool taken = false, second = false, repeat = false;
  cvy_add_u32(&all.reading, 1);
  uint32_t ticket = cvy_add_u32(&all.tickets, 1);
  for (chunk *c = &all.first; c; c = cvy_load_seq_ptr(&c->next)) {
    for (int i = 0; i < SLOTS; i++) {
      cvy_notices *n = cvy_load_seq_ptr(&c->at[i]);
      cvy_mark *m = n ? find_mark(n, what->signal) : NULL;
      if (!m) continue;
      if (what->signal == COVEY_SIGNAL_PARENT && cvy_exchange_u32(&n->parent_told, 1)) continue;
      taken = true;
      if (n->repeat)
        repeat = true;
      else if (is_second(n, what->signal))
        second = true;
      put_all(n, m, what, ticket);
    }
  }
  cvy_add_u32(&all.reading, UINT32_MAX);
  return taken && (repeat || !second);
}

void cvy_notice_parent(void)
{
  notice(&(cvos_interrupt){.signal = COVEY_SIGNAL_PARENT, .user = -1, .bound = -1});
}

/* ---- the list ---- */

/* Global lock held. False: out of memory. */
static bool list_add(cvy_notices *n)
{
  chunk *c = &all.first;
  for (;;) {
    for (int i = 0; i < SLOTS; i++) {
      if (cvy_load_relaxed_ptr(&c->at[i])) continue;
      cvy_store_seq_ptr(&c->at[i], n);
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

static void list_remove(const cvy_notices *n)
{
  for (chunk *c = &all.first; c; c = c->next)
    for (int i = 0; i < SLOTS; i++)
      if (cvy_load_relaxed_ptr(&c->at[i]) == n) cvy_store_seq_ptr(&c->at[i], NULL);
}

/* The first count signals of n are given back; global lock held. */
static void leave(const cvy_notices *n, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    int index = cvos_interrupt_index(n->marks[i].signal);
    if (n->marks[i].signal == COVEY_SIGNAL_PARENT || --all.users[index]) continue;
    cvos_interrupt_leave(n->marks[i].signal);
  }
}

/* Takes the signals of n, which is in the list already; global lock held. */
static int take(const cvy_notices *n)
{
  for (size_t i = 0; i < n->count; i++) {
    int signal = n->marks[i].signal, r;
    if (signal == COVEY_SIGNAL_PARENT) continue;
    int index = cvos_interrupt_index(signal);
    if (index < 0)
      r = COVEY_ENOTSUP;
    else
      r = all.users[index] ? 0 : cvos_interrupt_take(signal, notice);
    if (r < 0) {
      leave(n, i);
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

int cvy_notices_join(cvy_notices *n)
{
  cvos_global_lock();
  forget_parents();
  int r = list_add(n) ? take(n) : cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  if (r < 0) list_remove(n);
  cvos_global_unlock();
  if (r < 0) wait_for_notices();
  return r;
}

void cvy_notices_part(const cvy_notices *n)
{
  cvos_global_lock();
  list_remove(n);
  leave(n, n->count);
  cvos_global_unlock();
  wait_for_notices();
}

/* ---- what has come ---- */

bool cvy_notices_take(cvy_notices *n, bool onward, covey_signal_event *ret)
{
  cvy_mark *first = NULL;
  uint32_t ticket = 0;
  for (size_t i = 0; i < n->count; i++) {
    uint64_t word = cvy_load_seq_u64(onward ? &n->marks[i].onward : &n->marks[i].waiting);
    uint32_t its = (uint32_t)(word >> 32);
    if ((uint32_t)word == 0 || (first && its - ticket < UINT32_MAX / 2)) continue;
    first = &n->marks[i];
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

bool cvy_notices_wait(const cvy_notices *n)
{
  for (size_t i = 0; i < n->count; i++)
    if ((uint32_t)cvy_load_seq_u64(&n->marks[i].waiting)) return true;
  return false;
}

void cvy_notices_put_back(cvy_notices *n, int signal)
{
  put(&find_mark(n, signal)->onward, cvy_load_relaxed_u32(&all.tickets));
}
