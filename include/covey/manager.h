/* covey/manager.h: a set of processes, started, watched, spoken to and ended together.
 *
 *     covey_manager *manager;
 *     covey_manager_new(NULL, &manager);
 *     covey_manager_spawn(manager, &(covey_process_options){.argv = worker}, NULL);
 *     covey_manager_spawn(manager, &(covey_process_options){.argv = worker}, NULL);
 *     covey_manager_send_all(manager, "jobs", "go", 2, 1000, NULL, 0);
 *     covey_manager_stop_all(manager, 3000, NULL, 0);
 *     covey_manager_free(manager);
 *
 * Sweeps. The calls that end in _all go to every member. What one member does never keeps a sweep from the others: each has its own
 * result in ret_members, and the call returns how many of them failed, so that 0 means that all is well. A negative code means that the
 * sweep itself was not made.
 *
 * The ended. A member that has ended stays in the set, so that its result can be had, until covey_manager_wait_any or a sweep of
 * covey_manager_wait_all, _stop_all or _kill_all has told its end, or on_end was called with it, or it is removed. Of members that nobody asks about the last 1,024 ended ones are kept;
 * the oldest goes when one more is started or added. */
#ifndef COVEY_MANAGER_H
#define COVEY_MANAGER_H

#include <covey/base.h>
#include <covey/node.h>
#include <covey/process.h>
#include <covey/signal.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct covey_manager covey_manager;

enum {
  COVEY_MANAGER_PLAIN = 1 << 0 /* children get no connection: they are started by covey_spawn, and need not use covey */
};

typedef struct covey_member covey_member;

/* Told of the end of a member, which is no member any more; ended is 1. member: a view for this call. */
typedef void (*covey_manager_callback)(const covey_member *member, void *user);

typedef struct covey_manager_options {
  covey_node *node;     /* borrowed; the node whose connections the children get and from which send_all sends. NULL: the default node */
  covey_loop *loop;     /* borrowed; the loop of children without a connection and of added processes. NULL: the default loop */
  covey_cancel *cancel; /* borrowed until the manager is freed: ends its waiting calls with COVEY_ECANCELED; what cancels a single member ends none of them. NULL: none */
  uint32_t flags;       /* COVEY_MANAGER_... */
  uint32_t reserved0;   /* zero */
  /* called once for the end of each member, by the rules of loop.h: in covey_loop_dispatch of the member's loop (a lent loop: in uv_run), or in
   * a covey_manager_wait_all, _wait_any, _stop_all or _kill_all that sees the end before. It may call covey, but not free the manager. Members that
   * leave the set otherwise are not told of. NULL: none */
  covey_manager_callback on_end;
  void *user;           /* for on_end */
  uint64_t reserved[2]; /* zero */
} covey_manager_options;

/* What a sweep says of one member. */
struct covey_member {
  int64_t pid;          /* 0: this place of the array is not used */
  int result;           /* 0, or the COVEY_E code of this member */
  int ended;            /* 1: exit is filled */
  covey_exit exit;      /* how it ended; else all zero */
  uint64_t reserved[4]; /* zero */
};

/* covey_manager_new makes an empty set. options: borrowed, may be NULL. ret_manager: owned, free with covey_manager_free.
 * Errors: COVEY_EINVAL, COVEY_ENOMEM, COVEY_ELIMIT. Any thread. */
COVEY_API int covey_manager_new(const covey_manager_options *options, covey_manager **ret_manager);

/* covey_manager_free releases the set and its references to the members: a child to which nobody else holds a reference is ended with its
 * tree, as by covey_process_close. It never waits. manager: moved, NULL does nothing. No other thread may use it any more. */
COVEY_API void covey_manager_free(covey_manager *manager);

/* covey_manager_spawn starts a child as covey_node_spawn does (with COVEY_MANAGER_PLAIN, and for scope DETACHED, as covey_spawn) and adds it.
 * options: borrowed; loop in it must be NULL. ret_process: a reference of the caller's own, close it with covey_process_close; NULL: the
 * manager's is enough. Errors: those of covey_node_spawn. Any thread. */
COVEY_API int covey_manager_spawn(covey_manager *manager, const covey_process_options *options, covey_process **ret_process);

/* covey_manager_add adopts a running process, as covey_process_adopt does, and adds it. pid, start: its identity; start 0: whoever has the
 * pid now. Errors: COVEY_EEXIST (it is a member), and those of covey_process_adopt. Any thread. */
COVEY_API int covey_manager_add(covey_manager *manager, int64_t pid, uint64_t start);

/* covey_manager_get finds a member by pid. ret_process: a reference of the caller's own, close it with covey_process_close.
 * Errors: COVEY_ENOTFOUND. Any thread. */
