/* Who runs the callbacks: the handle of foreign loops, the dispatch, and the wait of programs that have no loop. */
#include "core/error.h"
#include "loop/state.h"

static int open_pollable(covey_loop *loop)
{
  bool no_thread = loop->no_thread;
  cvy_helper_stop(loop);
  int r = cvy_token_demand(loop);
  if (r) {
    loop->no_thread = no_thread;
    return r;
  }
  if (!loop->pollable) {
    r = cvos_pollable_open(loop->uv, &loop->pollable);
    if (!r)
      cvos_pollable_mark(loop->pollable);
    else
      loop->no_thread = no_thread; /* nobody will dispatch */
  }
  cvy_token_give(loop);
  return r;
}

/* The loop of a public call, which must be one that the program turns by such calls; with its lock. what: for the record. */
static int enter(covey_loop *loop, const char *what, covey_loop **ret)
{
  int r = cvy_loop_acquire(loop, &loop);
  if (r) return r;
  if (loop->kind == LOOP_LENT || cvy_loop_has_token(loop)) {
    r = loop->kind == LOOP_LENT ? COVEY_ENOTSUP : COVEY_EDEADLK;
    cvy_loop_release(loop);
    return cvy_fail(r, COVEY_STAGE_NONE, "%s", what);
  }
  uv_mutex_lock(&loop->lock);
  *ret = loop;
  return 0;
}

static int leave(covey_loop *loop, int r, const char *what)
{
  uv_mutex_unlock(&loop->lock);
  cvy_loop_release(loop);
  return r < 0 ? cvy_fail(r, COVEY_STAGE_NONE, "%s", what) : r;
}

int covey_loop_handle(covey_loop *loop, covey_native *ret_handle)
{
  static const char what[] = "the loop's handle";
  if (!ret_handle) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_handle is NULL");
  int r = enter(loop, what, &loop);
  if (r) return r;
  if (!loop->pollable) r = open_pollable(loop);
  if (!r) *ret_handle = cvos_pollable_handle(loop->pollable);
  return leave(loop, r, what);
}

/* Turns until nothing new was started: what a callback starts is known to the system only after the next turn. Lock and token held. */
static void dispatch_turns(covey_loop *loop)
{
  uint64_t before;
  int rounds = 0;
  loop->dispatching = true;
  if (loop->pollable) cvos_pollable_begin(loop->pollable);
  do {
    before = loop->activity + cvos_watch_activity();
    while (loop->tasks) cvy_token_run_tasks(loop);
    cvy_token_turn(loop, UV_RUN_NOWAIT);
  } while (before != loop->activity + cvos_watch_activity() && ++rounds < 64);
  if (loop->pollable) {
    cvos_pollable_end(loop->pollable, uv_backend_timeout(loop->uv));
    if (rounds == 64 || loop->tasks) cvos_pollable_mark(loop->pollable);
  }
  cvy_token_give(loop);
  loop->dispatching = false;
}

/* Lock held. */
static int dispatch(covey_loop *loop)
{
  int r = cvy_token_demand(loop);
  if (r) return r;
  dispatch_turns(loop);
  return cvy_notes_run(loop);
}

int covey_loop_dispatch(covey_loop *loop)
{
  static const char what[] = "dispatch";
  int r = enter(loop, what, &loop);
  return r ? r : leave(loop, dispatch(loop), what);
}

static bool is_due(void *arg)
{
  const covey_loop *loop = arg;
  return loop->notes || loop->over;
}

/* Lock held. What is due already does not keep the loop from turning: callbacks that always have more would starve the rest. */
static int await(covey_loop *loop, cvy_deadline deadline, covey_cancel *cancel)
{
  int r = loop->notes ? dispatch(loop) : 0;
  while (r == 0) {
    r = cvy_loop_wait(loop, is_due, loop, deadline, cancel);
    if (r == 0 && loop->over) r = COVEY_ECLOSED;
    if (r == 0) r = cvy_notes_run(loop); /* none, where another thread has run them */
  }
  return r;
}

int covey_loop_wait(covey_loop *loop, int64_t timeout, covey_cancel *cancel)
{
  static const char what[] = "waiting for callbacks";
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = enter(loop, what, &loop);
  if (r) return r;
  loop->awaited++;
  r = await(loop, cvy_deadline_in(timeout), cancel);
  loop->awaited--;
  return leave(loop, r, what);
}
