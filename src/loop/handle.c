/* Foreign loops: the handle and the dispatch. */
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

int covey_loop_handle(covey_loop *loop, covey_native *ret_handle)
{
  if (!ret_handle) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_handle is NULL");
  int r = cvy_loop_acquire(loop, &loop);
  if (r) return r;
  if (loop->kind == LOOP_LENT)
    r = COVEY_ENOTSUP;
  else if (cvy_loop_has_token(loop))
    r = COVEY_EDEADLK;
  else {
    uv_mutex_lock(&loop->lock);
    if (!loop->pollable) r = open_pollable(loop);
    if (!r) *ret_handle = cvos_pollable_handle(loop->pollable);
    uv_mutex_unlock(&loop->lock);
  }
  cvy_loop_release(loop);
  return r ? cvy_fail(r, COVEY_STAGE_NONE, "the loop's handle") : 0;
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

int covey_loop_dispatch(covey_loop *loop)
{
  int r = cvy_loop_acquire(loop, &loop);
  if (r) return r;
  if (loop->kind == LOOP_LENT)
    r = COVEY_ENOTSUP;
  else {
    uv_mutex_lock(&loop->lock);
    r = cvy_token_demand(loop);
    if (!r) {
      dispatch_turns(loop);
      r = cvy_notes_run(loop);
    }
    uv_mutex_unlock(&loop->lock);
  }
  cvy_loop_release(loop);
  return r < 0 ? cvy_fail(r, COVEY_STAGE_NONE, "dispatch") : r;
}
