/* covey/loop.h: the loop on which nodes, watched children, managers, signals and timers hang.
 *
 * Most programs never include this header: every call that takes a loop takes NULL for the default loop, which is made at first
 * need, and blocking calls do the rest. It is for programs that
 *   - want covey apart from the default loop            covey_loop_open
 *   - live on libuv                                     covey_loop_attach
 *   - live on another event loop (GLib, Qt, CFRunLoop,
 *     Win32 messages, epoll, kqueue ...)                covey_loop_handle and covey_loop_dispatch
 *   - have no event loop, and want callbacks            covey_loop_wait
 *
 * How a loop turns. One thread at a time runs it. A thread that blocks in a covey call runs the loop itself until its own wish is
 * met or its deadline has passed, and hands the loop on; what arrives for others meanwhile goes into their bounded buffers. While no
 * thread of the program is in such a call, one helper thread ("covey-loop") runs the loop: it is started at the first need, steps
 * back at once when a thread of the program comes, returns 50 ms after the last one has left, blocks all signals (POSIX), and never
 * keeps the program from ending. An object's loop is fixed when the object is made.
 *
 * Callbacks of the program (of any covey object) run inside covey_loop_dispatch and covey_loop_wait, on a lent loop inside the owner's uv_run, or
 * inside a wait on that very object: never on a thread that waits for something else, never on the helper thread, never under a
 * lock, so they may call covey. The one exception is the accept callback of a node, which says so.
 *
 * Clocks are libuv's monotonic ones. While the machine sleeps they stand still on Linux and go on on macOS and Windows: a
 * deadline may pass during a suspend there.
 *
 * libuv installs some things of its own the first time a loop of ours is made: on Windows a console control handler (which passes
 * every event on unless the program watches signals), the error mode without system dialogs and Winsock; on POSIX a pipe for
 * signals, but no signal handler. (signal.h has handlers of covey's own, for the signals that it is asked for.) */
#ifndef COVEY_LOOP_H
#define COVEY_LOOP_H

#include <covey/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct covey_loop covey_loop;

struct uv_loop_s; /* libuv's uv_loop_t; no public header includes <uv.h> */

enum {
  /* No helper thread: the program promises to call covey_loop_dispatch often (or whenever the loop's handle is readable). Without
   * it, nothing happens on the loop while no thread blocks in a call on one of its objects. */
  COVEY_LOOP_NO_THREAD = 1 << 0
};

typedef struct covey_loop_options {
  uint32_t flags;       /* COVEY_LOOP_... */
  uint32_t reserved0;   /* zero */
  uint64_t reserved[4]; /* zero */
} covey_loop_options;

/* covey_loop_open makes a loop of its own. On success *ret_loop is a loop that options (borrowed, NULL is the default) describe:
 * owned, released with covey_loop_close.
 * Errors: COVEY_EINVAL (ret_loop is NULL, an unknown flag, a reserved word that is not zero), COVEY_ENOMEM, COVEY_ELIMIT (no
 * descriptor left), COVEY_ENOTSUP (Windows: a libuv that covey does not know). Any thread. */
COVEY_API int covey_loop_open(const covey_loop_options *options, covey_loop **ret_loop);

/* covey_loop_attach lends covey a libuv loop of the program. On success *ret_loop is the handle for it: owned, released with
 * covey_loop_close before the program closes uv.
 *   uv          borrowed: a loop that uv_loop_init has made, which lives until covey_loop_close and one turn more.
 *   uv_version  uv_version() as the program sees it: both must be the same libuv, since handles of one copy do not work on the
 *               loop of another.
 * The loop belongs to the calling thread, the owner: only it runs uv_run. Objects on this loop do their work and call their callbacks
 * there. The attachment alone does not keep uv_run going, open objects do; and libuv does not turn a loop on which nothing is open at all: whoever
 * opens the first object from another thread needs a handle of the program's own there. Other threads may use the objects and block; a call
 * on the owner's thread that would have to wait on this loop answers COVEY_EDEADLK at once (timeout 0 works: it sees what the
 * last turn has brought). A blocking call of another thread ends while the owner keeps turning the loop, and not before its deadline
 * when it does not.
 * Errors: COVEY_EINVAL (uv or ret_loop is NULL), COVEY_EVERSION (another libuv), COVEY_ENOMEM, COVEY_ENOTSUP (Windows: a libuv
 * that covey does not know). The owner's thread, outside of other covey callbacks. */
