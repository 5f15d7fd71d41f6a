/* Who runs the loop. See loop.h for the rules and state.h for the fields. */
#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "loop/state.h"

#include <errno.h>

void *cvy_loop_self(void)
{
  static CVOS_THREAD_LOCAL char self;
  return &self;
}

bool cvy_loop_has_token(const covey_loop *loop)
{
  return cvy_load_relaxed_ptr(&loop->holder) == cvy_loop_self();
}

/* ---- the list of waiters ---- */

static void waiter_add(covey_loop *loop, waiter *w)
{
  w->prev = loop->waiters_last;
  w->next = NULL;
  *(w->prev ? &w->prev->next : &loop->waiters) = w;
  loop->waiters_last = w;
}

static void waiter_calm(covey_loop *loop, waiter *w)
{
  if (w->urgent) loop->urgent--;
  w->urgent = false;
}

static void waiter_remove(covey_loop *loop, waiter *w)
{
  *(w->prev ? &w->prev->next : &loop->waiters) = w->next;
  *(w->next ? &w->next->prev : &loop->waiters_last) = w->prev;
  if (loop->heir == w) loop->heir = NULL;
  waiter_calm(loop, w);
  if (w->has_cond) uv_cond_destroy(&w->cond);
}

static void waiter_tell(waiter *w)
{
  if (!w->has_cond || w->told) return;
  w->told = true;
  uv_cond_signal(&w->cond);
}

/* Sleeps until told, for at most ns. 0, or COVEY_ENOMEM when the condition could not be made. */
static int waiter_sleep(covey_loop *loop, waiter *w, uint64_t ns)
{
  if (!w->has_cond) {
    if (uv_cond_init(&w->cond)) return COVEY_ENOMEM;
    w->has_cond = true;
  }
  w->told = false;
  if (ns == UINT64_MAX)
    uv_cond_wait(&w->cond, &loop->lock);
  else
    uv_cond_timedwait(&w->cond, &loop->lock, ns);
  w->told = false;
  if (loop->heir == w) loop->heir = NULL;
  return 0;
}

/* ---- the token ---- */

bool cvy_token_take(covey_loop *loop, const waiter *w)
{
  if (loop->holder || (loop->heir && loop->heir != w && loop->heir->urgent)) return false;
  cvy_store_relaxed_ptr(&loop->holder, cvy_loop_self());
  return true;
}

/* Tells the thread that should have a free token: one that is in a hurry, else one whose wish is not met yet, else the helper. Those whose wish
 * is met go, and pass it on. */
void cvy_token_successor(covey_loop *loop)
{
  if (loop->holder || (loop->heir && (loop->heir->urgent || !loop->urgent))) return;
  waiter *w = loop->waiters;
  if (loop->urgent) {
    while (w && !w->urgent) w = w->next;
  } else {
    for (; w; w = w->next) {
      if (w->told) continue;
      if (!w->met(w->arg)) break;
      waiter_tell(w);
    }
  }
  if (w) {
    loop->heir = w;
    waiter_tell(w);
  } else if (!loop->waiters) {
    if (loop->tasks) loop->helper_now = true;
    cvy_helper_poke(loop);
  }
}

void cvy_token_give(covey_loop *loop)
{
  while (loop->tasks) cvy_token_run_tasks(loop);
  if (loop->pollable && !loop->dispatching) cvos_pollable_mark(loop->pollable);
  if (!loop->helper_leads) loop->left_ns = uv_hrtime();
  cvy_store_relaxed_ptr(&loop->holder, NULL);
  cvy_token_successor(loop);
}

void cvy_token_wake(covey_loop *loop)
{
  if (loop->kind == LOOP_LENT) {
    /* What the owner itself leaves is work that its uv_run is not to end without. */
    if (cvy_loop_has_token(loop)) uv_ref((uv_handle_t *)&loop->wake);
    if (!cvy_exchange_u32(&loop->wake_sent, 1)) uv_async_send(&loop->wake);
    return;
  }
  if (!loop->polling || cvy_exchange_u32(&loop->wake_sent, 1)) return;
  if (!cvy_loop_has_token(loop))
    uv_async_send(&loop->wake);
  else if (!loop->looking)
    uv_stop(loop->uv);
}

