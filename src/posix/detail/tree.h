/* posix/detail/tree.h: a tree as a process group and what descends from its leader. */
#ifndef COVEY_POSIX_DETAIL_TREE_H
#define COVEY_POSIX_DETAIL_TREE_H

#include "os/process.h"
#include "posix/detail/cgroup.h"
#include "posix/detail/guard.h"

/* A process that was seen to descend from the leader. */
typedef struct cvos_kin {
  pid_t pid;
  uint64_t start;
} cvos_kin;

struct cvos_tree {
  pid_t leader;
  uint64_t start;         /* of the leader */
  bool grouped;           /* leader is the number of a group too */
  bool session;           /* ... and of a session */
  bool suspended;         /* STOP was sent to all of it */
  bool ended;             /* the leader was reaped: the numbers are nobody's any more */
  cvos_guard_place place; /* in the guard; slot -1: not tied */
  cvos_cgroup cgroup;     /* number 0: none */
  cvos_kin *kin;          /* members that left the group, found by earlier looks */
  size_t kin_count;
};

/* Takes the tree out of the guard: before the leader is reaped, or when it is let go. */
void cvos_tree_untie(cvos_tree *tree);

#endif
