#include "proc/process.h"

#include "core/atomics.h"
#include "core/error.h"
#include "os/handle.h"
#include "os/signal.h"

/* ---- the system's side ---- */

bool cvy_process_observe(covey_process *p)
{
  if (!p->noted) p->noted = cvos_process_note(&p->os, &p->status) == 0;
  return p->noted;
}

/* A second look at processor time and memory, where they come with the reaping only. */
static void take_usage(covey_process *p, cvos_status from)
{
  cvos_status *to = &p->status;

  cvy_loop_lock(p->loop); /* a waiter may read them */
  if (to->user_us < 0) to->user_us = from.user_us;
  if (to->system_us < 0) to->system_us = from.system_us;
  if (to->peak_bytes < 0) to->peak_bytes = from.peak_bytes;
  cvy_loop_unlock(p->loop);
}

void cvy_process_settle(covey_process *p, bool kill)
{
  cvos_status status;
  bool more = p->status.user_us < 0;

  if (p->settled) return;
  p->settled = true;
  if (kill && p->tree) cvos_tree_kill(p->tree);
  if (p->child && cvos_process_reap(&p->os, p->tree, more ? &status : NULL) == 0 && more)
    take_usage(p, status);
  cvos_tree_release(p->tree);
  p->tree = NULL;
}

bool cvy_process_kills_rest(const covey_process *p)
{
  return p->child && !p->detached && !(p->flags & COVEY_PROCESS_LEAVE_TREE) &&
         (p->scope == COVEY_SCOPE_TREE || p->scope == COVEY_SCOPE_SESSION);
}

/* ---- the result ---- */

/* Loop's lock held, status noted. */
static void fill_result(covey_process *p)
{
  const cvos_status *s = &p->status;
  covey_exit *e = &p->exit;

  e->why = p->cause;
  e->ended = cvy_wall();
  switch (s->how) {
  case CVOS_END_EXITED:
    e->how = COVEY_HOW_EXITED;
    e->code = s->code;
    if (CVOS_WINDOWS && p->ladder == CVY_LADDER_KILLED && s->code == 137) {
      e->how = COVEY_HOW_SIGNALLED;
      e->signal = COVEY_SIGNAL_KILL;
    }
    break;
  case CVOS_END_SIGNALLED:
    e->how = COVEY_HOW_SIGNALLED;
    e->signal = s->signal;
    e->system_signal =
        s->signal >= CVOS_SIGNAL_RAW ? s->signal - CVOS_SIGNAL_RAW : cvos_signal_to_system(s->signal);
    e->code = 128 + (uint32_t)e->system_signal;
    e->core = s->core;
    break;
  default: e->how = COVEY_HOW_LOST; e->code = UINT32_MAX;
  }
}

void cvy_process_fill_exit(covey_process *p, covey_exit *ret)
{
  *ret = p->exit;
  ret->user_time = p->status.user_us;
  ret->system_time = p->status.system_us;
  ret->peak_memory = p->status.peak_bytes;
  for (int i = 1; i < 3; i++)
    if (p->streams[i].held) ret->pipe_held = 1;
}

void cvy_process_check_done(covey_process *p)
{
  if (!p->ended || p->done) return;
  for (int i = 1; i < 3; i++)
    if ((p->streams[i].kind == CVY_STREAM_CAPTURE || (p->streams[i].shown && (p->on_output || p->on_line))) &&
        !p->streams[i].ended)
      return;
  p->done = true;
  cvy_show_note(p);
  cvy_told_note(p);
  cvy_loop_changed(p->loop);
}

