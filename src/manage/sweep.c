#include "manage/state.h"

#include <covey/message.h>

#include "core/atomics.h"
#include "core/error.h"
#include "core/mem.h"
#include "loop/loop.h"
#include "msg/group.h"
#include "proc/signal.h"

#include <string.h>

#define KILL_WAIT_MS 5000 /* from the kill to COVEY_ESTUCK: the same as for one process */

/* ---- sweeps ---- */

/* The members as they were at the beginning, with references of our own, which keep none of them running, and one result for each. */
typedef struct sweep {
  covey_process **members;
  covey_member *results;
  size_t count;
} sweep;

static int sweep_begin(covey_manager *m, const covey_member *ret_members, size_t capacity, sweep *s)
{
  int r = cvy_manager_check(m);
  if (r) return r;
  if (!ret_members && capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_members is NULL");
  cvy_mutex_lock(m->lock);
  s->count = m->count;
  s->members = cvy_alloc_zero(s->count, sizeof *s->members);
  s->results = cvy_alloc_zero(s->count, sizeof *s->results);
  if (s->members && s->results) {
    for (size_t i = 0; i < s->count; i++) {
      s->members[i] = m->members[i];
      s->results[i].pid = m->members[i]->pid;
      cvy_process_attend(m->members[i]);
    }
  } else {
    r = COVEY_ENOMEM;
  }
  cvy_mutex_unlock(m->lock);
  if (r) {
    cvy_free(s->members);
    cvy_free(s->results);
    return cvy_fail(r, COVEY_STAGE_NONE, "sweep");
  }
  return 0;
}

/* Notes how a member ended, if it has. */
static void note_end(const sweep *s, size_t i)
{
  if (!s->results[i].ended && cvy_process_done(s->members[i]))
    s->results[i].ended = covey_process_wait(s->members[i], 0, &s->results[i].exit) == 0;
}

/* Tells the end of a member, by the callback if there is one; from now on it is no member. False when it was told before. */
static bool tell_end(covey_manager *m, covey_process *p)
{
  return m->on_end ? cvy_told_run(p) : cvy_manager_forget(m, p);
}

/* forget: the sweep tells ends. Returns the number of members that failed. */
static int sweep_end(covey_manager *m, sweep *s, bool forget, covey_member *ret_members, size_t capacity)
{
  int failed = 0;
  for (size_t i = 0; i < s->count; i++) {
    failed += s->results[i].result != 0;
    if (i < capacity) ret_members[i] = s->results[i];
  }
  if (capacity > s->count) memset(ret_members + s->count, 0, (capacity - s->count) * sizeof *ret_members);
  for (size_t i = 0; forget && i < s->count; i++)
    if (s->results[i].ended && (i < capacity || m->on_end)) (void)tell_end(m, s->members[i]);
  for (size_t i = 0; i < s->count; i++) cvy_process_unattend(s->members[i]);
  cvy_free(s->members);
  cvy_free(s->results);
  return failed;
}

/* Waits for the end of a member with the manager's cancel object, and shows what comes from all of them: one may wait for what another writes. */
static int wait_member(const covey_manager *m, const sweep *s, size_t i, cvy_deadline deadline)
{
  covey_process *p = s->members[i];
  int r = cvy_loop_check(p->loop);
  if (r) return r;
  cvy_loop_lock(p->loop);
  if (cvy_show_inside(p) && !p->done && !cvy_deadline_passed(deadline))
    r = COVEY_EDEADLK; /* what it waits for may stand behind this very callback */
  else
    r = cvy_show_wait(p->loop, s->members, s->count, cvy_process_shown, p, deadline, m->cancel);
  cvy_loop_unlock(p->loop);
  return r;
}

/* Waits for all; a member that has its failure already is only looked at. */
static void sweep_wait(const covey_manager *m, const sweep *s, cvy_deadline deadline)
{
  for (size_t i = 0; i < s->count; i++) {
    covey_member *result = &s->results[i];
    if (result->result == 0) {
      result->result = wait_member(m, s, i, deadline);
      if (result->result == 0)
        result->result = covey_process_wait(s->members[i], 0, NULL); /* the end, or COVEY_ESTUCK */
    }
    note_end(s, i);
  }
}

int covey_manager_wait_all(covey_manager *manager, int64_t timeout, covey_member *ret_members,
                           size_t capacity)
{
  sweep s;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  sweep_wait(manager, &s, deadline);
  return sweep_end(manager, &s, true, ret_members, capacity);
}

/* Waits for one, and gives its place in s. */
static int wait_any(const covey_manager *m, sweep *s, cvy_deadline deadline, size_t *ret)
{
  if (s->count == 0) return cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_NONE, "the manager has no members");
  return cvy_process_wait_first(s->members, s->count, deadline, false, m->cancel, ret);
}

