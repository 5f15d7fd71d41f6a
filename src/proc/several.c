#include "proc/process.h"

#include "core/error.h"

typedef struct several {
  covey_process *const *list;
  size_t count;
  bool own; /* what cancels each of them counts */
} several;

/* It has ended, and what it wrote has been shown. Lock held. */
static bool has_ended(covey_process *p)
{
  return p->done && cvy_process_shown(p);
}

/* Nothing can be waited for. Lock held. */
static bool is_over(const several *s, covey_process *p)
{
  return cvy_process_shown(p) || (s->own && cvy_cancel_fired(p->cancel));
}

/* One has ended, or none of them is worth waiting for any more. Lock of their loop held. */
static bool any_over(void *arg)
{
  const several *s = arg;
  bool all = true;

  for (size_t i = 0; i < s->count; i++) {
    if (has_ended(s->list[i])) return true;
    all = all && is_over(s, s->list[i]);
  }
  return all;
}

/* Waits with the cancel object of the first one that is still worth it: as long as that one is, the others' do not matter. Lock held. */
static int wait_with_own(covey_loop *loop, several *s, cvy_deadline deadline)
{
  int r;

  do {
    size_t i = 0;

    while (i + 1 < s->count && is_over(s, s->list[i])) i++;
    r = cvy_show_wait(loop, s->list, s->count, any_over, s, deadline, s->list[i]->cancel);
  } while (r == COVEY_ECANCELED && !any_over(s));
  return r;
}

/* A callback waits for nobody but the process whose callback it is. Lock of their loop held. */
static bool waits_for_itself(const several *s)
{
  for (size_t i = 0; i < s->count; i++)
    if (!cvy_show_inside(s->list[i]) || s->list[i]->done) return false;
  return true;
}

/* The one that ended first of those that have; count: none has. Lock of their loop held. */
static size_t first_ended(const several *s)
{
  size_t first = s->count;

  for (size_t i = 0; i < s->count; i++) {
    if (!has_ended(s->list[i])) continue;
    if (first == s->count || s->list[i]->ended_at < s->list[first]->ended_at) first = i;
  }
  return first;
}

int cvy_process_wait_first(covey_process *const *list, size_t count, cvy_deadline deadline, bool own,
                           covey_cancel *cancel, size_t *ret)
{
  several s = {list, count, own};
  covey_loop *loop = list[0]->loop;
  int r;

  for (size_t i = 1; i < count; i++)
    if (list[i]->loop != loop)
      return cvy_fail(COVEY_ENOTSUP, COVEY_STAGE_NONE, "processes on different loops");
  if ((r = cvy_loop_check(loop)) < 0) return r;
  cvy_loop_lock(loop);
  if (waits_for_itself(&s) && !cvy_deadline_passed(deadline))
    r = COVEY_EDEADLK;
  else if (own)
    r = wait_with_own(loop, &s, deadline);
  else
    r = cvy_show_wait(loop, list, count, any_over, &s, deadline, cancel);
  size_t i = first_ended(&s);
  if (i == count && r == 0) r = list[0]->stuck ? COVEY_ESTUCK : COVEY_ECANCELED; /* all are, or were */
  cvy_loop_unlock(loop);
  if (i == count)
    return cvy_fail(r, COVEY_STAGE_NONE, "waiting for one of %llu processes", (unsigned long long)count);
  *ret = i;
  return 0;
}

static int check_list(covey_process *const *processes, size_t count)
{
  if (!processes || count == 0) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "processes");
  for (size_t i = 0; i < count; i++)
    if (!processes[i]) return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "processes");
  return 0;
}

int covey_process_wait_any(covey_process *const *processes, size_t count, int64_t timeout, size_t *ret_index)
{
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = check_list(processes, count);

  if (r < 0 || (r = cvy_timeout_check(timeout)) < 0) return r;
  if (!ret_index) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_index");
  return cvy_process_wait_first(processes, count, deadline, true, NULL, ret_index);
}

int covey_process_wait_all(covey_process *const *processes, size_t count, int64_t timeout)
{
  cvy_deadline deadline = cvy_deadline_in(timeout);
  int r = check_list(processes, count);

  if (r < 0 || (r = cvy_timeout_check(timeout)) < 0) return r;
  for (size_t i = 0; i < count && r == 0; i++)
    r = cvy_process_wait_among(processes[i], processes, count, cvy_deadline_left(deadline), NULL);
  return r;
}
