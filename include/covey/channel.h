/* covey/channel.h: channels: an ordered two-way stream of messages between two nodes, with its own window and half close.
 *
 *     covey_channel *c;                                                              one side
 *     covey_channel_options to = {.pid = pid, .endpoint = "jobs", .timeout = 1000};
 *     if (covey_channel_open(NULL, &to, &c) == 0) {
 *       covey_channel_send(c, "a", 1, 1000);
 *       covey_channel_end(c);                                                        no more from here; the other side goes on
 *       while (covey_channel_receive(c, COVEY_FOREVER, &m) == 0) use(&m), covey_message_free(&m);
 *       covey_channel_close(c, 1000);
 *     }
 *
 *     while (covey_channel_accept(NULL, "jobs", COVEY_FOREVER, &c) == 0) serve(c);    the other side
 *
 * Endpoints. A node takes channels at endpoints, by name; their names are apart from those of groups and functions. An endpoint is
 * there from the first accept (or covey_endpoint_open) on; an open that comes before waits for it within its deadline: start order
 * does not matter. Both sides of a channel are alike: each sends, receives, ends and closes.
 *
 * Order. What one side sends, the other receives whole, once, in the order of the sends, whatever its size; there are no
 * priorities. Each direction is a stream of its own.
 *
 * Receipts. A send means level SENT of message.h; there is no CONSUMED for a single message of a channel, since what was read is told in lumps, as room
 * that comes back. Who must know that all was read closes: covey_channel_close waits for that, and counts what was not.
 *
 * Room. Each side lends the other a window: so many bytes, each message counting size + 64, may be on the way to it and wait there.
 * A send waits for room within its deadline; who must not wait is told when to go on (covey_channel_on_room). A channel that nobody reads stops
 * nobody else: not the other direction, no other channel, no group and no call of the same connection. Windows come out of the node's max_memory: with more than 64 channels at a
 * time of the default size they become smaller (4 KiB at least), and a message that is larger than its window still comes through.
 *
 * The end. covey_channel_end says "no more from me": the other side reads what was sent, then COVEY_ECLOSED. covey_channel_close ends
 * both directions: what was sent is still delivered, what has come and was not read is thrown away, and the other side's sends answer
 * COVEY_ECLOSED. When the other process ends, or closes its node, all that had come is still read, then receives answer
 * COVEY_EPEERDIED; sends answer it at once.
 *
 * Bounds. A node has at most 4,096 groups, functions, endpoints and sides of channels. Openings that wait to be accepted: 64 of one
 * process at one endpoint; of more, the open waits. */
#ifndef COVEY_CHANNEL_H
#define COVEY_CHANNEL_H

#include <covey/base.h>
#include <covey/message.h>
#include <covey/node.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One side of a channel. Any number of threads may use it, also in the same call; but nobody may use it when it is closed. */
typedef struct covey_channel covey_channel;

/* ---- opening ---- */

typedef struct covey_channel_options {
  /* To whom: exactly one of the four. */
  int64_t pid;      /* the node without a name of this process; our own works too */
  const char *name; /* borrowed; the node of this name */
  /* borrowed; as covey_message.peer. Never another process: COVEY_EPEERDIED once it is gone */
  covey_peer *peer;
  const covey_message *reply_to; /* borrowed; the sender of this message: the same as its peer */

  const char *endpoint; /* borrowed; needed: where it takes channels */
  int64_t timeout;      /* milliseconds for everything; 0: COVEY_FOREVER; without waiting: COVEY_CHANNEL_TRY in flags */
  covey_cancel *cancel; /* borrowed; ends the call with COVEY_ECANCELED; NULL: none */
  /* Bytes that the other side may have on the way to us, and waiting here: 4 KiB up to half of the node's max_memory. 0: 64 KiB, or
   * the node's window if that is less. */
  size_t window;
  uint32_t flags;       /* COVEY_CHANNEL_... */
  uint32_t reserved0;   /* zero */
  uint64_t reserved[6]; /* zero */
} covey_channel_options;

enum {
  /* The opening goes out at once or not at all, and nobody waits for the accept: the first send and receive do that. */
  COVEY_CHANNEL_TRY = 1 << 0
};