void cvy_token_turn(covey_loop *loop, uv_run_mode mode)
{
  cvy_store_relaxed_u32(&loop->wake_sent, 0);
  loop->polling = true;
  loop->looks = 0;
  uv_mutex_unlock(&loop->lock);
  if (loop->kind != LOOP_LENT) cvos_watch_arm(loop->uv);
  uv_run(loop->uv, mode);
  /* Windows leaves the packets that a poll brought to the next run; nobody else would see them. */
  for (int i = 0; i < 4 && uv_backend_timeout(loop->uv) == 0; i++) uv_run(loop->uv, UV_RUN_NOWAIT);
  uv_mutex_lock(&loop->lock);
  loop->polling = false;
}

void cvy_loop_poke(covey_loop *loop)
{
  int kept = errno;
  cvy_store_seq_u32(&loop->poked, 1);
  cvy_async_send(&loop->wake);
  errno = kept;
}

/* On the token's thread. Cancel objects wake the loop without its lock, so their waiters are looked for here. */
void cvy_token_on_wake(uv_async_t *wake)
{
  covey_loop *loop = wake->data;
  cvy_fence(); /* see cvy_async_send */
  uv_mutex_lock(&loop->lock);
  for (waiter *w = loop->waiters; w; w = w->next)
    if (w != loop->leader && cvy_cancel_fired(w->cancel)) waiter_tell(w);
  if (cvy_exchange_u32(&loop->poked, 0)) cvy_loop_changed(loop);
  if (loop->kind == LOOP_LENT) {
    if (!loop->over) uv_unref((uv_handle_t *)wake);
    cvy_store_relaxed_u32(&loop->wake_sent, 0);
    cvy_token_run_tasks(loop);
    cvy_notes_run(loop);
  }
  uv_mutex_unlock(&loop->lock);
}

/* ---- waiting ---- */

void cvy_loop_changed(covey_loop *loop)
{
  for (waiter *w = loop->waiters; w; w = w->next) {
    if (w != loop->leader && w->told) continue;
    if (!w->met(w->arg)) continue;
    if (w == loop->leader)
      cvy_token_wake(loop);
    else
      waiter_tell(w);
  }
}

/* A turn begins with the timers that are due: the deadline may pass there, before the poll, which nothing else would end. */
static void on_lead_timer(uv_timer_t *timer)
{
  uv_stop(timer->loop);
}

/* The verdict on a wait: 0, an error, or 1: go on. turned: the loop has turned since entry. */
static int verdict(const waiter *w, cvy_deadline deadline, bool turned)
{
  if (w->met(w->arg)) return 0;
  if (cvy_cancel_fired(w->cancel)) return COVEY_ECANCELED;
  return turned && cvy_deadline_passed(deadline) ? COVEY_ETIMEDOUT : 1;
}

static void turn_until(covey_loop *loop, cvy_deadline deadline)
{
  if (deadline != CVY_NEVER) {
    int64_t base = (int64_t)uv_now(loop->uv);
    uv_timer_start(&loop->lead_timer, on_lead_timer, deadline > base ? (uint64_t)(deadline - base) : 0, 0);
  }
  cvy_token_turn(loop, UV_RUN_ONCE);
  if (deadline != CVY_NEVER) uv_timer_stop(&loop->lead_timer);
}

/* One look, one sleep or one turn of the leader. */
static void lead_turn(covey_loop *loop, const waiter *w, cvy_deadline deadline, bool turned)
{
  uint64_t now = uv_hrtime();
  bool wait = !loop->urgent && (deadline == CVY_NEVER || (int64_t)(now / 1000000) < deadline);
  if (wait && (loop->hot_count || cvos_watch_alone(loop->uv))) {
    switch (cvy_hot_look(loop, now)) {
    case HOT_FOUND: return;
    case HOT_NOTHING:
      now = uv_hrtime();
      /* What happened during the look is seen to before sleeping. */
      if (loop->tasks || loop->urgent || verdict(w, deadline, turned) <= 0) return;
      break;
    case HOT_OFF: break;
    case HOT_TURN: wait = false; break;
    }
    switch (wait ? cvy_hot_sleep(loop, now, deadline) : HOT_TURN) {
    case HOT_FOUND: return;
    case HOT_TURN: wait = false; break;
    default: break;
    }
  }
  if (wait)
    turn_until(loop, deadline);
  else
    cvy_token_turn(loop, UV_RUN_NOWAIT);
}

