/* Being asked to end: by signals and console events (proc/signal.c), and by our parent. */
#include <covey/node.h>
#include <covey/self.h>
#include <covey/signal.h>

#include "core/error.h"
#include "loop/loop.h"
#include "msg/self.h"
#include "os/thread.h"
#include "proc/notice.h"
#include "proc/signal.h"

static struct {
  /* under the global lock */
  bool parent;            /* our parent has asked, or is gone */
  uint32_t generation;    /* cvos_fork_generation when it did */
  covey_signals *signals; /* of covey_shutdown_wait, kept for ever; NULL: nobody has waited yet */
  /* under the lock of the loop of signals */
  bool asked;
  covey_signal_event event;
} self;

static bool parent_asked(void)
{
  cvos_global_lock();
  bool r = self.parent && self.generation == cvos_fork_generation();
  cvos_global_unlock();
  return r;
}

void cvy_self_asked(void)
{
  cvos_global_lock();
  self.parent = true;
  self.generation = cvos_fork_generation();
  cvos_global_unlock();
  cvy_notice_parent();
}

static bool wants_parent(const covey_signals_options *o)
{
  if (!o || !o->signals) return true;
  for (size_t i = 0; i < o->count && o->count <= CVY_SIGNAL_SET_MOST; i++)
    if (o->signals[i] == COVEY_SIGNAL_PARENT) return true;
  return false;
}

int covey_signals_open(const covey_signals_options *options, covey_signals **ret_signals)
{
  covey_identity us;
  int r = cvy_signals_check(options, ret_signals);
  if (r < 0) return r;
  bool parent = wants_parent(options);
  if (parent && covey_self_is_child())
    r = covey_node_identity(NULL, &us); /* opens the connection to our parent */
  if (r == 0) r = cvy_signals_open_forward(options, ret_signals);
  if (r == 0 && parent && parent_asked()) cvy_notice_parent();
  return r;
}

/* The subscription of the whole process, made at the first need. */
static int whole(covey_signals **ret)
{
  static const covey_signals_options spare = {.flags = COVEY_SIGNALS_SPARE};
  covey_signals *made = NULL;
  cvos_global_lock();
  covey_signals *found = self.signals;
  cvos_global_unlock();
  if (!found) {
    int r = covey_signals_open(&spare, &made);
    if (r < 0) return r;
    cvos_global_lock();
    if (!self.signals) self.signals = made;
    found = self.signals;
    cvos_global_unlock();
    if (found != made) covey_signals_close(made);
  }
  *ret = found;
  return cvy_loop_check(cvy_signals_loop(found));
}

static bool is_asked(void *signals)
{
  return self.asked || cvy_signals_ready(signals);
}

int covey_shutdown_wait(int64_t timeout, covey_signal_event *ret_event)
{
  covey_signals *s;
  covey_signal_event event;
  int r = cvy_timeout_check(timeout);
  if (r < 0 || (r = whole(&s)) < 0) return r;
  covey_loop *loop = cvy_signals_loop(s);
  cvy_deadline deadline = cvy_deadline_in(timeout);
  cvy_loop_lock(loop);
  if (!self.asked) r = cvy_loop_wait(loop, is_asked, s, deadline, NULL);
  if (r == 0 && !self.asked) {
    self.asked = cvy_signals_take(s, &self.event);
    cvy_loop_changed(loop);
  }
  event = self.event;
  cvy_loop_unlock(loop);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "nobody has asked us to end");
  if (ret_event) *ret_event = event;
  return 0;
}

int covey_self_wait_stop(int64_t timeout)
{
  return covey_shutdown_wait(timeout, NULL);
}
