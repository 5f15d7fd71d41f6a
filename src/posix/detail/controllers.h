/* posix/detail/controllers.h: limits of a whole tree: the controllers of its control group (Linux, cgroup v2). */
#ifndef COVEY_POSIX_DETAIL_CONTROLLERS_H
#define COVEY_POSIX_DETAIL_CONTROLLERS_H

#include "posix/detail/cgroup.h"

#include <covey/launch.h>

/* The COVEY_CAP_LIMIT_ bits: which controllers our own group can hand out. It is tried, and undone. */
uint32_t cvos_controllers_caps(void);

/* The first limit of the tree that launch (may be NULL) asks for; NULL: none. */
const char *cvos_controllers_wanted(const covey_launch *launch);

/* Sets them in group, whose folder is open and in which nobody is yet. Hands the controllers out on the way, to our own group's folders, for
 * good. 0, or errno (ENOTSUP: that controller is not to be had) and *ret_field. */
int cvos_controllers_set(cvos_cgroup *group, const covey_launch *launch, const char **ret_field);

#endif