void cvy_process_exited(void *arg)
{
  covey_process *p = arg;
  bool torn, first, kill, now;

  cvy_mutex_lock(p->os_lock);
  if (!cvy_process_observe(p)) { /* a stopped process, or one that is still being traced */
    cvy_mutex_unlock(p->os_lock);
    cvy_loop_lock(p->loop);
    p->look_at = cvy_deadline_in(cvy_pty_discard(p) ? CVY_UNREAD_AFTER : 10);
    cvy_process_wish(p, CVY_WISH_TIMER);
    cvy_loop_unlock(p->loop);
    return;
  }
  cvy_front_back(p, p->status.how == CVOS_END_SIGNALLED);
  cvy_loop_lock(p->loop);
  torn = p->torn;
  first = !p->ended;
  now = !cvy_process_kills_rest(p); /* nothing is to be ended with the handle: the zombie need not wait */
  kill = torn && !now;
  cvy_loop_unlock(p->loop);
  /* Where usage comes with the reaping, a tree without members need not wait for the close. */
  if (!now && p->tree && p->status.user_us < 0 && cvos_tree_members(p->tree, NULL, 0) == 0) now = true;
  if (now || torn) cvy_process_settle(p, kill);
  cvy_loop_lock(p->loop);
  if (first) {
    p->ended = true;
    p->ended_at = cvy_now();
    fill_result(p);
    p->run_until = p->idle_at = p->ask_at = p->step_at = CVY_NEVER;
    p->kill_at = p->stuck_at = p->look_at = p->front_at = CVY_NEVER;
    cvy_stream_begin_drain(p);
    cvy_process_check_done(p);
    cvy_loop_changed(p->loop);
    cvy_process_wish(p, CVY_WISH_TIMER | (torn ? CVY_WISH_TEARDOWN : 0));
  }
  cvy_loop_unlock(p->loop);
  cvy_mutex_unlock(p->os_lock);
  if (first) cvy_forward_end(p);
  if (first && p->hooks && p->hooks->ended) p->hooks->ended(p->hook_arg);
}

/* ---- waiting ---- */

bool cvy_process_over(void *arg)
{
  const covey_process *p = arg;

  return p->done || (p->stuck && !p->ended) || cvy_load_seq_u32(&p->cancelled);
}

bool cvy_process_shown(void *arg)
{
  const covey_process *p = arg;

  return cvy_process_over(arg) && !(p->done && cvy_show_pending(p) && !cvy_show_inside(p));
}

bool cvy_process_done(covey_process *process)
{
  bool done;

  cvy_loop_lock(process->loop);
  done = process->done;
  cvy_loop_unlock(process->loop);
  return done;
}

int covey_process_wait(covey_process *process, int64_t timeout, covey_exit *ret_exit)
{
  return cvy_process_wait_among(process, &process, 1, timeout, ret_exit);
}

int cvy_process_wait_among(covey_process *process, covey_process *const *list, size_t count, int64_t timeout,
                           covey_exit *ret_exit)
{
  covey_exit found;
  int r;

  if (!process) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if ((r = cvy_timeout_check(timeout)) < 0 || (r = cvy_loop_check(process->loop)) < 0) return r;
  cvy_loop_lock(process->loop);
  if (timeout && cvy_show_inside(process) && !process->done)
    r = COVEY_EDEADLK; /* what it waits for may stand behind this very callback */
  else
    r = cvy_show_wait(process->loop, list, count, cvy_process_shown, process, cvy_deadline_in(timeout),
                      process->cancel);
  if (process->done && (r >= 0 || !cvy_show_pending(process) || cvy_show_inside(process)))
    r = 0;
  else if (r == 0)
    r = process->stuck ? COVEY_ESTUCK : COVEY_ECANCELED;
  if (r == 0) cvy_process_fill_exit(process, &found);
  cvy_loop_unlock(process->loop);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "waiting for process %lld", (long long)process->pid);
  if (ret_exit) *ret_exit = found;
  return 0;
}

void covey_process_cancel(covey_process *process)
{
  if (!process) return;
  cvy_add_u32(&process->cancelled, 1);
  cvy_loop_poke(process->loop);
}

/* ---- letting go ---- */

void cvy_process_ref(covey_process *process)
{
  cvy_loop_lock(process->loop);
  process->users++;
  cvy_loop_unlock(process->loop);
}

/* The heir could not be watched: everything is p's again. */
static void take_back(covey_process *p, cvy_system *rest)
{
  cvos_process_close(&rest->os);
  cvy_mutex_lock(p->os_lock);
  p->tree = rest->tree;
  p->front = rest->front;
  p->settled = false;
  cvy_mutex_unlock(p->os_lock);
}

