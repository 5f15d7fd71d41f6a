#include "proc/signal.h"

#include "core/error.h"
#include "core/mem.h"
#include "loop/loop.h"
#include "os/interrupt.h"
#include "os/signal.h"
#include "proc/notice.h"

struct covey_signals {
  covey_loop *loop; /* a reference */
  cvy_notices heard;
  covey_signal_callback on_event;
  void *user;
  covey_cancel *cancel;
  cvy_onward onward;

  /* under the loop's lock */
  bool open; /* events go onward from now on */
  bool closed;
  uint32_t holds; /* the bell, and a callback that is noted or runs */
  cvy_note note;
  cvy_task work;
};

/* ---- the object ---- */

bool cvy_signals_ready(void *signals)
{
  return cvy_notices_wait(&((covey_signals *)signals)->heard);
}

bool cvy_signals_take(covey_signals *signals, covey_signal_event *ret)
{
  return cvy_notices_take(&signals->heard, false, ret);
}

covey_loop *cvy_signals_loop(const covey_signals *signals)
{
  return signals->loop;
}

static void scrap(covey_signals *s)
{
  covey_loop *loop = s->loop;
  if (s->onward.released) s->onward.released(s->onward.arg);
  cvy_free(s->heard.marks);
  cvy_free(s);
  cvy_loop_release(loop);
}

/* The last use of s by the caller. */
static void unhold(covey_signals *s)
{
  cvy_loop_lock(s->loop);
  bool last = --s->holds == 0;
  cvy_loop_unlock(s->loop);
  if (last) scrap(s);
}

/* Loop's lock held. */
static void note_events(covey_signals *s)
{
  if (s->closed || !s->on_event || s->note.queued || !cvy_signals_ready(s)) return;
  s->holds++;
  cvy_loop_note(s->loop, &s->note);
}

/* A round of callbacks: at most one for each signal, so that a storm does not keep a dispatch for ever. */
static void call_back(void *arg)
{
  covey_signals *s = arg;
  covey_signal_event event;
  cvy_loop_lock(s->loop);
  for (size_t i = 0; i < s->heard.count && !s->closed && cvy_signals_take(s, &event); i++) {
    cvy_loop_unlock(s->loop);
    s->on_event(&event, s->user);
    cvy_loop_lock(s->loop);
  }
  note_events(s);
  cvy_loop_unlock(s->loop);
  unhold(s);
}

/* [token] */
static void rung(void *arg)
{
  covey_signals *s = arg;
  covey_signal_event event;
  bool open;
  for (size_t i = 0; s->onward.send && i < s->heard.count; i++) {
    cvy_loop_lock(s->loop);
    open = s->open && !s->closed;
    cvy_loop_unlock(s->loop);
    if (!open || !cvy_notices_take(&s->heard, true, &event)) break;
    if (s->onward.send(s->onward.arg, &event)) continue;
    cvy_notices_put_back(&s->heard, event.signal);
    break;
  }
  cvy_loop_lock(s->loop);
  if (!s->closed) cvy_loop_changed(s->loop);
  note_events(s);
  cvy_loop_unlock(s->loop);
}

static void bell_closed(void *arg)
{
  unhold(arg);
}

/* [token] */
static void close_bell(void *arg)
{
  cvy_bell_close(((covey_signals *)arg)->heard.bell);
}

static int open_bell(void *arg)
{
  covey_signals *s = arg;
  return cvy_bell_open(s->loop, rung, bell_closed, s, &s->heard.bell);
}

/* ---- opening ---- */

static const int shutdown_set[] = {COVEY_SIGNAL_INT,      COVEY_SIGNAL_TERM,  COVEY_SIGNAL_QUIT,
                                   COVEY_SIGNAL_HUP,      COVEY_SIGNAL_CLOSE, COVEY_SIGNAL_LOGOFF,
                                   COVEY_SIGNAL_SHUTDOWN, COVEY_SIGNAL_PARENT};

/* The number under which a signal is known, whatever it was called; negative: refused, recorded. */
static int canonical(int signal)
{
  if (signal >= COVEY_SIGNAL_CLOSE && signal <= COVEY_SIGNAL_PARENT) return signal;
  if (signal < 1 || (signal > COVEY_SIGNAL_TSTP && signal <= COVEY_SIGNAL_RAW))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d", signal);
  int system = cvos_signal_to_system(signal);
  if (signal > COVEY_SIGNAL_RAW && system <= 0)
    return cvy_fail(CVOS_WINDOWS ? COVEY_ENOTSUP : COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d", signal);
  if (system > 0) signal = cvos_signal_from_system(system);
  switch (signal) {
  case COVEY_SIGNAL_KILL:
  case COVEY_SIGNAL_STOP:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d cannot be handled", signal);
  case COVEY_SIGNAL_ILL:
  case COVEY_SIGNAL_FPE:
  case COVEY_SIGNAL_SEGV:
  case COVEY_SIGNAL_BUS:
  case COVEY_SIGNAL_TRAP:
  case COVEY_SIGNAL_ABRT:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d is a fault of the program", signal);
  case COVEY_SIGNAL_CHLD:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal %d belongs to those who wait for children",
                    signal);
  default: return signal;
  }
}

