#include "proc/process.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "os/caps.h"
#include "os/error.h"
#include "os/signal.h"
#include "proc/options.h"
#include "proc/plan.h"

#include <string.h>

/* ---- the object ---- */

int cvy_process_new(covey_loop *loop, covey_process **ret)
{
  covey_process *p = cvy_alloc_zero(1, sizeof *p);

  if (!p) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "process");
  if (cvy_mutex_new(&p->os_lock) < 0) {
    cvy_free(p);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "process");
  }
  p->loop = loop;
  cvy_loop_ref(loop);
  p->users = 1;
  p->os.handle = CVOS_NONE;
  p->run_until = p->idle_at = p->ask_at = p->step_at = CVY_NEVER;
  p->kill_at = p->stuck_at = p->look_at = p->front_at = CVY_NEVER;
  p->drain = CVY_DRAIN_DEFAULT;
  p->drain_max = CVY_DRAIN_MAX_DEFAULT;
  p->grace = CVY_GRACE_DEFAULT;
  p->idle = COVEY_FOREVER;
  for (int i = 0; i < 3; i++)
    p->streams[i] =
        (cvy_stream){.process = p, .index = i, .ended = true, .flushed = true, .quiet = CVY_NEVER};
  *ret = p;
  return 0;
}

void cvy_process_scrap(covey_process *p)
{
  covey_loop *loop = p->loop;

  cvy_forward_end(p);
  cvos_pty_close(p->pty);
  cvy_front_back(p, false);
  cvos_front_close(p->front);
  cvos_tree_release(p->tree);
  cvos_process_close(&p->os);
  for (int i = 0; i < 3; i++) {
    cvy_free(p->streams[i].data);
    cvy_free(p->streams[i].owned);
  }
  cvy_show_fini(p);
  cvy_mutex_free(p->os_lock);
  cvy_free(p);
  cvy_loop_release(loop);
}

void cvy_process_unhold(covey_process *p)
{
  bool last;

  cvy_loop_lock(p->loop);
  last = --p->holds == 0 && p->torn;
  if (last) cvy_loop_unpost(p->loop, &p->work);
  cvy_loop_unlock(p->loop);
  if (!last) return;
  if (p->hooks && p->hooks->released) p->hooks->released(p->hook_arg);
  cvy_process_scrap(p);
}

/* ---- the token's side ---- */

static cvy_deadline earlier(cvy_deadline a, cvy_deadline b)
{
  return a < b ? a : b;
}

/* [token] */
static void set_timer(covey_process *p)
{
  cvy_deadline next;

  cvy_loop_lock(p->loop);
  next = earlier(cvy_ladder_deadline(p), earlier(cvy_stream_deadline(p), earlier(p->look_at, p->front_at)));
  cvy_loop_unlock(p->loop);
  if (p->timer) cvy_timer_set(p->timer, next);
}

static void timer_ran(void *arg)
{
  covey_process *p = arg;
  bool look;

  cvy_loop_lock(p->loop);
  look = cvy_deadline_passed(p->look_at);
  if (look) p->look_at = CVY_NEVER;
  cvy_loop_unlock(p->loop);
  if (look) cvy_process_exited(p);
  cvy_front_expire(p);
  cvy_ladder_expire(p);
  cvy_stream_expire(p);
  set_timer(p);
}

static void watch_closed(void *arg)
{
  cvy_process_unhold(arg);
}

bool cvy_process_teardown(covey_process *p)
{
  cvos_exit_watch *watch = p->watch;
  bool live, ended, noted, later;

  cvy_loop_lock(p->loop);
  noted = cvy_show_close(p);
  cvy_loop_unlock(p->loop);
  if (noted) cvy_process_unhold(p); /* the watch still holds it */
  cvy_forward_end(p);
  later = p->streams[0].io || p->streams[1].io || p->streams[2].io;
  for (int i = 0; i < 3; i++) cvy_stream_close(&p->streams[i], !p->detached || i > 0);
  cvy_pty_hang_up(p);
  cvy_mutex_lock(p->os_lock);
  if (p->child && !p->settled && cvy_process_observe(p)) cvy_process_settle(p, cvy_process_kills_rest(p));
  live = p->child && !p->settled;
  ended = p->noted;
  if (!live) cvy_front_back(p, false);
  cvy_mutex_unlock(p->os_lock);
  if (live || !watch) return true;
  if (ended)
    cvy_process_exited(p); /* the close saw the end before the watch did: the hook is still to be told */
  if (cvy_timer_close(p->timer)) later = true;
  p->timer = NULL;
  p->watch = NULL;
  if (cvos_exit_watch_drop(watch)) {
    cvy_process_unhold(p);
  } else {
    cvos_exit_watch_close(watch);
    later = true;
  }
  return later;
}