COVEY_API int covey_loop_attach(struct uv_loop_s *uv, unsigned uv_version, covey_loop **ret_loop);

/* covey_loop_handle gives one handle for a foreign loop: a descriptor to poll for reading (an epoll or a kqueue), on Windows a
 * manual-reset event. A view, valid until covey_loop_close; it must only be waited for, never read, reset or closed.
 *   loop  borrowed, NULL is the default loop (which lives as long as the program).
 * Contract: level-triggered. It is readable (signalled) whenever covey_loop_dispatch has something to do: bytes, room, an exit, a
 * timer that is due, a callback, work left by another thread; covey_loop_dispatch clears it. It may be readable without need, it
 * is never unreadable when there is need. Asking for the handle ends the helper thread of this loop for good: from now on the
 * program promises to dispatch, as with COVEY_LOOP_NO_THREAD. (On Windows a small relay thread watches the completion port.)
 * The right loop of a program:
 *
 *     covey_native handle;
 *     covey_loop_handle(NULL, &handle);
 *     for (;;) {
 *       struct pollfd p[] = {{.fd = handle, .events = POLLIN}, ...};
 *       poll(p, count, -1);
 *       if (p[0].revents) covey_loop_dispatch(NULL);
 *       ...
 *     }
 *
 * tests/examples/loop_poll.c has it for all systems. A program that waits for nothing else needs no handle: covey_loop_wait.
 *
 * Errors: COVEY_EINVAL (ret_handle is NULL), COVEY_ENOTSUP (a lent loop: its own uv_run is the dispatch), COVEY_ENOMEM, COVEY_ELIMIT,
 * COVEY_ESTALE, COVEY_EDEADLK (inside an accept callback). Any thread; asking again gives the same handle. */
COVEY_API int covey_loop_handle(covey_loop *loop, covey_native *ret_handle);

/* covey_loop_dispatch does what waits to be done on the loop, without waiting for more, and then runs the callbacks that are due.
 * Returns how many callbacks it ran, 0 or more.
 *   loop  borrowed, NULL is the default loop.
 * A thread that is blocked in a call on this loop steps back for the moment. Callbacks may call covey, also covey_loop_dispatch.
 * Where several threads dispatch, two callbacks must not each close the object whose callback the other one is: the closes would wait for each other.
 * Errors: COVEY_ENOTSUP (a lent loop), COVEY_ESTALE, COVEY_EDEADLK (inside an accept callback). Any thread; callbacks run on the thread
 * that dispatches. */
COVEY_API int covey_loop_dispatch(covey_loop *loop);

/* covey_loop_wait waits until callbacks are due on the loop, runs them, and returns how many ran, 1 or more: the whole event loop of a program
 * that has no other, and its way to wait for things of several kinds at once, such as a message, the end of a child and a signal.
 *
 *     while (!over) covey_loop_wait(NULL, COVEY_FOREVER, NULL);     the callbacks do the rest, one of them sets over
 *
 *   loop     borrowed, NULL is the default loop.
 *   timeout  milliseconds; 0 runs what is due now; COVEY_FOREVER: for ever, also where nothing on the loop has a callback.
 *   cancel   borrowed, until the call returns; ends the wait from any thread; NULL: none.
 * Callbacks may call covey, also covey_loop_wait. Several threads may wait: each callback runs on one of them. The helper thread of the loop is
 * left as it is (it runs the loop, though no callbacks, while nobody waits).
 * Errors: COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ECLOSED (the loop was closed meanwhile), COVEY_EINVAL (timeout), COVEY_ENOTSUP (a lent loop: its own
 * uv_run waits), COVEY_ENOMEM, COVEY_ELIMIT, COVEY_ESTALE, COVEY_EDEADLK (inside an accept callback). Any thread. */
COVEY_API int covey_loop_wait(covey_loop *loop, int64_t timeout, covey_cancel *cancel);

/* covey_loop_close releases a loop of covey_loop_open or covey_loop_attach. loop: moved; NULL does nothing, also not to the default loop,
 * which lives as long as the program. Objects that still hang on the loop keep it alive until they are closed; callbacks that
 * have not run by now never run. The helper thread has ended when the call returns, or ends with the last object. A lent loop: the
 * owner's thread, and uv must turn once more before the program closes it: uv_run until it returns 0 does that, which is when the last
 * object has been closed, in whatever thread. Never inside an accept callback. */
COVEY_API void covey_loop_close(covey_loop *loop);

#ifdef __cplusplus
}
#endif

#endif