static bool is_spared(const covey_signals_options *o, int signal)
{
  return (o->flags & COVEY_SIGNALS_SPARE) && signal != COVEY_SIGNAL_PARENT &&
         !cvos_interrupt_is_default(signal);
}

/* Fills marks, each signal once. */
static int fill_set(covey_signals *s, const covey_signals_options *o)
{
  const int *set = o->signals ? o->signals : shutdown_set;
  size_t count = o->signals ? o->count : sizeof shutdown_set / sizeof shutdown_set[0];
  if (!(s->heard.marks = cvy_alloc_zero(count, sizeof *s->heard.marks)))
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  for (size_t i = 0; i < count; i++) {
    int signal = canonical(set[i]);
    if (signal < 0) return signal;
    if (!is_spared(o, signal)) cvy_notices_add(&s->heard, signal);
  }
  return 0;
}

static const covey_signals_options none;

int cvy_signals_check(const covey_signals_options *options, covey_signals *const *ret)
{
  const covey_signals_options *o = options ? options : &none;
  if (!ret) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_signals is NULL");
  if (o->signals ? o->count < 1 || o->count > CVY_SIGNAL_SET_MOST : o->count != 0)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "count %llu", (unsigned long long)o->count);
  if (o->flags & ~(uint32_t)(COVEY_SIGNALS_REPEAT | COVEY_SIGNALS_SPARE))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags 0x%x", (unsigned)o->flags);
  if (o->reserved0 || !cvy_is_zero(o->reserved, 8))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_signals_options");
  for (size_t i = 0; i < o->count; i++) {
    int r = canonical(o->signals[i]);
    if (r < 0) return r;
  }
  return 0;
}

/* From here on s is ended like any other, but for onward, which stays the caller's. */
static void open_failed(covey_signals *s)
{
  s->onward.released = NULL;
  cvy_loop_lock(s->loop);
  s->closed = true;
  cvy_loop_post(s->loop, &s->work);
  cvy_loop_unlock(s->loop);
}

int cvy_signals_open(const covey_signals_options *options, const cvy_onward *onward, covey_signals **ret)
{
  const covey_signals_options *o = options ? options : &none;
  covey_loop *loop;
  int r = cvy_signals_check(o, ret);
  if (r == 0) r = cvy_loop_acquire(o->loop, &loop);
  if (r < 0) return r;
  covey_signals *s = cvy_alloc_zero(1, sizeof *s);
  if (!s) {
    cvy_loop_release(loop);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_OPEN, "signals");
  }
  *s = (covey_signals){.loop = loop, .on_event = o->on_event, .user = o->user};
  s->cancel = o->cancel;
  s->heard.repeat = (o->flags & COVEY_SIGNALS_REPEAT) != 0;
  s->holds = 1;
  s->note = (cvy_note){.run = call_back, .arg = s};
  s->work = (cvy_task){.run = close_bell, .arg = s};
  r = fill_set(s, o);
  if (r == 0 && (r = cvy_loop_call(loop, open_bell, s)) < 0) cvy_fail(r, COVEY_STAGE_OPEN, "signals");
  if (r < 0) {
    scrap(s);
    return r;
  }
  if (onward) s->onward = *onward;
  s->heard.onward = s->onward.send != NULL;
  if ((r = cvy_notices_join(&s->heard)) < 0) {
    open_failed(s);
    return r;
  }
  cvy_loop_lock(loop);
  s->open = true;
  cvy_loop_unlock(loop);
  cvy_bell_ring(s->heard.bell);
  *ret = s;
  return 0;
}

void cvy_signals_again(covey_signals *signals)
{
  cvy_bell_ring(signals->heard.bell);
}

/* ---- the calls ---- */

int covey_signals_next(covey_signals *signals, int64_t timeout, covey_signal_event *ret_event)
{
  covey_signals *s = signals;
  covey_signal_event event;
  if (!s) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signals is NULL");
  int r = cvy_timeout_check(timeout);
  if (r < 0 || (r = cvy_loop_check(s->loop)) < 0) return r;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  cvy_loop_lock(s->loop);
  do {
    r = cvy_loop_wait(s->loop, cvy_signals_ready, s, deadline, s->cancel);
  } while (r == 0 && !cvy_signals_take(s, &event));
  cvy_loop_unlock(s->loop);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "no signal");
  if (s->on_event) s->on_event(&event, s->user);
  if (ret_event) *ret_event = event;
  return 0;
}

void covey_signals_close(covey_signals *signals)
{
  covey_signals *s = signals;
  if (!s || cvy_loop_check(s->loop) < 0) return;
  cvy_notices_part(&s->heard);
  cvy_loop_lock(s->loop);
  s->closed = true;
  if (cvy_loop_unnote(s->loop, &s->note)) s->holds--; /* the bell holds it */
  cvy_loop_post(s->loop, &s->work);
  cvy_loop_unlock(s->loop);
}
