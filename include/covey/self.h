/* covey/self.h: this process, seen by itself: numbers, kinship, age, and being asked to end.
 *
 * A child of covey_node_spawn (and of a manager) is born with one end of a connection to its parent. Over it the parent asks the
 * child to end, and its end tells the child that the parent is gone:
 *
 *     while (covey_self_wait_stop(1000) == COVEY_ETIMEDOUT)
 *       beat();                                             once a second, until somebody wants us to end
 *     return 0; */
#ifndef COVEY_SELF_H
#define COVEY_SELF_H

#include <covey/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* covey_self_pid returns the number of this process. Any thread. */
COVEY_API int64_t covey_self_pid(void);

/* covey_self_parent returns the number of the process that started this one; 0 when it is gone or has no number here.
 * POSIX: when the parent ends, a child gets a new one (init, or a subreaper), whose number is returned then. Windows: the number of
 * a parent that has ended is not returned, even when another process has it by now. Any thread. */
COVEY_API int64_t covey_self_parent(void);

/* covey_self_is_child returns 1 when this process was started by covey_node_spawn or by a manager, else 0. It is proven, not
 * claimed: the inherited connection must lead to our parent, by the word of the kernel. So a grandchild that inherited the
 * environment or the connection is no child, and neither is a child of plain covey_spawn, which has no connection.
 * It stays 1 when the parent has ended. Any thread. */
COVEY_API int covey_self_is_child(void);

/* covey_self_start_time returns when this process was started, in milliseconds since 1970-01-01 UTC: the system's own record,
 * not the time of the first call; 0 when the system does not tell. Linux: in steps of 10 ms. Any thread. */
COVEY_API int64_t covey_self_start_time(void);

/* covey_self_uptime returns the milliseconds since this process was started, on a clock that is never set back; time in suspend
 * counts where the system's record of the start counts it (Linux, Windows). Any thread. */
COVEY_API int64_t covey_self_uptime(void);

/* covey_self_arguments returns the words that this program was started with, as UTF-8 (WTF-8) on every system: on Windows main() gets
 * them in the code page of the user, in which much cannot be said, so there they are read from the command line and what main() got
 * is ignored; elsewhere they are copies of it.
 * argc, argv: borrowed, those of main(). ret_argv: owned, one block: one covey_free releases all; a NULL stands behind the last
 * word. ret_count: number of words, may be NULL. Errors: COVEY_EINVAL, COVEY_ENOMEM. Any thread. */
COVEY_API int covey_self_arguments(int argc, char **argv, char ***ret_argv, size_t *ret_count);

/* covey_self_path returns the file of this program, absolute: what a program starts when it starts itself (argv[0] may be a bare name that
 * no search finds). Where it was replaced since, by an update, or removed: the path that it had. ret_path: owned, free with covey_free. Errors: COVEY_EINVAL, COVEY_ENOMEM, COVEY_EOS. Any thread. */
COVEY_API int covey_self_path(char **ret_path);

/* covey_self_wait_stop waits until this process is asked to end: by STOP from its parent (covey_process_stop of a child of
 * covey_node_spawn), by the end of that parent, or by the system and its user: SIGINT, SIGTERM, SIGQUIT, SIGHUP; on Windows CTRL_C,
 * CTRL_BREAK, the closing of the console and the end of the session. Being asked is sticky: later calls return 0 at once. It is
 * covey_shutdown_wait (signal.h) for those who need not know who asked.
 * timeout: milliseconds; 0 only looks. The call also paces a loop: it returns COVEY_ETIMEDOUT when the time is over.
 * Returns 0 when we shall end. Errors: COVEY_ETIMEDOUT (nobody asked), COVEY_EINVAL (timeout), COVEY_ESTALE (after fork),
 * COVEY_EDEADLK (on the owner's thread of a lent loop), or what covey_node_open answers, for it opens the default node in a child
 * of covey. The first call takes over the signals named above for the rest of the process's life, unless the program handles one of
 * them itself or ignores it: such a signal stays the program's. Before the first call covey touches no signal. A second INT or TERM
 * ends the program, however it hangs. Any thread, several at once. */
COVEY_API int covey_self_wait_stop(int64_t timeout);

#ifdef __cplusplus
}
#endif

#endif
