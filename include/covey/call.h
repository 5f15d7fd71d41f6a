/* covey/call.h: request and reply between nodes: calling a function that another process serves, and serving one.
 *
 *     covey_reply reply;                                                          the caller
 *     if (covey_call(NULL, pid, "add", "2 3", 3, 1000, &reply) == 0) {
 *       use(reply.status, reply.data, reply.size);
 *       covey_reply_free(&reply);
 *     }
 *
 *     covey_request request;                                                      the server
 *     while (covey_call_receive(NULL, "add", COVEY_FOREVER, &request) == 0) {
 *       covey_call_reply(&request, 0, "5", 1);
 *       covey_request_free(&request);
 *     }
 *
 * Functions. A node serves functions by name; their names are apart from those of groups: group "add" and function "add" are two
 * things. A function is there from the first covey_call_receive or covey_serve on. A call of a function that is not there (yet) waits
 * for it within its deadline, as a message does for its group: start order does not matter; then it answers COVEY_ENOTFOUND. Requests
 * of one caller are handed out in order within a priority, higher priorities (0 to 7) first; several threads may serve one function.
 * Any number of calls are in flight at a time, over one connection, from any number of threads, in both directions, also to
 * ourselves; replies find their call by its number, in whatever order they come.
 *
 * Outcome. A call returns 0 when the function has answered, whatever it has answered: reply.status is the server's own word, 0 by
 * habit for "done", and data is then the text of an error if server and caller agree on that. A negative code means that there is
 * no answer: covey_last_failure()->what says why in words, also those of the other side, and reached says whether the request may
 * have been worked on (COVEY_FAR_NOTHING: certainly not).
 *
 * Deadlines. One timeout covers process, function, room, and the answer. What is left of it travels with the request: the server can
 * ask (covey_request_left), and a request whose time is over is not handed out any more. A caller that gives up (deadline, cancel,
 * covey_call_close) says so to the server; one that dies does by that. covey_request_wanted tells the server.
 *
 * Nothing hangs. A server that ends fails all calls that wait for it at once (COVEY_EPEERDIED); a request that is freed without a
 * reply answers COVEY_EFAILED; a function that is closed answers those that wait in it with COVEY_ENOTFOUND; our own covey_node_close
 * ends them with COVEY_ECLOSED.
 *
 * Room. A request takes its place in the function's window at the server (covey_node_options.window), as a message in its group, and
 * gives it back when it is handed out. A reply needs no room there: with the request the caller promises to take reply_max bytes,
 * and the reply travels by that promise, past every full window. So two processes that call each other cannot stop each other. What
 * calls in flight may bring is bounded: reply_max of all of them together is at most 16 times the node's max_memory; one more is
 * COVEY_EQUOTA, at once. Replies that a caller does not read are kept for it, up to the node's max_memory for all callers; then the
 * caller that has most waiting loses its connection. */
#ifndef COVEY_CALL_H
#define COVEY_CALL_H

#include <covey/base.h>
#include <covey/message.h>
#include <covey/node.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- calling ---- */

typedef struct covey_reply {
  /* owned by the reply: a private copy, aligned to 16 bytes, a NUL behind its last byte */
  const void *data;
  size_t size;          /* its bytes, without that NUL */
  int32_t status;       /* what the server said; 0 by habit: done */
  uint32_t reserved0;   /* zero */
  covey_identity from;  /* who answered: by the kernel, or by our spawn */
  covey_peer *peer;     /* a view: the node that answered */
  void *internal;       /* the library's */
  uint64_t reserved[4]; /* zero */
} covey_reply;

