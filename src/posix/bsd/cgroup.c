/* These systems have no groups that hold what descends from a process: a tree is its process group and what can be found. */
#include "posix/detail/cgroup.h"

#include <errno.h>

bool cvos_cgroup_possible(void)
{
  return false;
}

const char *cvos_cgroup_own(void)
{
  return "";
}

const char *cvos_cgroup_base(void)
{
  return "";
}

void cvos_cgroup_take(cvos_cgroup *ret)
{
  *ret = (cvos_cgroup){.folder = -1};
}

void cvos_cgroup_started(cvos_cgroup *group)
{
  (void)group;
}

int cvos_cgroup_kill(cvos_cgroup *group)
{
  (void)group;
  return ENOTSUP;
}

int cvos_cgroup_each(cvos_cgroup *group, bool (*each)(pid_t pid, void *arg), void *arg)
{
  (void)group;
  (void)each;
  (void)arg;
  return ENOTSUP;
}

int cvos_cgroup_freeze(cvos_cgroup *group, bool frozen)
{
  (void)group;
  (void)frozen;
  return ENOTSUP;
}

void cvos_cgroup_usage(cvos_cgroup *group, cvos_usage *ret)
{
  (void)group;
  *ret = (cvos_usage){-1, -1, -1, -1};
}

void cvos_cgroup_put(cvos_cgroup *group)
{
  group->number = 0;
}