COVEY_API int covey_manager_get(covey_manager *manager, int64_t pid, covey_process **ret_process);

/* covey_manager_remove takes the member with that pid out of the set and releases the set's reference: if it was the last one, a running child ends, as by
 * covey_process_close (detach it before, to let it go on). Errors: COVEY_ENOTFOUND. Any thread. */
COVEY_API int covey_manager_remove(covey_manager *manager, int64_t pid);

/* covey_manager_count returns the number of members, ended ones included; COVEY_EINVAL for NULL. Any thread. */
COVEY_API int covey_manager_count(covey_manager *manager);

/* covey_manager_pids writes the pids of the members, in the order in which they came, up to capacity of them. ret_pids: the caller's, may be
 * NULL with capacity 0. Returns the number of members, which may be larger than capacity; COVEY_EINVAL for NULL. Any thread. */
COVEY_API int covey_manager_pids(covey_manager *manager, int64_t *ret_pids, size_t capacity);

/* The sweeps below share these: ret_members: the caller's array of capacity places, filled in the order of the members; places that are not
 * used are zeroed; may be NULL with capacity 0: then no end is told, and who has ended stays in the set. They return the number of members
 * whose result is not 0.
 * Errors of the sweep itself: COVEY_EINVAL, COVEY_ENOMEM, COVEY_ESTALE (after fork). Any thread. */

/* covey_manager_wait_all waits until every member has ended. timeout: milliseconds for all of them together. Results: 0 with exit, or
 * COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ESTUCK, COVEY_EDEADLK (on the owner's thread of a lent loop; of the member in whose callback we are). */
COVEY_API int covey_manager_wait_all(covey_manager *manager, int64_t timeout, covey_member *ret_members, size_t capacity);

/* covey_manager_wait_any waits until one of the members has ended, tells its end, and takes it out of the set: called until it answers
 * COVEY_ENOTFOUND it tells every end once, in the order in which they came. Several threads that wait get different members.
 *   while ((r = covey_manager_wait_any(manager, COVEY_FOREVER, &member)) == 0) report(member.pid, &member.exit);
 * timeout: milliseconds. ret_member: filled on success, with result 0 and exit; may be NULL. Those count that are members when it is called.
 * Errors: COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ENOTFOUND (there are no members), COVEY_ESTUCK (none is left that could end: all were killed 5 s
 * ago, or longer), COVEY_ENOTSUP (members hang on different loops), COVEY_EDEADLK, COVEY_EINVAL, COVEY_ENOMEM, COVEY_ESTALE. Any thread. */
COVEY_API int covey_manager_wait_any(covey_manager *manager, int64_t timeout, covey_member *ret_member);

/* covey_manager_stop_all asks every member to end, all at once, gives them one grace together, then kills the trees of those that remain, and waits
 * for their ends: covey_process_stop for a set. grace: milliseconds. Results: 0 with exit, or those of covey_process_stop. */
COVEY_API int covey_manager_stop_all(covey_manager *manager, int64_t grace, covey_member *ret_members, size_t capacity);

/* covey_manager_kill_all kills the tree of every member and waits, 5 seconds at most, for their ends. Results: 0 with exit, or those of
 * covey_process_kill, or COVEY_ESTUCK. */
COVEY_API int covey_manager_kill_all(covey_manager *manager, covey_member *ret_members, size_t capacity);

/* covey_manager_signal_all sends a signal to every member. signal, target, results: as for covey_process_signal; a member that has ended
 * is COVEY_ENOTFOUND, with its exit. */
COVEY_API int covey_manager_signal_all(covey_manager *manager, int signal, int target, covey_member *ret_members, size_t capacity);

/* covey_manager_send_all sends one message to every member that has not ended, from the manager's node. group, data, size: as for covey_send. timeout:
 * milliseconds, for all of them together; a slow one does not keep the others from getting theirs. Results: those of covey_send. A member that has ended is
 * COVEY_EPEERDIED, with its exit. */
COVEY_API int covey_manager_send_all(covey_manager *manager, const char *group, const void *data, size_t size, int64_t timeout, covey_member *ret_members,
                                     size_t capacity);

/* covey_manager_forward sends signals that come to this program on to every member that has not ended, from now on until it is called again or the
 * manager is freed; they do not end us meanwhile, as covey_signals_open says. How each member gets them: see COVEY_PROCESS_FORWARD.
 * options: borrowed: which signals (NULL in it: all that asks a program to end; PARENT comes only where the connection to our parent is open: covey_shutdown_wait and every node
 * open it) and flags; loop,
 * forward and on_event must be zero. NULL: no longer. Errors: those of covey_signals_open. Any thread. */
COVEY_API int covey_manager_forward(covey_manager *manager, const covey_signals_options *options);

#ifdef __cplusplus
}
#endif

#endif
