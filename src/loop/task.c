/* Work for the token's thread, the helper thread that has the token while nobody else does, and callbacks of the user. */
#include "core/error.h"
#include "core/mem.h"
#include "loop/state.h"

/* ---- tasks ---- */

void cvy_loop_post(covey_loop *loop, cvy_task *task)
{
  if (task->queued) return;
  task->queued = true;
  task->next = NULL;
  *(loop->tasks_last ? &loop->tasks_last->next : &loop->tasks) = task;
  loop->tasks_last = task;
  cvy_token_wake(loop);
  if (loop->pollable) cvos_pollable_mark(loop->pollable);
  if (loop->holder || loop->waiters) return;
  loop->helper_now = true;
  cvy_helper_poke(loop);
}

bool cvy_loop_unpost(covey_loop *loop, cvy_task *task)
{
  if (!task->queued) return false;
  cvy_task *before = NULL;
  for (cvy_task *t = loop->tasks; t != task; t = t->next) before = t;
  *(before ? &before->next : &loop->tasks) = task->next;
  if (loop->tasks_last == task) loop->tasks_last = before;
  task->queued = false;
  return true;
}

void cvy_token_run_tasks(covey_loop *loop)
{
  cvy_task *last = loop->tasks_last;
  for (cvy_task *t; (t = loop->tasks);) {
    loop->tasks = t->next;
    if (!loop->tasks) loop->tasks_last = NULL;
    t->queued = false;
    bool done = t == last;
    cvy_task copy = *t; /* it may be posted again, or be gone, as soon as the lock is free */
    loop->activity++;
    uv_mutex_unlock(&loop->lock);
    copy.run(copy.arg);
    uv_mutex_lock(&loop->lock);
    if (done) return; /* what was posted meanwhile is the next call's */
  }
}

struct call {
  cvy_task task;
  covey_loop *loop;
  int (*fn)(void *arg);
  void *arg;
  int result;
  bool done;
};

static void call_run(void *arg)
{
  struct call *c = arg;
  int result = c->fn(c->arg);
  uv_mutex_lock(&c->loop->lock);
  covey_loop *loop = c->loop;
  c->result = result;
  c->done = true;
  cvy_loop_changed(loop);
  uv_mutex_unlock(&loop->lock);
}

static bool call_done(void *arg)
{
  return ((struct call *)arg)->done;
}

int cvy_loop_call(covey_loop *loop, int (*fn)(void *arg), void *arg)
{
  if (cvy_loop_has_token(loop)) return fn(arg);
  struct call c = {.task = {.run = call_run}, .loop = loop, .fn = fn, .arg = arg};
  c.task.arg = &c;
  uv_mutex_lock(&loop->lock);
  if (cvy_token_take(loop, NULL)) {
    uv_mutex_unlock(&loop->lock);
    c.result = fn(arg);
    uv_mutex_lock(&loop->lock);
    cvy_token_give(loop);
  } else {
    cvy_loop_post(loop, &c.task);
    int r = cvy_loop_wait(loop, call_done, &c, CVY_NEVER, NULL);
    if (r < 0 && cvy_loop_unpost(loop, &c.task))
      c.result = r;
    else
      while (!c.done) r = cvy_loop_wait(loop, call_done, &c, CVY_NEVER, NULL);
  }
  uv_mutex_unlock(&loop->lock);
  return c.result;
}

bool cvy_loop_enter(covey_loop *loop)
{
  return loop->kind != LOOP_LENT && !loop->waiters && cvy_token_take(loop, NULL);
}

void cvy_loop_leave(covey_loop *loop)
{
  uv_mutex_lock(&loop->lock);
  cvy_token_turn(loop, UV_RUN_NOWAIT);
  cvy_token_give(loop);
  uv_mutex_unlock(&loop->lock);
}

void cvy_loop_looked(covey_loop *loop, bool found)
{
  uv_mutex_lock(&loop->lock);
  if (found && ++loop->looks >= LOOKS_MAX) {
    loop->looks = 0;
    cvy_token_turn(loop, UV_RUN_NOWAIT);
  }
  cvy_token_give(loop);
  uv_mutex_unlock(&loop->lock);
}

/* ---- the helper thread ---- */

/* Leaves when a thread of the program waits or wants the token, and when the loop is over. */
static void helper_lead(covey_loop *loop)
{
  loop->helper_leads = true;
  loop->helper_now = false;
  for (;;) {
    while (loop->tasks) cvy_token_run_tasks(loop);
    if (loop->helper_quit || loop->waiters || loop->orphan) break;
    cvy_token_turn(loop, UV_RUN_ONCE);
  }
  cvy_token_give(loop);
  loop->helper_leads = false;
}