static void work(void *arg)
{
  covey_process *p = arg;
  uint32_t wishes;

  cvy_loop_lock(p->loop);
  wishes = p->wishes;
  p->wishes = 0;
  cvy_loop_unlock(p->loop);
  cvy_stream_work(p, wishes);
  if (wishes & (CVY_WISH_TIMER | CVY_WISH_READ)) set_timer(p);
  if (wishes & CVY_WISH_TEARDOWN) cvy_process_teardown(p);
}

void cvy_process_wish(covey_process *p, uint32_t wishes)
{
  p->wishes |= wishes;
  cvy_loop_post(p->loop, &p->work);
}

typedef struct attachment {
  covey_process *process;
  cvy_stdio *stdio;
  bool tried;
  cvy_system *rest; /* of a failed attach: p frees itself in a later turn, without its process */
} attachment;

static void take_system(covey_process *p, cvy_system *ret)
{
  *ret = (cvy_system){p->os, p->tree, p->front};
  p->os.handle = CVOS_NONE;
  p->tree = NULL;
  p->front = NULL;
}

/* [token] Undoes what attach has opened. The closed callbacks come later; the last of them frees p. */
static void attach_undo(attachment *a)
{
  covey_process *p = a->process;

  take_system(p, a->rest);
  p->hooks = NULL;
  cvy_loop_lock(p->loop);
  cvy_store_seq_u32(&p->torn, 1);
  p->holds++; /* keeps p while we are here */
  cvy_loop_unlock(p->loop);
  for (int i = 0; i < 3; i++) cvy_stream_close(&p->streams[i], true);
  cvy_timer_close(p->timer);
  cvy_process_unhold(p);
}

static int attach(void *arg)
{
  attachment *a = arg;
  covey_process *p = a->process;
  int r = cvy_timer_open(p->loop, timer_ran, p, &p->timer);

  a->tried = true;
  for (int i = 0; r == 0 && a->stdio && i < 3; i++) {
    if (a->stdio->ours[i] == CVOS_NONE) continue;
    r = cvy_stream_open(p, i, a->stdio->ours[i]);
    if (r == 0) cvy_stdio_take(a->stdio, i);
  }
  if (r == 0)
    r = cvos_exit_watch_open(cvy_loop_uv(p->loop), cvy_loop_is_own(p->loop), &p->os, cvy_process_exited,
                             watch_closed, p, &p->watch);
  if (r < 0) {
    attach_undo(a);
    return r;
  }
  cvy_loop_lock(p->loop);
  p->holds++;
  cvy_loop_unlock(p->loop);
  set_timer(p);
  return 0;
}

/* The child runs but cannot be watched: it is ended here and reaped, since a kill takes effect soon, on a busy system too. */
static void end_unwatched(cvos_process *os, cvos_tree *tree)
{
  if (tree)
    cvos_tree_kill(tree);
  else
    cvos_signal_send(os, CVOS_SIGNAL_KILL);
  if (cvos_process_wait(os, 5000) == 0) cvos_process_reap(os, tree, NULL);
}

int cvy_process_watch(covey_process *p, cvy_stdio *stdio, cvy_system *ret_rest)
{
  attachment a = {.process = p, .stdio = stdio, .rest = ret_rest};
  int r;

  p->work = (cvy_task){.run = work, .arg = p};
  r = cvy_loop_call(p->loop, attach, &a);
  if (r >= 0) return 0;
  if (!a.tried) {
    take_system(p, ret_rest);
    cvy_process_scrap(p);
  }
  return r;
}

int cvy_process_attach(covey_process *p, cvy_stdio *stdio)
{
  cvy_system rest;
  bool child = p->child;
  int r = cvy_process_watch(p, stdio, &rest);

  if (r >= 0) return 0;
  if (rest.front) (void)cvos_front_take(rest.front, rest.os.pid, false);
  cvos_front_close(rest.front);
  if (child) end_unwatched(&rest.os, rest.tree);
  cvos_tree_release(rest.tree);
  cvos_process_close(&rest.os);
  return cvy_fail(r, COVEY_STAGE_STDIO, "watching the process");
}

