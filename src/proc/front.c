#include "proc/process.h"

#include "core/error.h"
#include "os/error.h"

enum { LOOK_EVERY = 100 }; /* ms: no system tells a parent by its handle that a child was suspended */

int cvy_front_open(covey_process *p)
{
  covey_failure failure;
  int r = cvos_front_open(&p->front);

  if (r == COVEY_ENOTFOUND) return 0;
  if (r < 0) {
    cvy_failure_set(&failure, r, COVEY_STAGE_SCOPE, cvos_last_error(), "terminal");
    return cvy_fail_copy(&failure);
  }
  return 0;
}

void cvy_front_begin(covey_process *p)
{
  if (p->front) p->front_at = cvy_deadline_in(LOOK_EVERY);
}

void cvy_front_back(covey_process *p, bool settings)
{
  /* the number of a child that was reaped may be another's group */
  if (!p->front || !cvos_front_take(p->front, p->settled ? 0 : p->pid, settings) || !p->noted) return;
  cvos_front_close(p->front);
  p->front = NULL;
}

void cvy_front_again(covey_process *p)
{
  if (!p->front || !cvos_front_give(p->front, p->pid)) return;
  cvy_loop_lock(p->loop);
  p->front_at = cvy_deadline_in(LOOK_EVERY);
  cvy_process_wish(p, CVY_WISH_TIMER);
  cvy_loop_unlock(p->loop);
}

void cvy_front_expire(covey_process *p)
{
  bool due, stopped;

  cvy_mutex_lock(p->os_lock);
  cvy_loop_lock(p->loop);
  due = cvy_deadline_passed(p->front_at);
  if (due) p->front_at = CVY_NEVER;
  cvy_loop_unlock(p->loop);
  if (due && !p->noted) {
    stopped = cvos_process_stopped(&p->os);
    if (stopped) cvy_front_back(p, true);
    cvy_loop_lock(p->loop);
    if (!p->ended && !stopped) p->front_at = cvy_deadline_in(LOOK_EVERY);
    cvy_loop_unlock(p->loop);
  }
  cvy_mutex_unlock(p->os_lock);
}
