/* os/watch.h: what can be watched under a libuv loop, as completions ("these bytes arrived"), the same on both systems.
 *
 * [token] marks calls that only the thread that holds the loop's token may make (the thread that runs the uv loop, or that could);
 * [any] may be called from any thread. Every callback runs on the token's thread, without any lock of ours, from inside uv_run.
 * An object is closed with its _close call; its closed callback then comes exactly once, from a later turn of the loop, and is the
 * last use of arg and of the object. Callbacks may close their own object.
 *
 * POSIX: uv_poll_t on descriptors that we made; we read and write ourselves. Windows: own overlapped calls on the loop's completion
 * port, the OVERLAPPED inside a uv_async_t; measured in reference tests on libuv 1.44 and 1.52, and checked when a loop is made. */
#ifndef COVEY_OS_WATCH_H
#define COVEY_OS_WATCH_H

#include "os/process.h"
#include "os/stream.h"
#include "os/types.h"

struct uv_loop_s;

/* ---- a uv loop of our own ---- */

/* How many callbacks of watches have run on the calling thread so far: when the number stands still over a turn, the turn started nothing. */
uint64_t cvos_watch_activity(void);

/* Prepares an initialised uv loop that is ours for several runners (Windows: a port of concurrency 64 in place of libuv's 1, since a
 * former leader that computes would starve the next one; elsewhere nothing). Before anything else touches the loop.
 * own is false for a lent loop: then only the assumptions are checked. Errors: COVEY_ENOTSUP (a libuv we do not know), COVEY_ELIMIT. */
int cvos_watch_prepare(struct uv_loop_s *uv, bool own);

/* [token] Sleeps in uv's place, without the cost of a turn: until uv has an event, a timer of it is due, or timeout ms (-1: never) have passed. 0: awake;
 * whoever finds nothing to do himself runs uv without waiting. 1: it has told the end of a process, and uv has nothing more. COVEY_EAGAIN, without having slept: uv has something to do first.
 * COVEY_ENOTSUP: not here (Linux can; elsewhere only uv_run sleeps). uv: our own loop. */
int cvos_watch_sleep(struct uv_loop_s *uv, int64_t timeout);

/* [token] True while there are watches of processes that uv does not know of yet: cvos_watch_sleep looks at them itself. cvos_watch_arm hands them
 * to uv: before every turn of it. Both do nothing where cvos_watch_sleep is not there. uv: our own loop. */
bool cvos_watch_alone(const struct uv_loop_s *uv);
void cvos_watch_arm(struct uv_loop_s *uv);

/* The handle for foreign loops over uv (own loops only): level-triggered on POSIX (an epoll or kqueue over the loop's descriptor, a
 * "work waits" mark and a timer), a manual-reset event on Windows. */
typedef struct cvos_pollable cvos_pollable;
int cvos_pollable_open(struct uv_loop_s *uv, cvos_pollable **ret);   /* [token] */
cvos_handle cvos_pollable_handle(const cvos_pollable *p);            /* [any] */
void cvos_pollable_mark(cvos_pollable *p);                           /* [any] makes it readable: something waits that uv does not know */
/* [token] before a dispatch runs uv: takes the mark away. After it: arms again with uv's own time-out (-1 none). */
void cvos_pollable_begin(cvos_pollable *p);
void cvos_pollable_end(cvos_pollable *p, int timeout);
void cvos_pollable_close(cvos_pollable *p);                          /* [token] NULL does nothing */

/* ---- a byte stream: a connection, or our end of a child's pipe ---- */

enum { CVOS_IO_READ = 1, CVOS_IO_WRITE = 2 };

/* A piece of memory to send, borrowed. */
typedef struct cvos_piece {
  const void *data;
  size_t size;
} cvos_piece;

typedef struct cvos_io cvos_io;

typedef struct cvos_io_events {
  /* size > 0 bytes arrived; data is a view for this call. handles (handle_count of them, mostly 0) came with the bytes and are moved
   * to the callee; a CVOS_NONE behind them: more did, for which this process had no descriptor left (macOS: none of them is there then). May be NULL for streams that are only written. */
  void (*bytes)(void *arg, const void *data, size_t size, const cvos_handle *handles, size_t handle_count);
  /* No further bytes: status 0 is the end of the stream (a reset after the last byte too), else a negative COVEY_E code with the
   * system's number. Once; a stream that is not read reports a failed connection here when it notices. */
  void (*end)(void *arg, int status, int system);
  /* There is room again, after cvos_io_want_room. */
  void (*room)(void *arg);
  void (*closed)(void *arg);
  /* Where the bytes of the next read may go, which spares a copy: the memory, *ret_size bytes of it (1 or more), valid until bytes is told
   * with data in it, or until the next call. NULL: the watch's own memory, and no more than *ret_size bytes, which stands at what one read takes;
   * 0: nothing is to be read now, it is asked again in a later turn. May be NULL; a hint, which only POSIX takes. */
  void *(*place)(void *arg, size_t *ret_size);
} cvos_io_events;

