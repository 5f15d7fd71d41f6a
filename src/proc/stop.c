#include "proc/process.h"

#include "core/atomics.h"
#include "core/error.h"
#include "os/error.h"
#include "os/signal.h"
#include "proc/options.h"

/* ---- the rungs ---- */

/* Asks by what the system has. Returns the number of ways taken, 0 when there is none. */
static int ask_system(covey_process *p)
{
  int ways = 0, r = 0;

  cvy_mutex_lock(p->os_lock);
  if (!cvy_process_observe(p)) {
    r = p->tree ? cvos_tree_ask(p->tree) : cvos_signal_ask(&p->os);
    if (r > 0) ways += r;
  } else {
    ways = 1; /* it has followed already */
  }
  cvy_mutex_unlock(p->os_lock);
  if (CVOS_WINDOWS) { /* a console program there often takes the end of its input for the request */
    if (cvy_pty_hang_up(p)) return ways + 1;
    cvy_loop_lock(p->loop);
    if (p->streams[0].io && p->streams[0].kind == CVY_STREAM_PIPE) {
      cvy_process_wish(p, CVY_WISH_CLOSE_IN);
      ways++;
    }
    cvy_loop_unlock(p->loop);
  }
  return ways;
}

/* It has ended, whether the loop has seen that or not, and whether it is known how. os_lock held. */
static bool is_gone(covey_process *p)
{
  return cvy_process_observe(p) || (!p->child && cvos_process_wait(&p->os, 0) == 0);
}

/* The same, with the lock taken: nothing that is done now is the reason. */
static bool has_ended(covey_process *p)
{
  bool r;

  cvy_mutex_lock(p->os_lock);
  r = is_gone(p);
  cvy_mutex_unlock(p->os_lock);
  return r;
}

/* It is killed: what nobody reads of its terminal is not to keep it. Lock held. */
static void note_killed(covey_process *p)
{
  p->ladder = CVY_LADDER_KILLED;
  if (p->pty && p->look_at == CVY_NEVER) p->look_at = cvy_deadline_in(CVY_UNREAD_AFTER);
  cvy_process_wish(p, CVY_WISH_TIMER);
}

int cvy_process_kill_now(covey_process *p)
{
  bool ended = has_ended(p);
  int r = 0;

  cvy_loop_lock(p->loop);
  if (!p->ended && !ended) {
    if (p->cause == COVEY_WHY_SELF || p->cause == COVEY_WHY_STOP) p->cause = COVEY_WHY_KILL;
    if (p->ladder == CVY_LADDER_ASKED && p->exit.step <= (p->step_count ? p->step_count : 1))
      p->exit.step = p->step_count && p->steps[p->step - 1].action == COVEY_STOP_KILL
                         ? (uint32_t)p->step
                         : (uint32_t)(p->step_count ? p->step_count : 1) + 1;
    p->ask_at = p->step_at = p->kill_at = CVY_NEVER;
    if (p->stuck_at == CVY_NEVER && !p->stuck) p->stuck_at = cvy_deadline_in(CVY_STUCK_AFTER);
    note_killed(p);
  }
  cvy_loop_unlock(p->loop);
  cvy_mutex_lock(p->os_lock);
  if (p->tree && (p->scope != COVEY_SCOPE_SHARED || !cvy_process_observe(p)))
    r = cvos_tree_kill(p->tree);
  else if (!p->tree && !cvy_process_observe(p))
    r = cvos_signal_send(&p->os, CVOS_SIGNAL_KILL);
  if (r == COVEY_ENOTFOUND) r = 0;
  cvy_mutex_unlock(p->os_lock);
  return r;
}

