/* posix/detail/cgroup.h: a control group of the kernel around a tree: whatever descends from its leader stays in it and ends with one write (Linux,
 * cgroup v2, Linux 5.14 for cgroup.kill). Elsewhere, and where the group that we are in is not ours to divide, there is none.
 *
 * A program has one folder below its own group, "covey.NAMESPACE.PID.START", and in it one folder a tree, by number. No
 * controller is needed, so mounts beside v1 hierarchies do too. When we are gone the guard ends what is in use and takes the folders away;
 * what a program left that was killed together with its guard is taken away, once it is empty, by the next one that makes its own. */
#ifndef COVEY_POSIX_DETAIL_CGROUP_H
#define COVEY_POSIX_DETAIL_CGROUP_H

#include "os/tree.h"
#include "posix/detail/posix.h"

#include <sys/types.h>

typedef struct cvos_cgroup {
  uint32_t number;            /* the folder's name; 0: none */
  uint32_t births;            /* in which child of fork() it was taken */
  int folder;                 /* open while few are in use, else -1 */
  bool empty;                 /* known to be; nobody but us puts anybody in */
  bool killed;                /* whoever is in it is on its way out */
  bool limited;               /* it has limits of its own: nobody else's tree gets it */
  bool frozen;                /* it was suspended: the same */
  bool reused;                /* and what it counted for another tree is not known */
  int64_t user_us, system_us; /* counted for another tree before */
} cvos_cgroup;

/* Whether trees can have groups: probed once with a child of its own, leaves nothing behind. Any thread. */
bool cvos_cgroup_possible(void);

/* The group that we are in, as a folder; only behind cvos_cgroup_possible(). Static. */
const char *cvos_cgroup_own(void);

/* The program's folder, made at the first call; "" where there is none. Static. */
const char *cvos_cgroup_base(void);

/* Takes an empty group, folder open; number 0 where none is to be had, which is no error. */
void cvos_cgroup_take(cvos_cgroup *ret);

/* Its child runs: the folder is closed when many are in use. */
void cvos_cgroup_started(cvos_cgroup *group);

/* Ends whoever is in it, and whoever they start meanwhile. 0 or errno. */
int cvos_cgroup_kill(cvos_cgroup *group);

/* Calls each(pid) for every process in it until it returns false; those in groups that its members made below it are not seen. 0 or errno. */
int cvos_cgroup_each(cvos_cgroup *group, bool (*each)(pid_t pid, void *arg), void *arg);

/* Suspends whoever is in it, and whoever they start meanwhile; or lets them go on. 0 or errno (ENOENT: Linux before 5.2). */
int cvos_cgroup_freeze(cvos_cgroup *group, bool frozen);

/* What the kernel counted for it since it was taken; each -1 where it does not. */
void cvos_cgroup_usage(cvos_cgroup *group, cvos_usage *ret);

/* Gives it back. Members that were not killed go on in our own group: that takes the kernel some milliseconds each. */
void cvos_cgroup_put(cvos_cgroup *group);

#endif