/* ---- starting ---- */

int cvy_process_free_target(const covey_process_options *options)
{
  int target = 3;

  for (size_t i = 0; options && options->pass && i < options->pass_count;) {
    if (options->pass[i].child == target) {
      target++;
      i = 0;
    } else {
      i++;
    }
  }
  return target;
}

/* options->pass and the extra handle as the seam wants them: owned, NULL when out of memory. */
static cvos_pass *pass_list(const covey_process_options *o, const cvy_process_extra *extra, size_t *ret_count)
{
  cvos_pass *list = cvy_alloc_zero(o->pass_count + 1, sizeof *list);
  size_t count = 0;

  if (!list) return NULL;
  for (; count < o->pass_count; count++)
    list[count] = (cvos_pass){.handle = o->pass[count].native, .target = o->pass[count].child};
  if (extra->handle != CVOS_NONE)
    list[count++] = (cvos_pass){.handle = extra->handle, .target = extra->target};
  *ret_count = count;
  return list;
}

static uint32_t spawn_flags(const covey_process_options *o)
{
  uint32_t flags = 0;

  if (o->scope != COVEY_SCOPE_DETACHED && !(o->flags & COVEY_PROCESS_UNTIED) &&
      (cvos_caps() & COVEY_CAP_TIED_LIFE))
    flags |= CVOS_SPAWN_TIED;
  if (!(o->flags & COVEY_PROCESS_LEAVE_TREE)) flags |= CVOS_SPAWN_ENCLOSED;
  switch (o->launch ? o->launch->window : COVEY_WINDOW_DEFAULT) {
  case COVEY_WINDOW_HIDDEN: return flags | CVOS_SPAWN_NO_WINDOW | CVOS_SPAWN_HIDDEN;
  case COVEY_WINDOW_MINIMIZED: return flags | CVOS_SPAWN_NEW_CONSOLE | CVOS_SPAWN_MINIMIZED;
  case COVEY_WINDOW_NONE: return flags | CVOS_SPAWN_NO_WINDOW;
  case COVEY_WINDOW_CONSOLE: return flags | CVOS_SPAWN_NEW_CONSOLE;
  default: break;
  }
  /* Without a console of ours a console program would open a window of its own. */
  if (o->scope == COVEY_SCOPE_SESSION || !cvos_console_present()) flags |= CVOS_SPAWN_NO_WINDOW;
  return flags;
}

static int start(covey_process *p, const covey_process_options *o, const cvy_process_extra *extra,
                 const cvy_plan *plan, const cvy_stdio *stdio)
{
  static const int scopes[] = {CVOS_SCOPE_TREE, CVOS_SCOPE_SHARED, CVOS_SCOPE_SESSION, CVOS_SCOPE_DETACHED};
  cvos_spawn_request request = {
      .file = plan->file,
      .argv = plan->argv,
      .command_line = plan->line,
      .env = (const char *const *)plan->env,
      .env_block = plan->block,
      .cwd = o->cwd,
      .stdio = {stdio->theirs[0], stdio->theirs[1], stdio->theirs[2]},
      .pty = stdio->pty,
      .front = p->front,
      .scope = scopes[o->scope],
      .flags = spawn_flags(o),
      .launch = o->launch,
  };
  covey_failure failure;
  cvos_pass *pass = NULL;
  int r;

  if (o->pass_count || extra->handle != CVOS_NONE) {
    if (!(pass = pass_list(o, extra, &request.pass_count)))
      return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ARGUMENTS, "pass");
    request.pass = pass;
  }
  r = cvos_spawn(&request, &p->os, &p->tree, &failure);
  cvy_free(pass);
  if (r < 0) {
    p->os.handle = CVOS_NONE;
    return cvy_fail_copy(&failure);
  }
  p->pid = p->os.pid;
  p->start = p->os.start;
  p->exit.started = cvy_wall();
  return 0;
}