/* A kill that the caller asked for: one that is refused leaves everything as it was. */
static int kill_by_call(covey_process *p)
{
  cvy_deadline ask_at, step_at, kill_at, stuck_at;
  uint32_t step;
  int cause, ladder, r;

  cvy_loop_lock(p->loop);
  ladder = p->ladder;
  cause = p->cause;
  step = p->exit.step;
  ask_at = p->ask_at;
  step_at = p->step_at;
  kill_at = p->kill_at;
  stuck_at = p->stuck_at;
  cvy_loop_unlock(p->loop);
  r = cvy_process_kill_now(p);
  if (r >= 0 || ladder == CVY_LADDER_KILLED) return r;
  cvy_loop_lock(p->loop);
  if (!p->ended) {
    p->ladder = ladder;
    p->cause = cause;
    p->exit.step = step;
    p->ask_at = ask_at;
    p->step_at = step_at;
    p->kill_at = kill_at;
    p->stuck_at = stuck_at;
    cvy_process_wish(p, CVY_WISH_TIMER);
  }
  cvy_loop_unlock(p->loop);
  return r;
}

/* Asks by a hook and by what the system has. time: until the next step. As ask_system. */
static int ask(covey_process *p, int64_t time)
{
  int ways = 0, asked = COVEY_ENOTSUP;

  if (p->hooks && p->hooks->ask) asked = p->hooks->ask(p->hook_arg);
  if (asked != 0) ways = ask_system(p);
  if (asked < 0 || ways != 0) return ways;
  cvy_loop_lock(p->loop);
  if (!p->ended) p->ask_at = cvy_deadline_in(time == COVEY_FOREVER ? CVY_GRACE_DEFAULT : time / 2);
  cvy_process_wish(p, CVY_WISH_TIMER);
  cvy_loop_unlock(p->loop);
  return 1;
}

/* One step but KILL. Returns the number of ways, 0 when it reaches nobody. */
static int take_step(covey_process *p, const covey_stop_step *step)
{
  int r = 0;

  if (step->action == COVEY_STOP_ASK) return ask(p, step->timeout);
  if (step->action == COVEY_STOP_CLOSE_INPUT) {
    cvy_loop_lock(p->loop);
    r = p->streams[0].io && p->streams[0].kind == CVY_STREAM_PIPE;
    if (r) cvy_process_wish(p, CVY_WISH_CLOSE_IN);
    cvy_loop_unlock(p->loop);
    return r;
  }
  cvy_mutex_lock(p->os_lock);
  if (!cvy_process_observe(p))
    r = p->tree ? cvos_tree_signal(p->tree, step->signal) : cvos_signal_send(&p->os, step->signal);
  cvy_mutex_unlock(p->os_lock);
  return r >= 0;
}

/* Takes the next step of options.ladder, and those behind it that need not wait. Returns the number of ways that were taken. */
static int climb(covey_process *p)
{
  covey_stop_step step = {0};
  bool last, kill;
  int ways = 0, total = 0;

  do {
    bool ended = has_ended(p);

    cvy_loop_lock(p->loop);
    p->step_at = CVY_NEVER;
    if (p->ended || ended || p->ladder == CVY_LADDER_KILLED) {
      cvy_loop_unlock(p->loop);
      return 1;
    }
    last = p->step == p->step_count;
    kill =
        last ? p->steps[p->step - 1].timeout != COVEY_FOREVER : p->steps[p->step].action == COVEY_STOP_KILL;
    if (!last) step = p->steps[p->step++];
    if (!last) p->exit.step = (uint32_t)p->step;
    cvy_loop_unlock(p->loop);
    if (kill) cvy_process_kill_now(p);
    if (kill || last) return kill ? 1 : total;
    ways = take_step(p, &step);
    total += ways;
  } while (ways == 0 || step.timeout == 0); /* nobody was told: nothing to wait for */
  cvy_loop_lock(p->loop);
  if (!p->ended) p->step_at = cvy_deadline_in(step.timeout);
  cvy_process_wish(p, CVY_WISH_TIMER);
  cvy_loop_unlock(p->loop);
  return total;
}

void cvy_process_had_enough(covey_process *p, int cause)
{
  cvy_loop_lock(p->loop);
  if (p->cause == COVEY_WHY_SELF) p->cause = cause;
  if (p->ended) p->exit.why = p->cause;
  cvy_loop_unlock(p->loop);
  (void)cvy_process_begin_stop(p, cause, p->grace);
}