/* covey_channel_open opens a channel to an endpoint of another node and waits until it was accepted there. node: borrowed; NULL: the
 * default node, opened at need. options: borrowed, needed: it says to whom and where. ret_channel: owned, close it with
 * covey_channel_close.
 * Returns 0. Errors a caller may act on: COVEY_ENOPEER (there is no such process, or it has no node), COVEY_ENOTFOUND (it has no such
 * endpoint, or closed it before it accepted), COVEY_ETIMEDOUT (too many openings wait there, or it was not accepted in time),
 * COVEY_EAGAIN (with COVEY_CHANNEL_TRY: that, or a connection is being made), COVEY_ECANCELED, COVEY_EPEERDIED (it ended before it accepted),
 * COVEY_EQUOTA (max_peers, or windows have used up the node's max_memory), COVEY_ELIMIT (see above, or no descriptor left), COVEY_EDENIED,
 * COVEY_EPEERCHANGED, COVEY_EUNSAFE, COVEY_EVERSION (as covey_send), COVEY_ECLOSED (our node was closed), COVEY_EDEADLK (on the owner's
 * thread of a lent loop, when it had to wait), COVEY_EINVAL, COVEY_ENOMEM, COVEY_EOS, COVEY_ESTALE, or those of covey_node_open. Any
 * thread. */
COVEY_API int covey_channel_open(covey_node *node, const covey_channel_options *options,
                                 covey_channel **ret_channel);

/* covey_channel_accept takes the next channel that was opened to an endpoint of ours, and waits for it. node: borrowed; NULL: the
 * default node, opened at need. endpoint: borrowed; from the first call on it is there. timeout: milliseconds; 0 only looks.
 * ret_channel: owned, close it with covey_channel_close.
 * Returns 0. Errors: COVEY_ETIMEDOUT (also with timeout 0: there is none), COVEY_ECLOSED (the endpoint or the node was closed
 * meanwhile), COVEY_EQUOTA (windows have used up the node's max_memory; it goes on waiting), COVEY_ELIMIT (see above; the same), COVEY_EEXIST (a
 * callback has its channels: covey_endpoint_on_channel), COVEY_EINVAL, COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to
 * wait), COVEY_ENOMEM, COVEY_ESTALE, or those of covey_node_open.
 * Any thread; of several that wait each channel goes to one. */
COVEY_API int covey_channel_accept(covey_node *node, const char *endpoint, int64_t timeout,
                                   covey_channel **ret_channel);

/* covey_endpoint_accept is covey_channel_accept in full. node: borrowed; NULL: the default node. options: borrowed; group is the
 * endpoint, and needed. ret_channel: owned, close it with covey_channel_close. Errors: those of covey_channel_accept;
 * COVEY_ECANCELED. Any thread. */
COVEY_API int covey_endpoint_accept(covey_node *node, const covey_receive_options *options,
                                    covey_channel **ret_channel);

/* covey_endpoint_on_channel has a callback called with every channel that is opened at an endpoint, for programs that live on an event loop: in
 * covey_loop_dispatch, or in the uv_run of a lent loop (loop.h); in several threads at a time if several threads dispatch; without locks, so
 * it may call covey: it may give the channel a callback (covey_channel_on_message). Openings that wait already come first.
 * node: borrowed; NULL: the default node, opened at need. endpoint: borrowed; made at need. on_channel: gets the channel, accepted, and code
 * 0; it is the program's from then on, which closes it with covey_channel_close. Or NULL, and why an opening could not be accepted (COVEY_EQUOTA, COVEY_ELIMIT, COVEY_ENOMEM, as of
 * covey_channel_accept), with covey_last_failure(): it is refused. NULL as on_channel: no callback any more; openings wait for an accept again. arg:
 * borrowed: handed to on_channel. A second callback takes the place of the first.
 * Accepts at this endpoint answer COVEY_EEXIST while there is a callback, also those that wait already. When the call returns, a callback that was
 * there before does not run any more (but where this is called by it), and its arg may go; the same holds for covey_endpoint_close.
 * (covey_node_close does not wait for callbacks.)
 * Errors: COVEY_EINVAL, COVEY_EDEADLK (on the owner's thread of a lent loop, when the callback runs in another thread; it is taken away, and not
 * replaced), COVEY_ECLOSED, COVEY_ELIMIT, COVEY_ENOMEM, COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_endpoint_on_channel(covey_node *node, const char *endpoint,
                                        void (*on_channel)(covey_channel *channel, int code, void *arg),
                                        void *arg);

/* covey_endpoint_open makes an endpoint with sizes of its own. node: borrowed; NULL: the default node, opened at need. endpoint:
 * borrowed; 1 to COVEY_NAME_MAX bytes, any but NUL; not "*". options: borrowed, may be NULL: max_bytes is the window of our side of each
 * channel that is accepted here (0: 64 KiB, or the node's window if that is less), max_count the openings of one process that may wait (0: 64); the
 * rest is zero.
 * Errors: COVEY_EEXIST (it is there), COVEY_EINVAL, COVEY_EQUOTA (max_bytes is above half of the node's max_memory), COVEY_ELIMIT,
 * COVEY_ENOMEM, COVEY_ECLOSED, COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_endpoint_open(covey_node *node, const char *endpoint, const covey_group_options *options);

/* covey_endpoint_close closes an endpoint: openings that wait at it are refused (COVEY_ENOTFOUND), accepts that wait return
 * COVEY_ECLOSED; channels that were accepted go on. node: borrowed; NULL: the default node. endpoint: borrowed.
 * Errors: COVEY_ENOTFOUND (it is not there), COVEY_EINVAL, COVEY_ECLOSED, COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_endpoint_close(covey_node *node, const char *endpoint);

/* ---- sending and receiving ---- */

