#include "proc/process.h"

#include "core/error.h"
#include "os/error.h"
#include "proc/options.h"

void cvy_pty_begin(covey_process *p, cvos_pty *pty)
{
  p->pty = pty;
  p->terminal = pty != NULL;
  p->pty_ends = pty && cvos_pty_started(pty);
}

void cvy_pty_typed(cvy_stream *s, char last)
{
  s->begun = last != '\n' && last != '\r';
}

bool cvy_pty_end_input(cvy_stream *s)
{
  covey_process *p = s->process;

  if (!p->pty || s->finishing) return false;
  s->finishing = true;
  s->input = s->end;
  s->input_size = cvos_pty_end(p->pty, s->begun, s->end);
  s->fed = 0;
  return true;
}

bool cvy_pty_hang_up(covey_process *p)
{
  cvos_pty *pty;

  cvy_loop_lock(p->loop);
  pty = p->pty;
  p->pty = NULL;
  cvy_loop_unlock(p->loop);
  cvos_pty_close(pty);
  return pty != NULL;
}

bool cvy_pty_discard(covey_process *p)
{
  if (!p->pty || p->ladder != CVY_LADDER_KILLED) return false;
  cvos_pty_discard(p->pty);
  return true;
}

cvy_deadline cvy_pty_quiet(const covey_process *p, cvy_deadline quiet)
{
  cvy_deadline own = cvy_deadline_in(p->pty ? CVY_DRAIN_DEFAULT : p->drain_max);

  if (!p->terminal || p->pty_ends) return quiet;
  if (p->pty) return own < quiet ? own : quiet;
  return own > quiet ? own : quiet;
}

bool cvy_pty_expire(covey_process *p, cvy_stream *s)
{
  if (!p->terminal || p->pty_ends || !cvy_pty_hang_up(p)) return false;
  cvy_loop_lock(p->loop);
  s->last_call = false;
  s->quiet = cvy_deadline_in(p->drain_max);
  cvy_loop_unlock(p->loop);
  return true;
}

int covey_process_resize(covey_process *process, int rows, int columns)
{
  covey_process *p = process;
  covey_failure failure;
  int r;

  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if (rows < 1 || rows > CVOS_PTY_SIZE_MOST) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "rows");
  if (columns < 1 || columns > CVOS_PTY_SIZE_MOST)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "columns");
  if ((r = cvy_loop_check(p->loop)) < 0) return r;
  if (!p->terminal) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_PTY, "no terminal");
  cvy_loop_lock(p->loop);
  r = p->pty && !p->streams[1].ended ? cvos_pty_resize(p->pty, rows, columns) : COVEY_ECLOSED;
  if (r < 0)
    cvy_failure_set(&failure, r, COVEY_STAGE_PTY, r == COVEY_ECLOSED ? 0 : cvos_last_error(), "process %lld",
                    (long long)p->pid);
  cvy_loop_unlock(p->loop);
  return r < 0 ? cvy_fail_copy(&failure) : 0;
}
