#include "core/error.h"
#include "core/mem.h"
#include "msg/call.h"
#include "msg/send.h"

struct covey_pending {
  cvy_call call; /* the first, by which on_over finds the rest */
  cvy_call_about what;
  uint32_t refs; /* the caller's, the queued note's, the open timer's, a call's that is inside */
  covey_loop *loop;
  void (*on_done)(covey_pending *pending, void *arg);
  void *arg;
  cvy_note note;
  cvy_timer *timer; /* of the deadline, for on_done; NULL: none */
  cvy_task task;    /* closes it */
  bool closed;      /* by its caller */
  bool taken;       /* its outcome was told */
};

/* Notes the callback, if it waits. */
static void announce(cvy_call *call)
{
  covey_pending *p = (covey_pending *)call;
  if (p->closed || p->taken || p->note.queued) return;
  p->refs++;
  cvy_loop_note(p->loop, &p->note);
}

/* Lock held; it is released. */
static void unref(covey_pending *p)
{
  covey_loop *loop = p->loop;
  bool last = --p->refs == 0;
  cvy_loop_unlock(loop);
  if (!last) return;
  cvy_call_scrap(&p->call);
  cvy_free(p);
  cvy_loop_release(loop);
}

/* Locks, and holds the node as long as the call is not over: NULL then. */
static covey_node *enter(covey_pending *p)
{
  cvy_loop_lock(p->loop);
  if (p->call.over || p->call.node->state != CVY_NODE_OPEN) return NULL;
  p->call.node->users++;
  return p->call.node;
}

/* Unlocks; the lock is taken again. */
static void flush(covey_pending *p, covey_node *node)
{
  if (node) {
    cvy_node_leave(node);
    cvy_loop_lock(p->loop);
  }
}

static void call_back(void *arg)
{
  covey_pending *p = arg;
  cvy_loop_lock(p->loop);
  bool wanted = !p->closed && !p->taken;
  cvy_loop_unlock(p->loop);
  if (wanted) p->on_done(p, p->arg);
  cvy_loop_lock(p->loop);
  unref(p);
}

static void expired(void *arg)
{
  covey_pending *p = arg;
  covey_node *node = enter(p);
  cvy_call_end(&p->call, COVEY_ETIMEDOUT);
  flush(p, node);
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
}

static int open_timer(void *arg)
{
  covey_pending *p = arg;
  int r = cvy_timer_open(p->loop, expired, p, &p->timer);
  if (r == 0) cvy_timer_set(p->timer, p->call.deadline);
  return r;
}

static void close_timer(void *arg)
{
  covey_pending *p = arg;
  cvy_timer_close(p->timer);
  cvy_loop_lock(p->loop);
  unref(p);
}

/* Nobody has seen the call yet: lets it be seen by its callback. Lock held; released meanwhile. */
static int watch(covey_pending *p)
{
  int r = 0;
  if (!p->on_done) return 0;
  if (p->call.deadline != CVY_NEVER && !p->call.over) {
    p->refs++; /* the timer's */
    cvy_loop_unlock(p->loop);
    r = cvy_loop_call(p->loop, open_timer, p);
    cvy_loop_lock(p->loop);
    if (r < 0) {
      p->refs--;
      cvy_call_end(&p->call, r);
      return cvy_fail(r, COVEY_STAGE_NONE, "a timer for on_done");
    }
  }
  p->call.on_over = announce;
  if (p->call.over) announce(&p->call);
  return 0;
}

static covey_pending *new_pending(const covey_call_options *o, int64_t timeout, covey_loop *loop)
{
  covey_pending *p = cvy_alloc_zero(1, sizeof *p);
  if (!p) return NULL;
  p->refs = 2; /* its caller's, and covey_call_start's */
  p->on_done = o->on_done;
  p->arg = o->arg;
  p->note = (cvy_note){.run = call_back, .arg = p};
  p->task = (cvy_task){.run = close_timer, .arg = p};
  p->call.deadline = cvy_deadline_in(timeout);
  cvy_loop_ref(loop);
  p->loop = loop;
  return p;
}

/* Gives the reference of the call that is inside back; failed: its caller gets none. */
static void leave(covey_pending *p, bool failed)
{
  cvy_loop_lock(p->loop);
  if (failed) p->refs--;
  unref(p);
}