bool cvy_process_hand_over(covey_process *p)
{
  covey_process *heir = NULL;
  covey_loop *loop;
  cvy_system rest;
  bool moved = false;

  if (cvy_loop_acquire(NULL, &loop) < 0) return false;
  if (loop != p->loop && cvy_process_new(loop, &heir) < 0) heir = NULL;
  cvy_loop_release(loop);
  if (!heir) return false;
  cvy_mutex_lock(p->os_lock);
  if (!p->settled) {
    heir->os = p->os;
    heir->os.handle = CVOS_NONE; /* one of its own: the watch of p still looks at p's */
    moved = p->os.handle == CVOS_NONE || cvos_handle_duplicate(p->os.handle, &heir->os.handle) == 0;
  }
  if (moved) {
    heir->child = true;
    heir->pid = p->pid;
    heir->start = p->start;
    heir->scope = p->scope;
    heir->flags = p->flags;
    heir->detached = p->detached;
    heir->tree = p->tree;
    p->tree = NULL;
    heir->front = p->front;
    p->front = NULL;
    p->settled = true;
  }
  cvy_mutex_unlock(p->os_lock);
  if (!moved) {
    cvy_process_scrap(heir);
  } else if (cvy_process_watch(heir, NULL, &rest) == 0) {
    covey_process_close(heir);
  } else {
    take_back(p, &rest);
    moved = false;
  }
  return moved;
}

/* Ends what goes with the handle, as far as that can be done at once, without waiting for the loop. True: it is still to be reaped. */
static bool end_child(covey_process *p)
{
  bool live;

  cvy_mutex_lock(p->os_lock);
  if (p->child && !p->settled) {
    if (cvy_process_observe(p))
      cvy_process_settle(p, cvy_process_kills_rest(p));
    else if (!p->detached && p->scope != COVEY_SCOPE_DETACHED && p->tree)
      cvos_tree_kill(p->tree);
  }
  live = p->child && !p->settled;
  cvy_mutex_unlock(p->os_lock);
  return live;
}

static void let_go(covey_process *p, bool attended)
{
  covey_loop *loop;
  cvy_told dropped;
  bool last, alone, here, live;

  if (cvy_loop_check(p->loop) < 0) return;
  cvy_loop_lock(p->loop);
  if (attended) p->attending--;
  last = cvy_told_leave(p, &dropped);
  alone = !last && !attended && p->users == p->attending + p->told_note.queued;
  if (alone) p->holds++; /* who attends may leave meanwhile */
  cvy_loop_unlock(p->loop);
  if (alone) {
    (void)end_child(p);
    cvy_process_unhold(p);
  }
  if (!last) return;
  if (dropped.run) dropped.released(dropped.arg);
  live = end_child(p); /* from here on p is ours; the watch keeps it */
  /* A loop of the program's may be closed, or turn no more, before the child has ended. */
  if (live && !p->hooks) cvy_process_hand_over(p);
  loop = p->loop;
  cvy_loop_lock(loop);
  cvy_store_seq_u32(&p->torn, 1);
  here = cvy_loop_enter(loop);
  if (!here) cvy_process_wish(p, CVY_WISH_TEARDOWN);
  if (here) cvy_loop_ref(loop);
  cvy_loop_unlock(loop); /* p may be gone now, unless the token is ours */
  if (!here) return;
  if (cvy_process_teardown(p))
    cvy_loop_leave(loop);
  else
    cvy_loop_looked(loop, false);
  cvy_loop_release(loop);
}

void covey_process_close(covey_process *process)
{
  if (process) let_go(process, false);
}

void cvy_process_attend(covey_process *process)
{
  cvy_loop_lock(process->loop);
  process->users++;
  process->attending++;
  cvy_loop_unlock(process->loop);
}

void cvy_process_unattend(covey_process *process)
{
  let_go(process, true);
}

int covey_process_detach(covey_process *process)
{
  covey_process *p = process;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if ((r = cvy_loop_check(p->loop)) < 0) return r;
  cvy_mutex_lock(p->os_lock);
  cvy_loop_lock(p->loop);
  p->detached = true;
  p->run_until = p->idle_at = p->ask_at = p->step_at = p->kill_at = p->stuck_at = CVY_NEVER;
  cvy_loop_unlock(p->loop);
  if (p->noted) {
    cvy_process_settle(p, false);
  } else {
    cvos_tree_release(p->tree);
    p->tree = NULL;
  }
  cvy_mutex_unlock(p->os_lock);
  return 0;
}
