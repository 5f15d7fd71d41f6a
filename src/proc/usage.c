#include "proc/process.h"

#include "core/error.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/proclist.h"

#include <string.h>

/* What one process uses now, added to ret. One that has ended meanwhile uses nothing. */
static int add_process(cvos_proclist *list, int64_t pid, uint64_t start, covey_usage *ret)
{
  cvos_proc row;
  int r = cvos_proclist_seek(list, pid, start, &row);

  if (r == 0 && !(row.flags & CVOS_PROC_ZOMBIE)) r = cvos_proclist_read(list, CVOS_PROC_USAGE, &row);
  if (r == COVEY_ENOTFOUND || (r == 0 && (row.flags & CVOS_PROC_ZOMBIE))) return 0;
  if (r < 0) return r;
  ret->user_time += row.user_us;
  ret->system_time += row.system_us;
  ret->memory += row.memory;
  ret->processes++;
  if (row.flags & CVOS_PROC_STOPPED) ret->suspended++;
  return 0;
}

/* What has ended: os_lock held. */
static void of_the_ended(const covey_process *p, covey_usage *ret)
{
  *ret = (covey_usage){.user_time = p->status.user_us,
                       .system_time = p->status.system_us,
                       .peak_memory = p->status.peak_bytes};
}

static int of_leader(covey_process *p, cvos_proclist *list, covey_usage *ret)
{
  int r;

  if (!cvy_process_observe(p)) {
    r = add_process(list, p->pid, p->start, ret);
    ret->peak_memory = cvos_process_peak(&p->os);
    if (r < 0 || ret->processes) return r;
  }
  if (!cvy_process_observe(p)) return COVEY_EAGAIN; /* neither there nor ended: another look */
  of_the_ended(p, ret);
  return 0;
}

/* The pids of the tree's members: owned. */
static int64_t members(cvos_tree *tree, int64_t **ret)
{
  int64_t room = 64, count;

  for (;;) {
    int64_t *pids = cvy_alloc((size_t)room * sizeof *pids);
    if (!pids) return COVEY_ENOMEM;
    count = cvos_tree_members(tree, pids, (size_t)room);
    if (count < 0 || count > room) {
      cvy_free(pids);
      if (count < 0) return count;
      room = count + 16;
      continue;
    }
    *ret = pids;
    return count;
  }
}

static int of_tree(covey_process *p, cvos_proclist *list, covey_usage *ret)
{
  int64_t *pids = NULL;
  cvos_usage whole;
  bool ended = cvy_process_observe(p), met = false;
  int r = 0;

  if (!p->tree) {
    if (!p->settled) return COVEY_ENOTSUP;
    of_the_ended(p, ret);
    return 0;
  }
  int64_t count = members(p->tree, &pids);
  if (count < 0) return (int)count;
  for (int64_t i = 0; i < count && r == 0; i++) {
    met = met || pids[i] == p->pid;
    r = add_process(list, pids[i], pids[i] == p->pid ? p->start : 0, ret);
  }
  cvy_free(pids);
  if (r == 0 && !ended && !met) r = add_process(list, p->pid, p->start, ret);
  if (r < 0) return r;
  ret->peak_memory = -1;
  cvos_tree_usage(p->tree, &whole);
  if (whole.user_us >= 0) ret->user_time = whole.user_us;
  if (whole.system_us >= 0) ret->system_time = whole.system_us;
  if (whole.memory >= 0) ret->memory = whole.memory;
  ret->peak_memory = whole.peak;
  if (!ended || whole.user_us >= 0 || p->status.user_us < 0) return 0;
  ret->user_time += p->status.user_us;
  ret->system_time += p->status.system_us;
  return 0;
}

int covey_process_usage(covey_process *process, int target, covey_usage *ret_usage)
{
  covey_usage found = {0};
  cvos_proclist *list = NULL;
  int r, still = 0;

  if (!process) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "process");
  if (!ret_usage) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_usage");
  if (target != COVEY_TARGET_LEADER && target != COVEY_TARGET_TREE)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "target");
  if ((r = cvy_loop_check(process->loop)) < 0) return r;
  for (int look = 0; look < 3; look++) { /* it may be on its way out: gone from the list, and not yet ended */
    found = (covey_usage){0};
    if ((r = cvos_proclist_open(&list)) < 0) break;
    cvy_mutex_lock(process->os_lock);
    r = target == COVEY_TARGET_LEADER ? of_leader(process, list, &found) : of_tree(process, list, &found);
    still = cvos_tree_suspended(process->tree);
    cvy_mutex_unlock(process->os_lock);
    cvos_proclist_close(list);
    if (r != COVEY_EAGAIN) break;
    (void)cvos_process_wait(&process->os, 20);
  }
  if (r < 0) {
    covey_failure failure;
    bool ours = target == COVEY_TARGET_TREE && r == COVEY_ENOTSUP && !process->tree;
    cvy_failure_set(&failure, r, COVEY_STAGE_NONE, ours ? 0 : cvos_last_error(), "usage of process %lld",
                    (long long)process->pid);
    return cvy_fail_copy(&failure);
  }
  if (still) found.suspended = still < 0 ? -1 : found.processes;
  *ret_usage = found;
  return 0;
}