static void helper_main(void *arg)
{
  covey_loop *loop = arg;
  uv_mutex_lock(&loop->lock);
  while (!loop->helper_quit && !loop->orphan) {
    uint64_t since = uv_hrtime() - loop->left_ns, pause = HELPER_PAUSE_MS * (uint64_t)1000000;
    if (loop->holder || loop->waiters) {
      /* Who left a moment ago does so again: it should not have to wake us each time. */
      if (since < HELPER_AWAKE_MS * (uint64_t)1000000) {
        uv_cond_timedwait(&loop->helper_cond, &loop->lock, pause);
        continue;
      }
      loop->helper_dozing = true;
      uv_cond_wait(&loop->helper_cond, &loop->lock);
      loop->helper_dozing = false;
      continue;
    }
    if (!loop->helper_now && since < pause) {
      uv_cond_timedwait(&loop->helper_cond, &loop->lock, pause - since);
      continue;
    }
    if (cvy_token_take(loop, NULL)) helper_lead(loop);
  }
  bool quit = loop->helper_quit;
  uv_mutex_unlock(&loop->lock);
  if (quit) return;
  /* The last reference went away in a callback on this thread: nobody is left to join it. */
  cvos_thread *self = loop->helper;
  loop->helper = NULL;
  cvy_loop_destroy(loop);
  cvos_thread_detach(self);
}

void cvy_helper_poke(covey_loop *loop)
{
  if (loop->no_thread || loop->kind != LOOP_OWN) return;
  if (!loop->helper) {
    /* Without a thread events still come while somebody waits; the next need tries again. */
    loop->helper_quit = false;
    if (cvos_thread_start("covey-loop", helper_main, loop, &loop->helper)) loop->helper = NULL;
  } else if (loop->helper_dozing || loop->helper_now) {
    uv_cond_signal(&loop->helper_cond);
  }
}

void cvy_helper_stop(covey_loop *loop)
{
  cvos_thread *helper = loop->helper;
  loop->no_thread = true;
  loop->helper = NULL;
  if (!helper) return;
  loop->helper_quit = true;
  uv_cond_signal(&loop->helper_cond);
  cvy_token_wake(loop);
  uv_mutex_unlock(&loop->lock);
  cvos_thread_join(helper);
  uv_mutex_lock(&loop->lock);
}

/* ---- notes ---- */

void cvy_loop_note(covey_loop *loop, cvy_note *note)
{
  if (note->queued) return;
  note->queued = true;
  note->next = NULL;
  *(loop->notes_last ? &loop->notes_last->next : &loop->notes) = note;
  loop->notes_last = note;
  if (loop->awaited) cvy_loop_changed(loop);
  if (loop->pollable) cvos_pollable_mark(loop->pollable);
  if (loop->kind == LOOP_LENT) cvy_token_wake(loop);
}

bool cvy_loop_unnote(covey_loop *loop, cvy_note *note)
{
  if (!note->queued) return false;
  cvy_note *before = NULL;
  for (cvy_note *n = loop->notes; n != note; n = n->next) before = n;
  *(before ? &before->next : &loop->notes) = note->next;
  if (loop->notes_last == note) loop->notes_last = before;
  note->queued = false;
  return true;
}

int cvy_notes_run(covey_loop *loop)
{
  int count = 0, most = 0;
  for (cvy_note *n = loop->notes; n; n = n->next) most++;
  for (cvy_note *n; count < most && !loop->over && (n = loop->notes); count++) {
    loop->notes = n->next;
    if (!loop->notes) loop->notes_last = NULL;
    n->queued = false;
    cvy_note copy = *n;
    uv_mutex_unlock(&loop->lock);
    copy.run(copy.arg);
    uv_mutex_lock(&loop->lock);
  }
  if (loop->notes && !loop->over) {
    if (loop->pollable) cvos_pollable_mark(loop->pollable);
    if (loop->kind == LOOP_LENT) cvy_token_wake(loop);
  }
  return count;
}

bool cvy_loop_is_over(const covey_loop *loop)
{
  return loop->over;
}

void cvy_notes_close(covey_loop *loop)
{
  loop->over = true;
  if (loop->awaited) cvy_loop_changed(loop);
  for (cvy_note *n = loop->notes; n;) {
    cvy_note copy = *n;
    if (!copy.owns) {
      n = copy.next;
      continue;
    }
    cvy_loop_unnote(loop, n);
    uv_mutex_unlock(&loop->lock);
    copy.run(copy.arg);
    uv_mutex_lock(&loop->lock);
    n = loop->notes; /* anything may have gone meanwhile */
  }
}
