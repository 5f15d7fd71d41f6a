#include "proc/process.h"

#include "core/error.h"
#include "os/error.h"

static int refused(int code, int64_t pid)
{
  covey_failure failure;

  /* another one has the pid now: for the caller the process that was meant is not there */
  if (code == COVEY_EPEERCHANGED) code = COVEY_ENOTFOUND;
  cvy_failure_set(&failure, code, COVEY_STAGE_LOOKUP, cvos_last_error(), "process %lld", (long long)pid);
  return cvy_fail_copy(&failure);
}

int covey_process_adopt(int64_t pid, uint64_t start, covey_loop *loop, covey_process **ret_process)
{
  covey_process *p;
  int r;

  if (pid < 1) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "pid");
  if (!ret_process) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_process");
  if (pid == cvos_self_pid()) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "our own pid");
  if ((r = cvy_loop_acquire(loop, &loop)) < 0) return r;
  r = cvy_process_new(loop, &p);
  cvy_loop_release(loop);
  if (r < 0) return r;
  r = cvos_process_open(pid, start, &p->os);
  if (r < 0) {
    p->os.handle = CVOS_NONE;
    refused(r, pid);
    cvy_process_scrap(p);
    return covey_last_failure()->code;
  }
  p->pid = pid;
  p->start = p->os.start;
  p->exit.started = cvos_start_time(p->os.start);
  if ((r = cvy_process_attach(p, NULL)) < 0) return r;
  *ret_process = p;
  return 0;
}

int64_t covey_process_pid(const covey_process *process)
{
  return process ? process->pid : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
}

int covey_process_identity(const covey_process *process, covey_identity *ret_identity)
{
  covey_process *p = (covey_process *)(uintptr_t)process;
  covey_identity found = {.uid = -1, .gid = -1};
  int r;

  if (!p || !ret_identity)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, p ? "ret_identity" : "process");
  if ((r = cvy_loop_check(p->loop)) < 0) return r;
  cvy_mutex_lock(p->os_lock);
  if (!p->identity.pid) {
    /* Held by us: nobody else can have the pid. Of one that has ended the system tells no more. */
    bool asked = !cvy_process_observe(p) && cvos_identity(p->pid, &found, NULL) == 0 &&
                 (!p->start || found.start == p->start);

    if (!asked) found = (covey_identity){.uid = -1, .gid = -1, .start = p->start};
    found.pid = p->pid;
    if (p->os.handle != CVOS_NONE || p->child) found.flags |= COVEY_ID_PINNED;
    if (p->child) found.flags |= COVEY_ID_CHILD;
    if (asked) p->identity = found;
  } else {
    found = p->identity;
  }
  cvy_mutex_unlock(p->os_lock);
  *ret_identity = found;
  return 0;
}
