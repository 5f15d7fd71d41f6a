/* Nothing here limits what descends from a process as a whole. */
#include "posix/detail/controllers.h"

#include <errno.h>

uint32_t cvos_controllers_caps(void)
{
  return 0;
}

const char *cvos_controllers_wanted(const covey_launch *launch)
{
  if (!launch) return NULL;
  if (launch->tree_memory) return "launch.tree_memory";
  if (launch->tree_processes) return "launch.tree_processes";
  return launch->tree_cpu ? "launch.tree_cpu" : NULL;
}

int cvos_controllers_set(cvos_cgroup *group, const covey_launch *launch, const char **ret_field)
{
  (void)group;
  *ret_field = cvos_controllers_wanted(launch);
  return ENOTSUP;
}