/* [token] Watches handle (moved on success only): a stream socket, pipe end or overlapped pipe made by cvos_stream_ or cvos_pipe calls.
 * use: CVOS_IO_READ, CVOS_IO_WRITE or both. Reading is off at first. events: static. Errors: COVEY_ENOMEM, COVEY_ELIMIT, COVEY_EOS. */
int cvos_io_open(struct uv_loop_s *uv, cvos_handle handle, int use, const cvos_io_events *events, void *arg, cvos_io **ret);

/* [token] Reading on or off: off is back-pressure, nothing is lost. Turned on, bytes that wait already are told in a later turn. */
void cvos_io_read(cvos_io *io, bool on);

/* [token] Looks once, without waiting, whether bytes are there and tells them to the callbacks. Returns the bytes told, 0 for none.
 * For the bounded look before the loop sleeps; never inside a call of bytes. Does nothing while reading is off, and where
 * cvos_io_can_look() is false (Windows: a read is pending already, and only uv_run fetches its packet). */
bool cvos_io_can_look(void);
size_t cvos_io_look(cvos_io *io);

/* [any; the caller lets one thread write at a time] Takes as many bytes as the system takes at once: 0 up to the sum of the pieces. What was
 * taken is with the system or in the stream's own buffer, in order; the pieces are free again. A negative COVEY_E code when the connection is
 * over (COVEY_ECLOSED) or failed, with the system's number in *ret_system. Never raises SIGPIPE, never blocks. handles (borrowed) go along
 * with the first byte, or fail the call alone (COVEY_ELIMIT: too many are on their way, or another code): the stream is whole then, and nothing of
 * this call was taken; they need handle_count == 0 on Windows (there handles travel by duplication). */
int64_t cvos_io_write(cvos_io *io, const cvos_piece *pieces, size_t count, const cvos_handle *handles, size_t handle_count, int *ret_system);

/* [token] Asks for one call of room as soon as a write may take bytes again. */
void cvos_io_want_room(cvos_io *io);

/* [any] True while bytes that cvos_io_write took are still in our own buffer (Windows: a pending write; they are lost if we exit). */
bool cvos_io_pending(const cvos_io *io);

/* [token] Stops watching and closes the handle. Without now, a pending write is awaited first (it is never cancelled); with now it is given up. */
void cvos_io_close(cvos_io *io, bool now);

/* [token] Inside a call of bytes: the pid of the process that sent these bytes, by the kernel's word, when the handle is our end of
 * cvos_stream_pair on a system where cvos_stream_tells_sender() (Linux: SCM_CREDENTIALS, which the kernel adds by itself; bytes of two
 * processes never come in one call); 0 in another pid namespace; else -1. */
int64_t cvos_io_sender(const cvos_io *io);

/* The handle that io owns, for asking who is at the other end; a view, until cvos_io_close. [any] */
cvos_handle cvos_io_handle(const cvos_io *io);

/* ---- new connections ---- */

typedef struct cvos_acceptor cvos_acceptor;
typedef struct cvos_acceptor_events {
  void (*accepted)(void *arg, cvos_handle connection); /* moved to the callee */
  void (*failed)(void *arg, int status, int system);   /* descriptors ran out, say; the acceptor goes on by itself after a pause */
  void (*closed)(void *arg);
} cvos_acceptor_events;

/* [token] Accepts on listener, which stays the caller's and must live until closed. Windows: two instances are pending at all times, the
 * next one is made before the connected one is handed on. */
int cvos_acceptor_open(struct uv_loop_s *uv, cvos_listener *listener, const cvos_acceptor_events *events, void *arg, cvos_acceptor **ret);
void cvos_acceptor_close(cvos_acceptor *acceptor); /* [token] */

/* ---- the end of a process ---- */

typedef struct cvos_exit_watch cvos_exit_watch;

/* [token] Calls exited once when the process has ended (not reaped: os/process.h does that). Linux: pidfd; macOS: EVFILT_PROC in one kqueue;
 * Windows: a registered wait; a POSIX system without either: a timer that looks. process: its handle must stay open until closed. A process that
 * has ended already, or was reaped by somebody, is told in the next turn or sleep. Once it was told it keeps no uv_run going. own: uv is ours, so that cvos_watch_sleep may look at it before uv does. Errors: COVEY_ENOMEM, COVEY_ELIMIT.
 * cvos_exit_watch_drop closes it at once where uv never knew of it: true, it is gone and closed does not come; false: nothing has happened. */
int cvos_exit_watch_open(struct uv_loop_s *uv, bool own, const cvos_process *process, void (*exited)(void *arg), void (*closed)(void *arg), void *arg, cvos_exit_watch **ret);
void cvos_exit_watch_close(cvos_exit_watch *watch); /* [token] */
bool cvos_exit_watch_drop(cvos_exit_watch *watch);  /* [token] */

#endif