/* covey_call calls a function of a process (of its node without a name) and waits for the answer.
 * node: borrowed; NULL: the default node, opened at need. pid: the process; our own works too, when another thread serves. function:
 * borrowed; its name, 1 to COVEY_NAME_MAX bytes, any but NUL; not "*". data: borrowed, size bytes, may be NULL when size is 0. timeout:
 * milliseconds, for everything. ret_reply: filled on success; owned, release it with covey_reply_free. It takes up to 1 MiB, or the
 * node's max_message if that is less; covey_call_run has a choice.
 * Returns 0. Errors a caller may act on: COVEY_ENOPEER (there is no such process, or it has no node), COVEY_ENOTFOUND (it does not
 * serve this function), COVEY_ETIMEDOUT (no room, or no answer: reached tells), COVEY_EPEERDIED (it ended before it answered),
 * COVEY_EFAILED (it let go of the request without an answer), COVEY_EQUOTA (see above, or max_peers), COVEY_ETOOBIG (the server takes no request of this
 * size; at once), COVEY_EDENIED, COVEY_EPEERCHANGED, COVEY_EUNSAFE, COVEY_EVERSION (as covey_send), COVEY_ECLOSED (our node was
 * closed), COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait), COVEY_EINVAL, COVEY_ENOMEM, COVEY_ELIMIT,
 * COVEY_EOS, COVEY_ESTALE, or those of covey_node_open. Any thread, several at once. */
COVEY_API int covey_call(covey_node *node, int64_t pid, const char *function, const void *data, size_t size,
                         int64_t timeout, covey_reply *ret_reply);

/* A call in flight. */
typedef struct covey_pending covey_pending;

typedef struct covey_call_options {
  /* Whom: exactly one of the four. */
  int64_t pid;      /* the node without a name of this process */
  const char *name; /* borrowed; the node of this name */
  /* borrowed; as covey_message.peer. Never another process: COVEY_EPEERDIED once it is gone */
  covey_peer *peer;
  const covey_message *reply_to; /* borrowed; the sender of this message: the same as its peer */

  const char *function; /* borrowed; needed: what is called */
  int64_t timeout;      /* milliseconds for everything, the answer too; 0: COVEY_FOREVER */
  /* borrowed, until the call returns; ends it with COVEY_ECANCELED. covey_call_start: it ends the start, not the wait. NULL: none */
  covey_cancel *cancel;
  /* Most bytes of the reply, at most the node's max_message. 0: 1 MiB, or that if it is less. The server cannot answer with more. */
  size_t reply_max;
  int32_t priority; /* 0 to 7: order at the server; 7 first */
  uint32_t flags;   /* COVEY_CALL_... */
  /* covey_call_start only, else NULL: called once when the call is over, in whatever way, in covey_loop_dispatch or in the uv_run of
   * a lent loop, without locks; covey_call_wait(pending, 0, &reply) then tells the outcome at once. It may close pending. It is
   * not called when covey_call_wait or covey_call_close came first. */
  void (*on_done)(covey_pending *pending, void *arg);
  void *arg;            /* borrowed until pending is closed: handed to on_done */
  uint64_t reserved[6]; /* zero */
} covey_call_options;

enum {
  /* The request goes out at once or not at all: COVEY_ENOPEER, COVEY_ENOTFOUND, or COVEY_EAGAIN (no room, or the connection is being
   * made), and certainly nothing was sent. (A rest that the system does not take at once is copied and sent by the library.) timeout
   * is still the time for the answer. */
  COVEY_CALL_TRY = 1 << 0
};

/* covey_call_run is covey_call in full. node: borrowed; NULL: the default node. options: borrowed, needed: it says whom and what.
 * buffers: borrowed, count of them; together the request (count may be 0: an empty one). ret_reply: filled on success; owned,
 * release it with covey_reply_free.
 * Errors: those of covey_call; COVEY_ECANCELED; COVEY_EAGAIN (COVEY_CALL_TRY). Any thread, several at once. */
COVEY_API int covey_call_run(covey_node *node, const covey_call_options *options, const covey_buffer *buffers,
                             size_t count, covey_reply *ret_reply);

/* covey_call_start sends the request as covey_call_run does, and returns without waiting for the answer. node, options, buffers,
 * count: as there; nothing of them is used after the return, but options->arg. ret_pending: owned, close it with covey_call_close.
 * Errors: those of covey_call_run before an answer. Any thread. */
COVEY_API int covey_call_start(covey_node *node, const covey_call_options *options,
                               const covey_buffer *buffers, size_t count, covey_pending **ret_pending);