int cvy_process_begin_stop(covey_process *p, int cause, int64_t grace)
{
  cvy_deadline kill_at = cvy_deadline_in(grace);
  bool first, ended = has_ended(p);
  int ways = 0;

  cvy_loop_lock(p->loop);
  if (p->ended || (ended && grace) || p->ladder == CVY_LADDER_KILLED) {
    cvy_loop_unlock(p->loop);
    return 1;
  }
  if (grace == 0) {
    cvy_loop_unlock(p->loop);
    ways = kill_by_call(p);
    return ways < 0 ? ways : 1;
  }
  first = p->ladder == CVY_LADDER_NONE;
  p->ladder = CVY_LADDER_ASKED;
  if (first) p->exit.step = 1;
  if (p->cause == COVEY_WHY_SELF) p->cause = cause;
  if (kill_at < p->kill_at) p->kill_at = kill_at;
  cvy_process_wish(p, CVY_WISH_TIMER);
  cvy_loop_unlock(p->loop);
  if (!first) return 1;
  if (p->step_count) return climb(p);
  ways = ask(p, grace);
  if (ways) return ways;
  cvy_loop_lock(p->loop);
  if (!p->ended && p->kill_at != CVY_NEVER) p->kill_at = cvy_now(); /* nobody hears us */
  cvy_process_wish(p, CVY_WISH_TIMER);
  cvy_loop_unlock(p->loop);
  return 0;
}

/* ---- time ---- */

cvy_deadline cvy_ladder_deadline(const covey_process *p)
{
  cvy_deadline next = p->run_until;

  if (p->ask_at < next) next = p->ask_at;
  if (p->step_at < next) next = p->step_at;
  if (p->kill_at < next) next = p->kill_at;
  if (p->stuck_at < next) next = p->stuck_at;
  return next;
}

/* Takes a deadline that has passed. Lock held. */
static bool due(cvy_deadline *deadline)
{
  if (!cvy_deadline_passed(*deadline)) return false;
  *deadline = CVY_NEVER;
  return true;
}

/* What should follow the second way of asking by some time, and has come with it: the loop stood still. Lock held. */
static void put_off(cvy_deadline *next, cvy_deadline ask_at)
{
  if (cvy_deadline_passed(*next) && *next > ask_at) *next = cvy_deadline_in(*next - ask_at);
}

void cvy_ladder_expire(covey_process *p)
{
  cvy_deadline ask_at;
  bool run, again, step, kill;

  cvy_loop_lock(p->loop);
  ask_at = p->ask_at;
  run = due(&p->run_until);
  again = due(&p->ask_at);
  if (again) put_off(&p->step_at, ask_at);
  if (again) put_off(&p->kill_at, ask_at);
  step = due(&p->step_at);
  kill = due(&p->kill_at);
  if (due(&p->stuck_at)) {
    p->stuck = true;
    cvy_loop_changed(p->loop);
  }
  cvy_loop_unlock(p->loop);
  if (run) cvy_process_begin_stop(p, COVEY_WHY_TIMEOUT, p->grace);
  if (again && !step && !kill && ask_system(p) == 0) {
    cvy_deadline *next = p->step_count ? &p->step_at : &p->kill_at;
    cvy_loop_lock(p->loop);
    if (*next != CVY_NEVER) *next = cvy_now();
    cvy_process_wish(p, CVY_WISH_TIMER);
    cvy_loop_unlock(p->loop);
  }
  if (step && !kill) (void)climb(p);
  if (kill && !has_ended(p)) cvy_process_kill_now(p); /* what it left is not the ladder's */
}

/* ---- the calls ---- */

static int check(covey_process *p)
{
  return p ? cvy_loop_check(p->loop) : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
}

/* system: the system's number, 0 when it was not the reason. */
static int failed(int code, int system, const covey_process *p)
{
  covey_failure failure;

  cvy_failure_set(&failure, code, COVEY_STAGE_NONE, system, "process %lld", (long long)p->pid);
  return cvy_fail_copy(&failure);
}

int covey_process_kill(covey_process *process)
{
  int r = check(process);

  if (r < 0) return r;
  r = kill_by_call(process);
  return r < 0 ? failed(r, cvos_last_error(), process) : 0;
}