/* covey_channel_send sends one message. channel: borrowed. data: borrowed, size bytes, may be NULL when size is 0. timeout:
 * milliseconds for room, and for the accept where that is still due; 0 only tries.
 * Returns 0: its place over there is reserved and the system has it whole; our own end cannot lose it. Errors: COVEY_ETIMEDOUT (no room
 * in time; with reached COVEY_FAR_MAYBE the library sends the rest), COVEY_EAGAIN (timeout 0: no room; nothing was sent, and
 * covey_channel_on_room tells when to try again), COVEY_ECLOSED (we have said that we send no more, the other side has closed the channel, or our node was closed), COVEY_EPEERDIED (it ended),
 * COVEY_ENOTFOUND (it was not accepted: its endpoint was closed), COVEY_ETOOBIG (the other side takes no message of this size), COVEY_EDEADLK (on the
 * owner's thread of a lent loop, when it had to wait), COVEY_EINVAL, COVEY_ENOMEM, COVEY_EOS, COVEY_ESTALE. Any thread, several at
 * once. */
COVEY_API int covey_channel_send(covey_channel *channel, const void *data, size_t size, int64_t timeout);

/* covey_channel_message_send is covey_channel_send in full. channel: borrowed. options: borrowed, may be NULL; timeout, cancel and
 * COVEY_SEND_TRY in flags count, the rest is zero. buffers: borrowed, count of them; together the message. Errors: those of
 * covey_channel_send; COVEY_ECANCELED (as COVEY_ETIMEDOUT). Any thread. */
COVEY_API int covey_channel_message_send(covey_channel *channel, const covey_send_options *options,
                                         const covey_buffer *buffers, size_t count);

/* covey_channel_receive takes the next message, and waits for it. channel: borrowed. timeout: milliseconds; 0 only looks. ret_message:
 * filled on success; owned, release it with covey_message_free; it may outlive the channel. Its group is the endpoint.
 * Returns 0. Errors: COVEY_ECLOSED (the end: all was read, and the other side sends no more; or our node was closed),
 * COVEY_EPEERDIED (all that had come was read, and the other side ended without that word), COVEY_ENOTFOUND (it was not accepted: its
 * endpoint was closed), COVEY_ETIMEDOUT (also with timeout 0: there is none), COVEY_EEXIST (a callback has its messages:
 * covey_channel_on_message), COVEY_EDEADLK, COVEY_EINVAL, COVEY_ENOMEM,
 * COVEY_ESTALE. Any thread; of several that wait each message goes to one. */
COVEY_API int covey_channel_receive(covey_channel *channel, int64_t timeout, covey_message *ret_message);

/* covey_channel_message_receive is covey_channel_receive in full. channel: borrowed. options: borrowed, may be NULL; group is NULL.
 * ret_message: filled on success; owned, release it with covey_message_free. Errors: those of covey_channel_receive;
 * COVEY_ECANCELED. Any thread. */
COVEY_API int covey_channel_message_receive(covey_channel *channel, const covey_receive_options *options,
                                            covey_message *ret_message);