/* Runs the loop with the token until there is a verdict, or somebody in a hurry wants it; but for one turn at least, or several who are in a
 * hurry would hand the token round for ever. At entry the verdict is to go on. */
static int lead(covey_loop *loop, waiter *w, cvy_deadline deadline, bool *turned)
{
  bool led = false;
  int r = 1;
  loop->leader = w;
  waiter_calm(loop, w);
  for (;;) {
    bool look = led || loop->tasks;
    while (loop->tasks) cvy_token_run_tasks(loop);
    if (look) r = verdict(w, deadline, *turned);
    if (r <= 0 || (loop->urgent && led)) break;
    lead_turn(loop, w, deadline, *turned);
    led = *turned = true;
  }
  loop->leader = NULL;
  return r;
}

/* Follows whoever has the token, until told or for as long as it makes sense. */
static int follow(covey_loop *loop, waiter *w, cvy_deadline deadline, bool *turned)
{
  bool passed = cvy_deadline_passed(deadline);
  uint64_t ns = UINT64_MAX;
  if (passed) {
    if (!w->urgent) loop->urgent++;
    w->urgent = true;
  } else if (deadline != CVY_NEVER) {
    ns = (uint64_t)cvy_deadline_left(deadline);
    ns = ns > UINT64_MAX / 1000000 ? UINT64_MAX : ns * 1000000;
  }
  /* An owner that does not turn its loop would not notice a cancel: look ourselves. */
  if (loop->kind == LOOP_LENT && w->cancel && ns > 50000000) ns = 50000000;
  if (loop->holder && (passed || loop->helper_leads)) cvy_token_wake(loop);
  int r = waiter_sleep(loop, w, ns);
  if (!passed) *turned = *turned || cvy_deadline_passed(deadline);
  return r;
}

int cvy_loop_wait(covey_loop *loop, cvy_predicate met, void *arg, cvy_deadline deadline, covey_cancel *cancel)
{
  waiter w = {.met = met, .arg = arg, .cancel = cancel};
  bool turned = loop->kind == LOOP_LENT;
  int r = verdict(&w, deadline, turned || cvy_loop_has_token(loop));
  if (r <= 0) return r;
  if (cvy_loop_has_token(loop)) return COVEY_EDEADLK;
  void **slot = NULL;
  if (cancel) CVY_STEP(WAITS);
  if (cancel && cvy_cancel_join(cancel, &loop->wake, &slot)) return COVEY_ENOMEM;
  if (cvy_cancel_fired(cancel)) { /* before it knew of us: nobody would wake us */
    cvy_cancel_leave(cancel, slot);
    return COVEY_ECANCELED;
  }
  waiter_add(loop, &w);
  do {
    if (cvy_token_take(loop, &w)) {
      r = lead(loop, &w, deadline, &turned);
      if (r <= 0) break;
      cvy_token_give(loop);
    } else {
      r = follow(loop, &w, deadline, &turned);
      if (r < 0) break;
    }
    r = verdict(&w, deadline, turned);
  } while (r > 0);
  waiter_remove(loop, &w);
  if (slot) cvy_cancel_leave(cancel, slot);
  if (loop->kind != LOOP_LENT && cvy_loop_has_token(loop))
    cvy_token_give(loop);
  else
    cvy_token_successor(loop);
  return r;
}

void cvy_loop_linger(covey_loop *loop, cvy_predicate met, void *arg)
{
  while (!met(arg)) {
    while (loop->tasks && cvy_loop_has_token(loop)) cvy_token_run_tasks(loop);
    uv_mutex_unlock(&loop->lock);
    uv_sleep(1);
    uv_mutex_lock(&loop->lock);
  }
}

static bool never(void *arg)
{
  (void)arg;
  return false;
}

int cvy_token_demand(covey_loop *loop)
{
  if (cvy_loop_has_token(loop)) return COVEY_EDEADLK;
  waiter w = {.met = never};
  int r = 0;
  bool turned = false;
  waiter_add(loop, &w);
  while (r >= 0 && !cvy_token_take(loop, &w)) r = follow(loop, &w, 0, &turned);
  waiter_remove(loop, &w);
  if (r < 0) cvy_token_successor(loop);
  return r;
}
