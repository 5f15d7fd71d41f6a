/* posix/detail/attributes.h: what covey_launch asks for, as numbers that a child can use before its exec: names are looked up and memory is taken
 * in the parent. */
#ifndef COVEY_POSIX_DETAIL_ATTRIBUTES_H
#define COVEY_POSIX_DETAIL_ATTRIBUTES_H

#include "os/process.h"
#include "posix/detail/posix.h"

#include <sys/types.h>

typedef struct cvos_rlimit {
  int resource; /* RLIMIT_... */
  uint64_t soft, hard;
  int index; /* in covey_launch.limits */
} cvos_rlimit;

typedef struct cvos_attributes {
  bool credentials; /* one of the three below: the child must not share our memory */
  bool has_user, has_group, has_groups;
  uid_t user;
  gid_t group;
  gid_t *groups; /* owned */
  size_t group_count;
  bool has_umask, no_new_privileges, subreaper, has_nice;
  mode_t umask;
  int nice;
  cvos_rlimit limits[COVEY_LIMIT_PROCESSES]; /* each kind once */
  size_t limit_count;
  const uint64_t *affinity; /* a view of the caller's; NULL none */
  size_t affinity_size;     /* bytes */
} cvos_attributes;

/* What launch (NULL: nothing) asks for but limits of the tree. ret: ended with cvos_attributes_fini, on failure too. 0, or a COVEY_E code, and *ret_failure
 * is filled: ARGUMENTS (COVEY_ENOTSUP), USER, LIMITS. */
int cvos_attributes_make(const covey_launch *launch, cvos_attributes *ret, covey_failure *ret_failure);
void cvos_attributes_fini(cvos_attributes *attributes);

/* In the child: all that goes before the user, and the user. 0, or the stage, with errno and *ret_index. */
int cvos_attributes_limit(const cvos_attributes *attributes, int *ret_index);
int cvos_attributes_become(const cvos_attributes *attributes, int *ret_index);

/* The index of what could not be set, where it is no limit. */
enum {
  CVOS_AT_GROUPS = -2,
  CVOS_AT_GROUP = -3,
  CVOS_AT_USER = -4,
  CVOS_AT_PRIVILEGES = -5,
  CVOS_AT_PRIORITY = -6,
  CVOS_AT_AFFINITY = -7,
  CVOS_AT_SUBREAPER = -8
};

#endif