int covey_call_start(covey_node *node, const covey_call_options *options, const covey_buffer *buffers,
                     size_t count, covey_pending **ret_pending)
{
  cvy_send s = {.id = 0};
  if (!options) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: whom?");
  if (!ret_pending) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_pending is NULL");
  int64_t timeout = cvy_option_time(options->timeout, COVEY_FOREVER);
  int r = cvy_call_check(options, timeout, buffers, count, &s);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  covey_pending *p = new_pending(options, timeout, node->loop);
  if (!p) {
    cvy_node_leave(node);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "call");
  }
  cvy_call_describe(&s, &p->what);
  r = cvy_call_launch(node, &s, options, buffers, count, &p->call);
  if (r == 0) r = watch(p);
  cvy_node_leave(node);
  leave(p, r < 0);
  if (r == 0) *ret_pending = p;
  return r;
}

/* Lock held: nobody else tells it. */
static int tell(covey_pending *p, covey_reply *ret)
{
  if (cvy_loop_unnote(p->loop, &p->note)) p->refs--;
  p->taken = true;
  return cvy_call_outcome(&p->call, p->what.text, ret);
}

int covey_call_wait(covey_pending *pending, int64_t timeout, covey_reply *ret_reply)
{
  covey_pending *p = pending;
  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "pending is NULL");
  if (!ret_reply) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_reply is NULL");
  int r = cvy_timeout_check(timeout);
  if (r < 0 || (r = cvy_loop_check(p->loop)) < 0) return r;
  cvy_deadline until = cvy_deadline_in(timeout);
  covey_node *node = enter(p);
  if (node) {
    cvy_deadline first = until < p->call.deadline ? until : p->call.deadline;
    r = cvy_loop_wait(p->loop, cvy_call_is_over, &p->call, first, NULL);
    if (r == 0 || cvy_deadline_passed(p->call.deadline)) cvy_call_end(&p->call, r);
  } else {
    cvy_call_end(&p->call, 0);
  }
  if (p->taken)
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "the outcome of this call was told already");
  else if (p->call.over)
    r = tell(p, ret_reply);
  else if (r == COVEY_ETIMEDOUT)
    r = cvy_fail(COVEY_EAGAIN, COVEY_STAGE_RECEIPT, "%s: no answer yet", p->what.text);
  else
    r = cvy_fail(r, COVEY_STAGE_RECEIPT, "%s: waiting", p->what.text);
  flush(p, node);
  cvy_loop_unlock(p->loop);
  return r;
}

struct several {
  covey_pending *const *pending;
  size_t count;
};

static int64_t first_over(const struct several *s)
{
  for (size_t i = 0; i < s->count; i++) {
    covey_pending *p = s->pending[i];
    if (p && (cvy_call_is_over(&p->call) || cvy_deadline_passed(p->call.deadline))) return (int64_t)i;
  }
  return -1;
}

static bool any_over(void *arg)
{
  return first_over(arg) >= 0;
}

int covey_call_wait_any(covey_pending *const *pending, size_t count, int64_t timeout)
{
  struct several s = {pending, count};
  covey_loop *loop = NULL;
  cvy_deadline until = CVY_NEVER;
  int r = cvy_timeout_check(timeout);
  for (size_t i = 0; r == 0 && pending && i < count && i < INT32_MAX; i++) {
    if (!pending[i]) continue;
    if (loop && loop != pending[i]->loop)
      return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "a call of another node");
    loop = pending[i]->loop;
    if (pending[i]->call.deadline < until) until = pending[i]->call.deadline;
  }
  if (r == 0 && !loop) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "no call");
  if (r < 0 || (r = cvy_loop_check(loop)) < 0) return r;
  cvy_deadline own = cvy_deadline_in(timeout);
  cvy_loop_lock(loop);
  r = cvy_loop_wait(loop, any_over, &s, own < until ? own : until, NULL);
  int64_t found = first_over(&s);
  cvy_loop_unlock(loop);
  if (found >= 0) return (int)found;
  return cvy_fail(r, COVEY_STAGE_RECEIPT, "no call is over");
}

void covey_call_cancel(covey_pending *pending)
{
  if (!pending || cvy_loop_check(pending->loop) < 0) return;
  covey_node *node = enter(pending);
  cvy_call_end(&pending->call, COVEY_ECANCELED);
  cvy_loop_changed(pending->loop);
  flush(pending, node);
  cvy_loop_unlock(pending->loop);
}

void covey_call_close(covey_pending *pending)
{
  covey_pending *p = pending;
  if (!p || cvy_loop_check(p->loop) < 0) return;
  covey_node *node = enter(p);
  p->closed = true;
  cvy_call_end(&p->call, COVEY_ECANCELED);
  flush(p, node);
  if (cvy_loop_unnote(p->loop, &p->note)) p->refs--;
  if (p->timer) cvy_loop_post(p->loop, &p->task);
  unref(p);
}