int cvy_process_check_signal(int signal, int target)
{
  if (target != COVEY_TARGET_LEADER && target != COVEY_TARGET_TREE)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "target");
  return signal < 1 ? cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "signal") : 0;
}

/* Why nobody can hear a signal, as far as that is known without the system: 0 when somebody may. os_lock held. */
static int unheard(covey_process *p, int target)
{
  bool ended = is_gone(p);

  if (target == COVEY_TARGET_LEADER) return ended ? COVEY_ENOTFOUND : 0;
  if (!p->tree) return p->settled ? COVEY_ENOTFOUND : COVEY_ENOTSUP;
  return ended && cvos_tree_members(p->tree, NULL, 0) == 0 ? COVEY_ENOTFOUND : 0;
}

int covey_process_signal(covey_process *process, int signal, int target)
{
  covey_process *p = process;
  covey_failure failure;
  int r = check(p), system = 0;
  bool all = signal == COVEY_SIGNAL_KILL && target == COVEY_TARGET_TREE;

  if (r < 0 || (r = cvy_process_check_signal(signal, target)) < 0) return r;
  cvy_mutex_lock(p->os_lock);
  r = unheard(p, target);
  if (r == 0 && all) {
    cvy_mutex_unlock(p->os_lock);
    return covey_process_kill(p);
  }
  if (r == 0) {
    if (signal == COVEY_SIGNAL_CONT && !cvy_process_observe(p)) cvy_front_again(p);
    r = target == COVEY_TARGET_TREE ? cvos_tree_signal(p->tree, signal) : cvos_signal_send(&p->os, signal);
    system = r < 0 ? cvos_last_error() : 0;
  }
  if (r >= 0 && signal == COVEY_SIGNAL_KILL) {
    cvy_loop_lock(p->loop);
    if (!p->ended && (p->cause == COVEY_WHY_SELF || p->cause == COVEY_WHY_STOP)) p->cause = COVEY_WHY_KILL;
    if (!p->ended) note_killed(p);
    cvy_loop_unlock(p->loop);
  }
  cvy_mutex_unlock(p->os_lock);
  if (r >= 0) return 0;
  cvy_failure_set(&failure, r, COVEY_STAGE_NONE, system, "signal %d to process %lld", signal,
                  (long long)p->pid);
  return cvy_fail_copy(&failure);
}

typedef struct stop_wait {
  covey_process *process;
  uint32_t cancelled; /* as it was when the stop began */
} stop_wait;

static bool stopped(void *arg)
{
  const stop_wait *w = arg;
  const covey_process *p = w->process;

  return (p->done && !cvy_show_pending(p)) || (p->stuck && !p->ended) ||
         cvy_load_seq_u32(&p->cancelled) != w->cancelled;
}

int covey_process_stop_start(covey_process *process, int64_t grace)
{
  int r = check(process);
  if (r < 0 || (r = cvy_timeout_check(grace)) < 0) return r;
  r = cvy_process_begin_stop(process, COVEY_WHY_STOP, grace);
  if (r < 0) return failed(r, cvos_last_error(), process);
  if (r == 0 && grace == COVEY_FOREVER)
    return cvy_fail(COVEY_ENOTSUP, COVEY_STAGE_NONE, "asking process %lld", (long long)process->pid);
  return 0;
}

int covey_process_stop(covey_process *process, int64_t grace, covey_exit *ret_exit)
{
  covey_process *p = process;
  stop_wait w = {p, p ? cvy_load_seq_u32(&p->cancelled) : 0};
  covey_exit found;
  int r = covey_process_stop_start(p, grace);

  if (r < 0) return r;
  cvy_loop_lock(p->loop);
  if (cvy_show_inside(p))
    r = COVEY_EDEADLK;
  else
    r = cvy_show_wait(p->loop, &p, 1, stopped, &w, CVY_NEVER, NULL);
  if (p->done)
    r = 0;
  else if (r == 0)
    r = p->stuck ? COVEY_ESTUCK : COVEY_ECANCELED;
  if (r == 0) cvy_process_fill_exit(p, &found);
  cvy_loop_unlock(p->loop);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "stopping process %lld", (long long)p->pid);
  if (ret_exit) *ret_exit = found;
  return 0;
}