/* covey_channel_on_message has a callback called with every message that comes over a channel, and at last with its end, for programs that
 * live on an event loop: in covey_loop_dispatch, or in the uv_run of a lent loop (loop.h); one call at a time, in order, whatever number of
 * threads dispatch; without locks, so it may call covey, and send over the same channel. Messages that wait already come first; where the accept
 * is still due (COVEY_CHANNEL_TRY) they come after it. channel: borrowed.
 * on_message: gets the message, and code 0; when it returns, the library frees the message, unless it has moved it (copied the struct and
 * zeroed the original). Behind the last one, once: message NULL, and as code what covey_channel_receive would answer (COVEY_ECLOSED: the
 * other side sends no more, or our node was closed; COVEY_EPEERDIED; COVEY_ENOTFOUND), with covey_last_failure(); also for a channel that has ended before
 * this call. NULL: no callback any more; what waits, and the end, wait for a receive again. arg: borrowed: handed to on_message. A second
 * callback takes the place of the first.
 * Receives of this channel answer COVEY_EEXIST while there is a callback, also those that wait already. When the call returns, a callback that was
 * there before does not run any more (but where this is called by it), and its arg may go; the same holds for covey_channel_close, which the
 * callback may call (on a lent loop with timeout 0, as it must not wait there). covey_node_close does not wait for callbacks: the end, COVEY_ECLOSED, is told
 * when the loop is dispatched next.
 * Errors: COVEY_EINVAL (channel is NULL), COVEY_ESTALE, COVEY_ENOMEM (when it had to wait for a callback; that is taken away, and not
 * replaced). Any thread. */
COVEY_API int covey_channel_on_message(covey_channel *channel,
                                       void (*on_message)(covey_message *message, int code, void *arg), void *arg);

/* covey_channel_on_room has a callback called when a send that answered COVEY_EAGAIN may succeed, for programs that live on an event loop: in
 * covey_loop_dispatch, or in the uv_run of a lent loop (loop.h); one call at a time, whatever number of threads dispatch; without locks, so it may
 * call covey, and send over the same channel. channel: borrowed.
 * on_room: called once after sends that answered COVEY_EAGAIN (covey_channel_send, covey_channel_message_send), however many there were, as soon as the
 * one that needs the least may succeed: there is room for it, or the accept has come; or the next send tells why none ever will (COVEY_ECLOSED, also by
 * covey_channel_end or the close of our node; COVEY_EPEERDIED; COVEY_ENOTFOUND). It is a hint: another thread may be quicker; a send that answers
 * COVEY_EAGAIN again is told of again. Never called inside a send, and not where no send has answered COVEY_EAGAIN since its last call. Sends before
 * this call count as well: nothing is lost between the answer and the callback. NULL: no callback any more. arg: borrowed: handed to on_room. A second
 * callback takes the place of the first, also for what that one was not told of.
 * When the call returns, a callback that was there before does not run any more (but where this is called by it), and its arg may go; the same holds for
 * covey_channel_close, which the callback may call (on a lent loop with timeout 0, as it must not wait there).
 * Errors: COVEY_EINVAL (channel is NULL), COVEY_ESTALE, COVEY_ENOMEM. Any thread. */
COVEY_API int covey_channel_on_room(covey_channel *channel,
                                    void (*on_room)(covey_channel *channel, void *arg), void *arg);

/* covey_channel_identity tells who is at the other side: by the kernel, or by our spawn. channel: borrowed. ret_identity: filled.
 * Errors: COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_channel_identity(const covey_channel *channel, covey_identity *ret_identity);

/* ---- the end ---- */

/* covey_channel_end says that we send no more: behind all that was sent and that other threads are sending. It does not wait. Again it
 * does nothing. channel: borrowed.
 * Errors: COVEY_EAGAIN (it was opened by COVEY_CHANNEL_TRY and is not accepted yet), COVEY_EPEERDIED (it ended), COVEY_ECLOSED (the
 * other side has closed the channel, or our node was closed), COVEY_ENOTFOUND (it was not accepted), COVEY_EINVAL, COVEY_ENOMEM,
 * COVEY_ESTALE. Any thread. */
COVEY_API int covey_channel_end(covey_channel *channel);

/* covey_channel_close says that we send no more, throws away what has come and what is to come, waits until the other side has read
 * all that we sent or has closed too, and releases the channel. What was sent goes on being delivered when the time is over: as long as the
 * node is open nothing is lost by that. channel: moved, whatever the result; NULL does nothing. timeout: milliseconds; 0 does not wait.
 * Returns the number of messages that were sent and, as far as we were told, not read (from the close on the other side tells each one that it reads); 0
 * when nothing is in doubt. Errors: COVEY_EINVAL
 * (timeout; the channel stays open), COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait: the channel is closed),
 * COVEY_ESTALE (after fork; nothing is done). Any thread; nobody may use it at the same time or later. */
COVEY_API int covey_channel_close(covey_channel *channel, int64_t timeout);

#ifdef __cplusplus
}
#endif

#endif