static int take_options(covey_process *p, const covey_process_options *o, const cvy_process_extra *extra)
{
  p->child = true;
  p->scope = o->scope;
  p->flags = o->flags;
  p->grace = cvy_option_time(o->grace, CVY_GRACE_DEFAULT);
  p->drain = cvy_option_time(o->drain, CVY_DRAIN_DEFAULT);
  p->drain_max = cvy_option_time(o->drain_max, CVY_DRAIN_MAX_DEFAULT);
  p->idle = cvy_option_time(o->idle, COVEY_FOREVER);
  p->step_count = o->ladder_count;
  if (o->ladder_count) {
    memcpy(p->steps, o->ladder, o->ladder_count * sizeof *o->ladder);
    p->grace = COVEY_FOREVER; /* the steps have their own times */
  }
  p->cancel = extra->run ? NULL : o->cancel;
  p->hooks = extra->hooks;
  p->hook_arg = extra->arg;
  for (int i = 0; i < 3; i++) {
    cvy_stream *s = &p->streams[i];
    int kind = cvy_options_stdio_kind(o, i);

    if (i == 1 && extra->run && kind != o->out.kind && kind == COVEY_STDIO_PIPE)
      kind = COVEY_STDIO_CAPTURE; /* of a terminal */
    if (kind == COVEY_STDIO_CAPTURE) {
      s->kind = CVY_STREAM_CAPTURE;
      s->limit = o->capture_max ? o->capture_max : CVY_CAPTURE_DEFAULT;
      s->both = (o->flags & COVEY_PROCESS_KEEP_ENDS) != 0;
      cvy_ends_init(&s->ends, s->limit);
    } else if (kind == COVEY_STDIO_LINES) {
      s->kind = CVY_STREAM_LINES;
    } else if (kind == COVEY_STDIO_PIPE) {
      s->kind = i == 0 && (o->input || extra->run) ? CVY_STREAM_FEED : CVY_STREAM_PIPE;
      s->limit = (size_t)256 << 10; /* unread bytes of a pipe: four times the kernel's own buffer */
    }
  }
  p->run = extra->run;
  p->held = extra->hold;
  cvy_show_begin(p, o);
  p->streams[0].input = o->input;
  p->streams[0].input_size = o->input_size;
  if (!o->input || extra->run) return 0;
  if (!(p->streams[0].owned = cvy_memdup_text(o->input, o->input_size)))
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ARGUMENTS, "input");
  p->streams[0].input = p->streams[0].owned;
  return 0;
}

int cvy_process_spawn(const covey_process_options *o, const cvy_process_extra *extra, covey_process **ret)
{
  static const cvy_process_extra none = {.handle = CVOS_NONE};
  covey_process *p = NULL;
  covey_loop *loop = NULL;
  cvy_plan plan = {0};
  cvy_stdio stdio;
  int r;

  if (!extra) extra = &none;
  if ((r = cvy_options_check(o, extra->run)) < 0) return r;
  if (!ret) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_process");
  if ((r = cvy_loop_acquire(extra->loop ? extra->loop : o->loop, &loop)) < 0) return r;
  r = cvy_process_new(loop, &p);
  cvy_loop_release(loop);
  if (r < 0) return r;
  if ((r = take_options(p, o, extra)) < 0 || (r = cvy_plan_make(o, extra->entry, &plan)) < 0) goto scrap;
  if ((o->flags & COVEY_PROCESS_FORWARD) &&
      (r = cvy_forward_open(p->loop, o->flags & COVEY_PROCESS_FOREGROUND, &p->forward)) < 0)
    goto unplan;
  if ((o->flags & COVEY_PROCESS_FOREGROUND) && (r = cvy_front_open(p)) < 0) goto unplan;
  if ((r = cvy_stdio_open(o, &stdio)) < 0) goto unplan;
  r = start(p, o, extra, &plan, &stdio);
  cvy_stdio_started(&stdio);
  if (r < 0) goto unopen;
  cvy_pty_begin(p, cvy_stdio_take_pty(&stdio));
  cvy_front_begin(p);
  p->run_until = cvy_deadline_in(o->timeout ? o->timeout : COVEY_FOREVER);
  p->idle_at = cvy_deadline_in(p->idle);
  if ((r = cvy_process_attach(p, &stdio)) < 0) {
    p = NULL; /* gone, and its child with it */
    goto unopen;
  }
  cvy_forward_begin(p);
  cvy_plan_started();
  *ret = p;
  p = NULL;
  r = 0;
unopen:
  cvy_stdio_fini(&stdio);
unplan:
  if (r < 0) r = cvy_plan_blame(&plan, r);
  cvy_plan_fini(&plan);
scrap:
  if (p) cvy_process_scrap(p);
  return r;
}

int covey_spawn(const covey_process_options *options, covey_process **ret_process)
{
  return cvy_process_spawn(options, NULL, ret_process);
}