/* covey_call_wait waits until a call is over and tells its outcome, once. pending: borrowed. timeout: milliseconds for this wait; 0
 * only looks. ret_reply: filled on success; owned, release it with covey_reply_free.
 * Returns 0. Errors: COVEY_EAGAIN (it is not over yet: wait again), COVEY_EINVAL (its reply was taken already), COVEY_ECANCELED (by
 * covey_call_cancel), those of covey_call: COVEY_ETIMEDOUT means the deadline of the call, which is over then. Any thread. */
COVEY_API int covey_call_wait(covey_pending *pending, int64_t timeout, covey_reply *ret_reply);

/* covey_call_wait_any waits until one of several calls is over. pending: borrowed, count of them, all of one node; NULL items are
 * passed over. timeout: milliseconds; 0 only looks. Returns the index of one that is over: covey_call_wait on it tells its outcome
 * at once. Calls whose outcome was told count as over, so take them out of the list.
 * Errors: COVEY_ETIMEDOUT (none is), COVEY_EINVAL (no call at all, or of several loops), COVEY_EDEADLK, COVEY_ENOMEM, COVEY_ESTALE.
 * Any thread. */
COVEY_API int covey_call_wait_any(covey_pending *const *pending, size_t count, int64_t timeout);

/* covey_call_cancel gives a call up: the server is told, and covey_call_wait answers COVEY_ECANCELED. pending: borrowed; NULL, and a
 * call that is over, do nothing. Never fails. Any thread. */
COVEY_API void covey_call_cancel(covey_pending *pending);

/* covey_call_close releases a call, and gives it up when it is not over. pending: moved; NULL does nothing. on_done does not begin any
 * more; one that is running in another thread goes on. Never fails. Any thread, on_done too; nobody may wait for it at the same time. */
COVEY_API void covey_call_close(covey_pending *pending);

/* covey_reply_free releases what a reply holds. reply: its contents are moved, the struct is zeroed; NULL, and a struct that is all
 * zero, do nothing. Any thread. */
COVEY_API void covey_reply_free(covey_reply *reply);

/* ---- serving ---- */

typedef struct covey_request {
  /* owned by the request: a private copy, aligned to 16 bytes, a NUL behind its last byte */
  const void *data;
  size_t size;          /* its bytes, without that NUL */
  const char *function; /* a view: what was called */
  size_t reply_max;     /* most bytes that the caller takes as a reply */
  int32_t priority;     /* 0 to 7, as called */
  uint32_t reserved0;   /* zero */
  covey_identity from;  /* who called: by the kernel, or by our spawn */
  covey_peer *peer;     /* a view: the caller, for a message or a call back */
  void *internal;       /* the library's */
  uint64_t reserved[4]; /* zero */
} covey_request;

/* covey_call_receive takes the next request of a function, and waits for it. node: borrowed; NULL: the default node, opened at
 * need. function: borrowed; from the first call on it is served; COVEY_ANY_GROUP: of every function without a handler. timeout:
 * milliseconds; 0 only looks. ret_request: filled on success; owned, release it with covey_request_free, which answers the caller
 * if nobody has.
 * Returns 0. Errors: COVEY_ETIMEDOUT (also with timeout 0: there is none), COVEY_EEXIST (a handler serves it), COVEY_ECLOSED (the
 * function or the node was closed meanwhile), COVEY_EINVAL, COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to
 * wait), COVEY_ELIMIT (4,096 groups and functions on one node), COVEY_ENOMEM, COVEY_ESTALE, or those of covey_node_open. Any
 * thread; of several that wait for the same function each request goes to one. */
COVEY_API int covey_call_receive(covey_node *node, const char *function, int64_t timeout,
                                 covey_request *ret_request);

/* covey_request_receive is covey_call_receive in full. node: borrowed; NULL: the default node. options: borrowed; group is the
 * function, and needed. ret_request: filled on success; owned, release it with covey_request_free. Errors: those of
 * covey_call_receive; COVEY_ECANCELED. Any thread. */
COVEY_API int covey_request_receive(covey_node *node, const covey_receive_options *options,
                                    covey_request *ret_request);

