#include "proc/process.h"

/* Takes the callback out, also when it waits to be run. Loop's lock held. */
static cvy_told take(covey_process *p)
{
  cvy_told was = p->told;

  if (cvy_loop_unnote(p->loop, &p->told_note)) p->users--;
  p->told = (cvy_told){0};
  return was;
}

static bool run(covey_process *p, const cvy_told *told)
{
  covey_exit exit;

  if (!told->run) return false;
  cvy_loop_lock(p->loop);
  cvy_process_fill_exit(p, &exit);
  cvy_loop_unlock(p->loop);
  told->run(p, &exit, told->arg);
  told->released(told->arg);
  return true;
}

static void call_back(void *arg)
{
  covey_process *p = arg;
  cvy_told told;

  cvy_loop_lock(p->loop);
  told = take(p);
  cvy_loop_unlock(p->loop);
  (void)run(p, &told);
  covey_process_close(p);
}

void cvy_told_note(covey_process *p)
{
  if (!p->told.run || p->told_note.queued || !p->done || cvy_show_pending(p)) return;
  p->users++;
  p->told_note = (cvy_note){.run = call_back, .arg = p};
  cvy_loop_note(p->loop, &p->told_note);
}

void cvy_told_set(covey_process *p, const cvy_told *told)
{
  cvy_told before;

  cvy_loop_lock(p->loop);
  before = take(p);
  if (told) p->told = *told;
  cvy_told_note(p);
  cvy_loop_unlock(p->loop);
  if (before.run) before.released(before.arg);
}

bool cvy_told_run(covey_process *p)
{
  cvy_told told = {0};

  cvy_loop_lock(p->loop);
  if (p->done) told = take(p);
  cvy_loop_unlock(p->loop);
  return run(p, &told);
}

bool cvy_told_leave(covey_process *p, cvy_told *ret_dropped)
{
  *ret_dropped = (cvy_told){0};
  if (--p->users > p->told_note.queued) return false;
  *ret_dropped = take(p);
  return true;
}
