/* Signals that come to us and are meant for a child. */
#include "core/error.h"
#include "core/mem.h"
#include "proc/process.h"
#include "proc/signal.h"

/* Windows has one way to ask a console program; where it is not open, those of a stop. */
static void pass_windows(covey_process *p, const covey_signal_event *event)
{
  bool same_console = p->scope == COVEY_SCOPE_TREE || p->scope == COVEY_SCOPE_SHARED;
  if (event->signal == COVEY_SIGNAL_CLOSE && same_console) return; /* the system tells it itself */
  if (covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER) < 0)
    cvy_process_begin_stop(p, COVEY_WHY_STOP, COVEY_FOREVER);
}

void cvy_signal_pass(covey_process *process, const covey_signal_event *event)
{
  covey_process *p = process;
  bool shared = p->scope == COVEY_SCOPE_SHARED;
  int signal = event->signal;
  if (cvy_process_done(p)) return;
  if (shared && (event->flags & COVEY_SIGNAL_BY_SYSTEM))
    return; /* the terminal has sent it to the child as well */
  if (CVOS_WINDOWS) {
    pass_windows(p, event);
    return;
  }
  if (signal >= COVEY_SIGNAL_CLOSE && signal <= COVEY_SIGNAL_PARENT) signal = COVEY_SIGNAL_TERM;
  bool tree = p->child && !shared && p->scope != COVEY_SCOPE_DETACHED;
  covey_process_signal(p, signal, tree ? COVEY_TARGET_TREE : COVEY_TARGET_LEADER);
}

/* ---- covey_signals_options.forward ---- */

static bool pass_to_process(void *arg, const covey_signal_event *event)
{
  cvy_signal_pass(arg, event);
  return true;
}

static void release_process(void *arg)
{
  covey_process_close(arg);
}

int cvy_signals_open_forward(const covey_signals_options *options, covey_signals **ret)
{
  covey_process *p = options ? options->forward : NULL;
  if (!p) return cvy_signals_open(options, NULL, ret);
  int r = cvy_loop_check(p->loop);
  if (r < 0) return r;
  cvy_process_ref(p);
  r = cvy_signals_open(options, &(cvy_onward){pass_to_process, release_process, p}, ret);
  if (r < 0) covey_process_close(p);
  return r;
}

/* ---- COVEY_PROCESS_FORWARD ---- */

struct cvy_forward {
  covey_loop *loop; /* that of the process, and of signals */
  covey_signals *signals;
  covey_process *process; /* under the loop's lock; NULL: not started yet, or over */
};

static bool send_on(void *arg, const covey_signal_event *event)
{
  cvy_forward *f = arg;
  cvy_loop_lock(f->loop);
  covey_process *p = f->process;
  if (p) p->holds++;
  cvy_loop_unlock(f->loop);
  if (!p) return false;
  cvy_signal_pass(p, event);
  cvy_process_unhold(p);
  return true;
}

int cvy_forward_open(covey_loop *loop, bool front, cvy_forward **ret)
{
  static const int set[] = {COVEY_SIGNAL_INT, COVEY_SIGNAL_TERM,  COVEY_SIGNAL_QUIT,
                            COVEY_SIGNAL_HUP, COVEY_SIGNAL_CLOSE, COVEY_SIGNAL_CONT};
  size_t count = sizeof set / sizeof set[0];
  covey_signals_options options = {.signals = set,
                                   .count = front && !CVOS_WINDOWS ? count : count - 1,
                                   .loop = loop,
                                   .flags = COVEY_SIGNALS_REPEAT | COVEY_SIGNALS_SPARE};
  cvy_forward *f = cvy_alloc_zero(1, sizeof *f);
  if (!f) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  f->loop = loop;
  int r = cvy_signals_open(&options, &(cvy_onward){send_on, cvy_free, f}, &f->signals);
  if (r < 0)
    cvy_free(f);
  else
    *ret = f;
  return r;
}

void cvy_forward_begin(covey_process *p)
{
  cvy_loop_lock(p->loop);
  cvy_forward *f = p->forward; /* it may be over already */
  if (f) f->process = p;
  if (f) cvy_signals_again(f->signals);
  cvy_loop_unlock(p->loop);
}

void cvy_forward_end(covey_process *p)
{
  cvy_loop_lock(p->loop);
  cvy_forward *f = p->forward;
  p->forward = NULL;
  covey_signals *signals = f ? f->signals : NULL;
  if (f) f->process = NULL;
  cvy_loop_unlock(p->loop);
  covey_signals_close(signals);
}