/* covey_call_reply answers a request, once. It never waits: what the system does not take at once is copied and sent by the library.
 * request: borrowed; it still wants covey_request_free. status: the server's own word, 0 by habit for "done". data: borrowed, size
 * bytes, may be NULL when size is 0.
 * Returns 0: it is on its way. Errors: COVEY_ETOOBIG (more than reply_max; answer with less), COVEY_ENOMEM (answer again);
 * COVEY_EINVAL (it was answered already, or is no request); COVEY_ECANCELED (the caller has given up), COVEY_EPEERDIED (the caller is
 * gone), COVEY_ECLOSED (our node was closed): nobody waits, nothing more is to be done; COVEY_ESTALE. Any thread. */
COVEY_API int covey_call_reply(covey_request *request, int32_t status, const void *data, size_t size);

/* covey_request_wanted tells whether anybody still waits for the answer: 1, or 0 when the caller has given up, its time is over, it
 * is gone, or the request was answered. It looks at what the connection has brought by now. request: borrowed. Errors: COVEY_EINVAL
 * (it is no request), COVEY_ESTALE. Any thread. */
COVEY_API int covey_request_wanted(const covey_request *request);

/* covey_request_left returns the milliseconds that the caller still waits: 0 as soon as covey_request_wanted is 0, COVEY_FOREVER when
 * it has no deadline. Good as the timeout of what is called further. request: borrowed; 0 for one that is none. Never fails. Any
 * thread. */
COVEY_API int64_t covey_request_left(const covey_request *request);

/* covey_request_free releases what a request holds; if it was not answered, the caller gets COVEY_EFAILED at once. request: its
 * contents are moved, the struct is zeroed; NULL, and a struct that is all zero, do nothing. Never fails. Any thread. */
COVEY_API void covey_request_free(covey_request *request);

/* covey_serve serves a function by a handler. It runs in covey_loop_dispatch, in the uv_run of a lent loop, or in covey_serve_run; in
 * several threads at a time if several threads do that; without locks, so it may call covey.
 * node: borrowed; NULL: the default node, opened at need. function: borrowed. handler: gets the request, which it answers by
 * covey_call_reply; when it returns, the library frees the request, unless it has moved it (copied the struct and zeroed the original)
 * to answer later. arg: borrowed until covey_serve_close: handed to handler.
 * Errors: COVEY_EEXIST (it is served already), COVEY_EINVAL, COVEY_ELIMIT, COVEY_ENOMEM, COVEY_ECLOSED, COVEY_ESTALE, or those of
 * covey_node_open. Any thread. */
COVEY_API int covey_serve(covey_node *node, const char *function,
                          void (*handler)(covey_request *request, void *arg), void *arg);

/* covey_serve_run waits for a request of any function with a handler, and runs the handler on this thread. node: borrowed; NULL:
 * the default node, opened at need. timeout: milliseconds for the wait; 0 only looks. cancel: borrowed, may be NULL; ends the wait.
 *
 *     while (covey_serve_run(NULL, COVEY_FOREVER, NULL) == 0) continue;
 *
 * Returns 0: one request was handled. Errors: COVEY_ETIMEDOUT (there was none), COVEY_ECANCELED, COVEY_ECLOSED (the node was closed
 * meanwhile), COVEY_EDEADLK, COVEY_EINVAL, COVEY_ENOMEM, COVEY_ESTALE, or those of covey_node_open. Any thread, several at once. */
COVEY_API int covey_serve_run(covey_node *node, int64_t timeout, covey_cancel *cancel);

/* covey_serve_close closes a function, with a handler or without: requests that wait in it are answered COVEY_ENOTFOUND, receives that
 * wait for it return COVEY_ECLOSED. Requests that were handed out can still be answered. When it returns, the handler does not run any
 * more (but where this is called by it), and arg may go. (covey_node_close does not wait for handlers.) node: borrowed; NULL: the
 * default node. function: borrowed.
 * Errors: COVEY_ENOTFOUND (it is not served), COVEY_EINVAL, COVEY_ECLOSED, COVEY_EDEADLK (on the owner's thread of a lent loop, when a
 * handler runs in another thread; the function is closed), COVEY_ESTALE. Any thread. */
COVEY_API int covey_serve_close(covey_node *node, const char *function);

#ifdef __cplusplus
}
#endif

#endif