int covey_manager_wait_any(covey_manager *manager, int64_t timeout, covey_member *ret_member)
{
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = cvy_timeout_check(timeout);
  for (bool ours = false; r == 0 && !ours;) {
    sweep s;
    size_t i = 0;
    if ((r = sweep_begin(manager, NULL, 0, &s)) < 0) return r;
    r = wait_any(manager, &s, deadline, &i);
    if (r == 0) {
      note_end(&s, i);
      ours = tell_end(manager, s.members[i]); /* else another thread has told it */
      if (ours && ret_member) *ret_member = s.results[i];
    }
    (void)sweep_end(manager, &s, false, NULL, 0);
  }
  return r;
}

int covey_manager_stop_all(covey_manager *manager, int64_t grace, covey_member *ret_members, size_t capacity)
{
  sweep s;
  int r = cvy_timeout_check(grace);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  for (size_t i = 0; i < s.count; i++) {
    r = cvy_process_begin_stop(s.members[i], COVEY_WHY_STOP, grace);
    if (r < 0) s.results[i].result = r;
  }
  sweep_wait(manager, &s, CVY_NEVER); /* each ladder has its own end: the kill, then COVEY_ESTUCK */
  return sweep_end(manager, &s, true, ret_members, capacity);
}

int covey_manager_kill_all(covey_manager *manager, covey_member *ret_members, size_t capacity)
{
  sweep s;
  int r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  for (size_t i = 0; i < s.count; i++) s.results[i].result = covey_process_kill(s.members[i]);
  sweep_wait(manager, &s, cvy_deadline_in(KILL_WAIT_MS + 1000));
  for (size_t i = 0; i < s.count; i++)
    if (s.results[i].result == COVEY_ETIMEDOUT) s.results[i].result = COVEY_ESTUCK;
  return sweep_end(manager, &s, true, ret_members, capacity);
}

int covey_manager_signal_all(covey_manager *manager, int signal, int target, covey_member *ret_members,
                             size_t capacity)
{
  sweep s;
  int r = cvy_process_check_signal(signal, target);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  for (size_t i = 0; i < s.count; i++) {
    s.results[i].result = covey_process_signal(s.members[i], signal, target);
    note_end(&s, i);
  }
  return sweep_end(manager, &s, false, ret_members, capacity);
}

int covey_manager_send_all(covey_manager *manager, const char *group, const void *data, size_t size,
                           int64_t timeout, covey_member *ret_members, size_t capacity)
{
  sweep s;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = cvy_timeout_check(timeout);
  if (r == 0 && !data && size) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "data is NULL");
  if (r == 0) r = cvy_group_name(group, false, &group);
  if (r == 0) r = sweep_begin(manager, ret_members, capacity, &s);
  if (r) return r;
  covey_buffer buffer = {data, size};
  covey_send_options to = {.group = group, .cancel = manager->cancel};
  /* At once to all who have room, then to the others, each with what is left of the time. */
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < s.count; i++) {
      covey_member *result = &s.results[i];
      bool again = round && (result->result == COVEY_EAGAIN || result->result == COVEY_ENOGROUP ||
                             result->result == COVEY_ENOPEER);
      if (round && !again) continue;
      note_end(&s, i);
      to.pid = result->pid;
      to.timeout = cvy_deadline_left(deadline);
      to.flags = round && to.timeout ? 0 : COVEY_SEND_TRY;
      result->result =
          result->ended ? COVEY_EPEERDIED : covey_message_send(manager->node, &to, &buffer, 1, NULL);
    }
    if (timeout == 0) break;
  }
  return sweep_end(manager, &s, false, ret_members, capacity);
}

/* ---- signals of ours ---- */

static bool pass_on(void *arg, const covey_signal_event *event)
{
  covey_manager *m = arg;
  sweep s;
  if (sweep_begin(m, NULL, 0, &s) < 0) return true;
  for (size_t i = 0; i < s.count; i++) cvy_signal_pass(s.members[i], event);
  sweep_end(m, &s, false, NULL, 0);
  return true;
}

int covey_manager_forward(covey_manager *manager, const covey_signals_options *options)
{
  int r = cvy_manager_check(manager);
  covey_signals *made = NULL;
  if (r) return r;
  if (options) {
    if (options->loop || options->forward || options->on_event)
      return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "loop, forward and on_event are the manager's");
    covey_signals_options own = *options;
    own.loop = manager->loop;
    r = cvy_signals_open(&own, &(cvy_onward){pass_on, cvy_manager_release, manager}, &made);
    if (r < 0) return r;
    cvy_add_u32(&manager->refs, 1);
  }
  cvy_mutex_lock(manager->lock);
  covey_signals *before = manager->forward;
  manager->forward = made;
  cvy_mutex_unlock(manager->lock);
  covey_signals_close(before);
  return 0;
}
