/* os/tree.h: a child's tree: end it, signal it, look at it. cvos_spawn (os/process.h) makes it. */
#ifndef COVEY_OS_TREE_H
#define COVEY_OS_TREE_H

#include "os/types.h"

/* What was started together with a child and what it has started since: a job (Windows), a process group, or the control group around it
 * when it is ENCLOSED (POSIX). */
typedef struct cvos_tree cvos_tree;

/* Ends every member at once, the leader included if it runs. POSIX: the group, and what left it as far as parent links show (a new
 * session, a double fork whose middle still lives): stopped top-down, looked for again until nothing new is found, then killed; bounded.
 * A member whose parents have all ended, and that made a session of its own, is not found, unless the leader is a subreaper (launch.h); once the leader has ended (not reaped) it is the
 * group alone, and what earlier calls found: that costs one system call. Enclosed, and Windows: everybody, without escape (a job with code 137).
 * The killed are dying when it returns, not yet gone. 0, also for an empty tree; COVEY_EACCES when a member is not ours to kill (the
 * others are killed all the same), COVEY_ESTUCK when the number of members did not settle. */
int cvos_tree_kill(cvos_tree *tree);

/* Sends a signal (CVOS_SIGNAL_...) to every member; to the group on POSIX (SHARED: to the leader), to each process of the job on Windows, where
 * cvos_signal_send tells what can be sent. STOP and CONT on POSIX reach everybody that cvos_tree_kill would: a control group is frozen, else
 * members are stopped top-down, looked for again until nothing new is found. A leader that has ended but is not reaped counts as a member. Errors: COVEY_ENOTFOUND (no member), COVEY_ENOTSUP, COVEY_EACCES, COVEY_EINVAL. */
int cvos_tree_signal(cvos_tree *tree, int signal);

/* Asks the tree to end, by what the system has for it. POSIX: TERM to the group (and CONT, so that a stopped one hears it). Windows: WM_CLOSE
 * to the windows of its processes; CTRL_BREAK to its console group if it shares our console, or, when it has no window either, by the tool if it
 * is a console program in another one and the tool is there (nothing is waited for). Returns the number of ways that were taken, 0 when
 * there is none (a Windows program without window and with another console), or a negative COVEY_E code. */
int cvos_tree_ask(cvos_tree *tree);

/* What the system counts for the tree as a whole, its ended members included; each -1 where it does not. */
typedef struct cvos_usage {
  int64_t user_us, system_us;
  int64_t memory, peak; /* bytes */
} cvos_usage;
void cvos_tree_usage(cvos_tree *tree, cvos_usage *ret);

/* Whether all of it stands still by cvos_tree_signal in a way that no member shows for itself: 1 or 0; -1: this system does not tell who is
 * suspended at all (Windows). tree may be NULL. */
int cvos_tree_suspended(const cvos_tree *tree);

/* The pids of the members that run (zombies are none), as many as fit. Returns how many there are, which may be more than capacity; ret_pids may be
 * NULL with capacity 0. A snapshot. */
int64_t cvos_tree_members(cvos_tree *tree, int64_t *ret_pids, size_t capacity);

/* Lets go of the tree: it is untied, nothing is killed, the memory is freed. Members of an enclosed one that were not killed go on in
 * our control group. tree: moved, may be NULL. */
void cvos_tree_release(cvos_tree *tree);

#endif
