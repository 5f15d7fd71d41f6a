/* covey/running.h: more of process.h, which includes it: starts and stops that nobody waits for, waiting for several, and what processes
 * use while they run. */
#ifndef COVEY_RUNNING_H
#define COVEY_RUNNING_H

#include <covey/process.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A start under way. */
typedef struct covey_starting covey_starting;

/* Told once, in covey_loop_dispatch of the loop (a lent loop: in the owner's uv_run), without locks; it may call anything.
 * process: owned, release with covey_process_close; NULL: it was not started, and failure says why.
 * failure: a view, valid during the call; NULL on success. */
typedef void (*covey_started)(void *user, covey_process *process, const covey_failure *failure);

/* covey_spawn_start starts a program without waiting for it, however slow its disk is: a thread of the library does what covey_spawn does,
 * and on_started is told. At most four start at a time, the others wait their turn; the threads end when there is nothing to start.
 * options: copied, with all that they point to; descriptors and handles are duplicated, but on Windows those of pass, whose values the child knows: they stay open
 * until on_started was called, or for good where the start is closed before. Loop and cancel are borrowed until on_started was called or the start is closed. Callbacks
 * for output and room come behind on_started. A cancel that is
 * fired before it is started: COVEY_ECANCELED. Where the loop is closed before it was told nobody is told any more, and what was started is closed, as below.
 * ret_starting: owned, release with covey_starting_close, also in on_started; NULL: on_started comes in any case, as long as the loop is open.
 * Errors: COVEY_EINVAL, COVEY_ENOTSUP (options that make no sense, or not here), COVEY_ENOMEM, COVEY_ELIMIT (no thread, or no descriptor left), COVEY_ESTALE. What
 * comes up later is told to on_started: all errors of covey_spawn. Any thread. */
COVEY_API int covey_spawn_start(const covey_process_options *options, covey_started on_started, void *user,
                                covey_starting **ret_starting);

/* covey_starting_close releases a start; on_started will not be called any more, unless it runs now in another thread. When it was
 * not told yet, nothing is started, or what was started is closed: killed with its tree, as by covey_process_close. starting: moved, NULL
 * does nothing. Never waits. Any thread. */
COVEY_API void covey_starting_close(covey_starting *starting);

/* covey_process_stop_start is covey_process_stop without its wait: it asks, and returns; the grace, the kill and the end come by themselves while
 * the loop turns, and covey_process_on_end or any wait tells the end. For programs that live on an event loop, which must not stand
 * still for the grace.
 * process: borrowed; once its handle is closed the tree is killed. grace: as there.
 * Errors: COVEY_ENOTSUP (grace is COVEY_FOREVER, and there is no way to ask), COVEY_EACCES (grace is 0, and the kill is not ours to do),
 * COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_stop_start(covey_process *process, int64_t grace);

/* covey_process_wait_any waits until one of several processes has ended and its captures are drained.
 * processes, count: borrowed; at least one, all on one loop; each may be there more than once. ret_index: filled on
 * success: which has ended, of several the one that ended first (by the millisecond); covey_process_wait tells its exit. It is told again by
 * the next call: take it out of the list. timeout: milliseconds.
 * Errors: COVEY_ETIMEDOUT, COVEY_ENOTSUP (they hang on different loops), COVEY_ECANCELED, COVEY_ESTUCK (none is left that could end:
 * each was cancelled, by its options.cancel or covey_process_cancel, or killed 5 s ago), COVEY_EDEADLK, COVEY_EINVAL (index: which is NULL), COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_wait_any(covey_process *const *processes, size_t count, int64_t timeout,
                                     size_t *ret_index);

/* covey_process_wait_all waits, by one deadline, until all of several processes have ended, on whatever loops.
 * processes, count: borrowed; at least one. timeout: milliseconds, for all together. Errors: those of covey_process_wait, of the first
 * in the list whose end is not known then. Any thread. */
COVEY_API int covey_process_wait_all(covey_process *const *processes, size_t count, int64_t timeout);

/* What a process or a tree uses while it runs. */
typedef struct covey_usage {
  int64_t user_time; /* microseconds of processor time; -1 unknown */
  int64_t system_time;
  int64_t memory;      /* resident bytes now; those that several processes share count for each. 0 when it has ended */
  int64_t peak_memory; /* the most that it was; -1 unknown */
  int64_t processes;   /* that run now */
  /* of these: that stand still, by STOP, a terminal's ctrl-Z, reading a terminal from its background, or a debugger; -1 unknown (Windows) */
  int64_t suspended;
  uint64_t reserved[2];
} covey_usage;

/* covey_process_usage tells what the process, or its tree, uses now.
 * target: COVEY_TARGET_LEADER: the process itself, after its end the figures of covey_exit. COVEY_TARGET_TREE: all that
 * run now together, with their time also that of those that have ended where the tree is a job (Windows) or has a
 * control group of its own (Linux, COVEY_CAP_TREE_KERNEL); of others that time is gone with them.
 * peak_memory of a process: Linux and Windows. Of a tree: Windows, committed memory; Linux with COVEY_CAP_LIMIT_MEMORY and
 * limits of memory.
 * ret_usage: filled.
 * Errors: COVEY_EINVAL, COVEY_ENOTSUP (TREE of an adopted, detached or DETACHED process; no /proc), COVEY_EACCES, COVEY_ENOMEM,
 * COVEY_ELIMIT, COVEY_EOS, COVEY_ESTALE. Any thread. One look at each member; Windows, macOS: at all processes. */
COVEY_API int covey_process_usage(covey_process *process, int target, covey_usage *ret_usage);

#ifdef __cplusplus
}
#endif

#endif
