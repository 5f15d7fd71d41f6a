/* covey/message.h: messages between nodes: groups, send, receive.
 *
 *     covey_send(NULL, pid, "jobs", data, size, 1000);                    waits for process, group and room; 0: handed over
 *
 *     covey_message m;
 *     while (covey_receive(NULL, "jobs", COVEY_FOREVER, &m) == 0) {
 *       work(m.data, m.size, m.from.pid);
 *       covey_message_free(&m);
 *     }
 *
 * Groups. A node receives in groups, each with a queue of its own. NULL is the group "default", which is always open. A message for
 * a group that is not open waits at its sender, within its deadline. Messages of one sender to one group arrive in order (within a
 * priority), once, whole; between groups there is no order, and a full group never stops another one.
 *
 * Room. A receiver lends each sender a number of bytes for each group (the window). A send takes size + 64 of it, and gets it back
 * when the message is handed out. So success at level SENT means: the kernel of this machine has the whole message, its place in
 * the receiver's queue is reserved, and our own end cannot lose it any more. Memory of a receiver is bounded whatever its senders
 * do.
 *
 * Who. from is the kernel's word, or our own spawn's, never the sender's. An answer goes to the sender of a message by reply_to: it
 * cannot reach another process that got the same number.
 *
 * Deadlines. One timeout covers everything a send needs. When it ends: COVEY_ENOPEER (there is no such process, or it has no node),
 * COVEY_ENOGROUP (its node has not opened the group), COVEY_ETIMEDOUT (no room, or its node is there and does not answer: nobody turns its
 * loop, it is suspended, or it has no descriptor left for a connection, and takes ours as soon as it has; what says which); with timeout 0 the same at once, with COVEY_EAGAIN
 * in place of COVEY_ETIMEDOUT and while a connection is being made, and then certainly nothing was sent. When COVEY_ETIMEDOUT or
 * COVEY_ECANCELED meets a message that is partly on its way, the rest is still sent by the library: covey_last_failure()->reached
 * tells (COVEY_FAR_MAYBE). Who must not wait sends with timeout 0, and is told when there is room again (covey_node_on_room). */
#ifndef COVEY_MESSAGE_H
#define COVEY_MESSAGE_H

#include <covey/base.h>
#include <covey/node.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In place of a group's name, for receiving: every group that is open on the node, in the order of arrival. No group can have this
 * name. */
#define COVEY_ANY_GROUP "*"

/* ---- groups ---- */

typedef enum covey_full {
  COVEY_FULL_BLOCK = 0, /* senders wait for room within their deadline */
  COVEY_FULL_DROP_NEW,  /* a message that finds no room is dropped by its sender, which is told success */
  COVEY_FULL_DROP_OLD   /* the oldest message of the lowest priority makes room */
} covey_full;

typedef struct covey_group_options {
  /* Bytes that one sender may have waiting here, each message counting size + 64; DROP_OLD: all senders together. 0: the node's
   * window. */
  size_t max_bytes;
  uint32_t max_count; /* the same in messages; 0: no such limit */
  /* COVEY_FULL_...: what happens when that is used up. Drops are counted in covey_message.lost */
  int32_t full;
  int32_t priorities;   /* 1: higher priorities are handed out first; 0: order of arrival */
  /* 1: messages may bring descriptors and handles; then max_count 0 is 16. 0: whoever sends some is refused (COVEY_ENOTSUP) */
  int32_t handles;
  uint64_t reserved[4]; /* zero */
} covey_group_options;

/* covey_group_open opens a group: from now on senders find it, and those that wait for it are woken. node: NULL: the default
 * node, opened at need. name: 1 to COVEY_NAME_MAX bytes, any but NUL; not "*". options: borrowed, may be NULL. Receiving opens a
 * group too, with
 * default options.
 * Errors: COVEY_EEXIST (it is open, also by a receive; "default" always is), COVEY_EINVAL, COVEY_EQUOTA (max_bytes is above half of
 * the node's max_memory), COVEY_ELIMIT (65,000 groups on one node), COVEY_ENOMEM, COVEY_ECLOSED, COVEY_ESTALE, or those of
 * covey_node_open. Any thread. */
COVEY_API int covey_group_open(covey_node *node, const char *name, const covey_group_options *options);

/* covey_group_close closes the group called name: receives that wait for it return COVEY_ECLOSED, what waits in it is discarded, and the
 * senders are told so: from now on they find no such group. It can be opened again; a receive that begins later does that. Each opening is a group of its own:
 * what was sent to the former one, also by a sender that had not heard of its end yet, never comes to the new one. It is discarded: at level CONSUMED its
 * sender is told COVEY_ENOGROUP (reached COVEY_FAR_SENT), and a message that still waited for room goes to the new one; at level SENT nobody is told, as of
 * whatever a receiver discards. Who must know asks for CONSUMED.
 * Errors: COVEY_ENOTFOUND (it is not open), COVEY_EINVAL ("default", NULL and COVEY_ANY_GROUP cannot be closed), COVEY_ECLOSED, COVEY_ESTALE. Any thread. */
COVEY_API int covey_group_close(covey_node *node, const char *name);

/* ---- sending ---- */

/* covey_send sends one message to the node of a process (its node without a name) at level SENT.
 * node: borrowed; NULL: the default node, opened at need. pid: the process; our own works too. group: borrowed; NULL: "default".
 * data: borrowed, size bytes, may be NULL when size is 0. timeout: milliseconds, for everything.
 * Returns 0. Errors a caller may act on: COVEY_ENOPEER, COVEY_ENOGROUP, COVEY_ETIMEDOUT, COVEY_EAGAIN (see above); COVEY_ETOOBIG
 * (the receiver takes no message of this size; at once), COVEY_EDENIED (refused by it, or it is another user's; at once), COVEY_EPEERCHANGED
 * (the process that we knew by this number is gone, the number is another's now: told once), COVEY_EPEERDIED (it ended while the
 * message was on its way: reached tells whether it may have been read), COVEY_EQUOTA (the receiver, or we, have max_peers
 * connections), COVEY_EUNSAFE (its address is not the user's alone), COVEY_EVERSION, COVEY_ECLOSED (our node was closed),
 * COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait), COVEY_EINVAL, COVEY_ENOMEM, COVEY_ELIMIT (no
 * descriptor left for the connection), COVEY_EOS, COVEY_ESTALE, or those of covey_node_open. Any thread, several at once. */
COVEY_API int covey_send(covey_node *node, int64_t pid, const char *group, const void *data, size_t size,
                         int64_t timeout);

/* What a successful send means. */
typedef enum covey_level {
  COVEY_LEVEL_SENT = 0, /* its place is reserved and the kernel has it whole */
  COVEY_LEVEL_CONSUMED  /* it was handed to the receiving program */
} covey_level;

typedef struct covey_message covey_message;

/* A piece of a message: pieces are sent one behind the other, without being joined first. */
typedef struct covey_buffer {
  const void *data; /* borrowed; may be NULL when size is 0 */
  size_t size;
} covey_buffer;

typedef struct covey_send_options {
  /* To whom: exactly one of the four. */
  int64_t pid;      /* the node without a name of this process */
  const char *name; /* borrowed; the node of this name */
  /* borrowed; as covey_message.peer. Never another process: COVEY_EPEERDIED once it is gone */
  covey_peer *peer;
  const covey_message *reply_to; /* borrowed; the sender of this message: the same as its peer */

  const char *group; /* borrowed; NULL: "default" */
  int64_t timeout;   /* milliseconds for everything; 0: COVEY_FOREVER; to try once: COVEY_SEND_TRY in flags */
  covey_cancel *cancel; /* borrowed; ends the call with COVEY_ECANCELED; NULL: none */
  int32_t priority;     /* 0 to 7: order in a group with priorities; 7 first */
  int32_t level;        /* COVEY_LEVEL_... */
  uint32_t flags;       /* COVEY_SEND_... */
  uint32_t reserved0;   /* zero */
  /* Descriptors (POSIX) or kernel handles (Windows: not sockets) that go along, to a group that takes them. Borrowed: the receiver gets copies, the
   * caller keeps its own. More than the system lets be on their way at a time (Linux: RLIMIT_NOFILE of a user without rights) wait within timeout for
   * somebody to take some, and are COVEY_ELIMIT then; one of a kind that may not travel fails its message alone. handle_count: of them, at most COVEY_HANDLES_MAX; 0 exactly when handles is NULL. handle_rights: Windows: the access rights of the copies; 0:
   * ours; POSIX: ignored, a copy can do what the original can. */
  const covey_native *handles;
  uint32_t handle_count;
  uint32_t handle_rights;
  uint64_t reserved[4]; /* zero */
} covey_send_options;

/* Most handles that one message brings. */
enum { COVEY_HANDLES_MAX = 64 };

enum {
  COVEY_SEND_TRY = 1 << 0 /* timeout 0: do what can be done at once */
};

/* covey_message_send is covey_send in full. node: NULL: the default node. options: borrowed, needed: it says to whom.
 * buffers: borrowed, count of them; together the message (count may be 0: an empty message). ret_id: may be NULL; the message's
 * number, rising for each receiver, as in covey_message.id.
 * Errors: those of covey_send; COVEY_ECANCELED; COVEY_EPEERDIED for a peer that is gone. At level CONSUMED the call waits until the
 * message was handed out: COVEY_ETIMEDOUT with reached COVEY_FAR_SENT when it was not in time, COVEY_ENOGROUP with COVEY_FAR_SENT
 * when its group was closed instead, COVEY_ENOTSUP to a group that drops its oldest messages (nobody could tell), COVEY_EAGAIN when
 * a group that drops new ones has dropped it. Any thread, several at once. */
COVEY_API int covey_message_send(covey_node *node, const covey_send_options *options,
                                 const covey_buffer *buffers, size_t count, uint64_t *ret_id);

/* covey_send_many sends count messages to one group, each of them one buffer: as covey_message_send for one after the other, but with many of them in
 * one system call. Nothing waits for more to come. options: as there, without handles; level means each of them, timeout all together. buffers: borrowed, count of them,
 * at most INT32_MAX.
 * Returns how many went, from the first on; 0 only for count 0. When fewer than count went, covey_last_failure() tells what about the first that did
 * not, as covey_message_send would: with reached COVEY_FAR_NOTHING nothing of it or of those behind it was sent; else they may be on their way too.
 * Errors: none went; those of covey_message_send (COVEY_ETOOBIG: one of them is longer than the receiver takes). Any thread, several at once: messages
 * of others may come between. */
COVEY_API int covey_send_many(covey_node *node, const covey_send_options *options,
                              const covey_buffer *buffers, size_t count);

/* A group, or function, for which a send found no room. */
typedef struct covey_room {
  covey_identity to; /* whose it is: by the kernel, or by our spawn */
  covey_peer *peer;  /* a view: the same, for a send that needs no number */
  const char *group; /* a view: its name; "default" for the default group */
  int32_t kind;      /* COVEY_GROUP_MESSAGES, or COVEY_GROUP_FUNCTION */
  /* 0: there is room. COVEY_ENOGROUP: it was closed. COVEY_EPEERDIED: the connection has ended. The next send tells the same, or more, or finds a new one */
  int32_t code;
  uint64_t reserved[4]; /* zero */
} covey_room;

/* covey_node_on_room has a callback called when a send that answered COVEY_EAGAIN for want of room may succeed, for programs that live on an event loop:
 * in covey_loop_dispatch, or in the uv_run of a lent loop (loop.h); one call at a time, whatever number of threads dispatch; without locks, so it
 * may call covey, and send. node: borrowed; NULL: the default node, opened at need.
 * on_room: called for each group and function of a peer, once after sends to it that answered COVEY_EAGAIN, however many there were, as soon as the one
 * that needs the least may succeed, or when the group or the connection has gone; room, with all in it, is valid until it returns. Sends are
 * covey_send, covey_message_send, covey_send_many (which has answered so, too, where it went no further for want of room), and requests with
 * COVEY_CALL_TRY (call.h). It is a hint: another thread may be quicker; a send that answers COVEY_EAGAIN again is told of again. Never called inside a send, and not where none has answered
 * COVEY_EAGAIN since the last call for that group. Sends before this call count as well, as long as the peer and its group are there: nothing is lost between
 * the answer and the callback. NULL: no callback any more. arg: borrowed: handed to on_room. A second callback takes the place of the first, also for what that
 * one was not told of.
 * Not told: COVEY_EAGAIN while a connection is being made (stages COVEY_STAGE_DIAL and COVEY_STAGE_HANDSHAKE; want of room is COVEY_STAGE_ROOM).
 * covey_node_watch tells of a peer that has come.
 * When the call returns, a callback that was there before does not run any more (but where this is called by it), and its arg may go.
 * (covey_node_close, which the callback may call, does not wait for callbacks; none begins after it.)
 * Errors: COVEY_EDEADLK (on the owner's thread of a lent loop, when the callback runs in another thread; it is taken away, and not replaced),
 * COVEY_ECLOSED, COVEY_ENOMEM, COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_node_on_room(covey_node *node, void (*on_room)(const covey_room *room, void *arg),
                                 void *arg);

/* ---- receiving ---- */

typedef enum covey_kind {
  COVEY_KIND_DATA = 0,     /* sent by covey_send, covey_message_send or covey_send_many */
  COVEY_KIND_PUBLISHED = 1, /* published while we listened: topic.h */
  COVEY_KIND_KEPT = 2,     /* the last one published before we did */
  COVEY_KIND_PEER_UP = 8,  /* told by covey_node_watch: peer is connected now */
  COVEY_KIND_PEER_DOWN = 9 /* its connection has ended */
} covey_kind;

struct covey_message {
  /* owned by the message: a private copy, aligned to 16 bytes, a NUL behind its last byte */
  const void *data;
  size_t size; /* its bytes, without that NUL */
  const char *group;    /* a view: where it was sent to; "default" for the default group */
  int32_t kind;         /* COVEY_KIND_... */
  int32_t priority;     /* 0 to 7, as sent */
  uint64_t id;          /* its number with its sender: rises from message to message */
  uint64_t lost;        /* messages of this group that were dropped since the one handed out before this */
  covey_identity from;  /* who sent it: by the kernel, or by our spawn */
  covey_peer *peer;     /* a view: the sender, for an answer that needs no number */
  void *internal;       /* the library's */
  uint32_t handle_count; /* handles that came along: covey_message_take */
  uint32_t reserved0;   /* zero */
  uint64_t reserved[3]; /* zero */
};

/* covey_receive takes the next message of a group, and waits for it. node: borrowed; NULL: the default node, opened at need.
 * group: borrowed; NULL: "default"; COVEY_ANY_GROUP: every group that is open; a group that is not open is opened. timeout:
 * milliseconds; 0 only looks.
 * ret_message: filled on success; owned, release it with covey_message_free. All its pointers are valid until then, also when the
 * node is closed before.
 * Returns 0. Errors: COVEY_ETIMEDOUT (also with timeout 0: there is none), COVEY_ECLOSED (the group or the node was closed
 * meanwhile), COVEY_EEXIST (a callback has its messages: covey_group_on_message), COVEY_EINVAL, COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to wait), COVEY_ENOMEM, COVEY_ESTALE,
 * or those of covey_group_open and covey_node_open. Any thread; of several that wait for the same group each message goes to one. */
COVEY_API int covey_receive(covey_node *node, const char *group, int64_t timeout, covey_message *ret_message);

/* covey_group_on_message has a callback called with every message of a group, for programs that live on an event loop: in
 * covey_loop_dispatch, or in the uv_run of a lent loop (loop.h); in several threads at a time if several threads dispatch; without
 * locks, so it may call covey. Messages that wait in the group already come first. Receives skip the group from now on.
 * node: borrowed; NULL: the default node, opened at need. group: borrowed; NULL: "default"; it is opened at need. on_message: gets the
 * message; when it returns, the library frees it, unless it has moved it (copied the struct and zeroed the original). NULL: no callback any
 * more; the messages wait for a receive again. arg: borrowed: handed to on_message. A second callback takes the place of the first.
 * When the call returns, a callback that was there before does not run any more (but where this is called by it), and its arg may go; the same holds
 * for covey_group_close. (covey_node_close does not wait for callbacks.)
 * Errors: COVEY_EINVAL (COVEY_ANY_GROUP), COVEY_EDEADLK (on the owner's thread of a lent loop, when the callback runs in another
 * thread; it is taken away, and not replaced), COVEY_ECLOSED, COVEY_ENOMEM, COVEY_ESTALE, or those of covey_group_open and
 * covey_node_open. Any thread. */
COVEY_API int covey_group_on_message(covey_node *node, const char *group,
                                     void (*on_message)(covey_message *message, void *arg), void *arg);

typedef struct covey_receive_options {
  const char *group;    /* borrowed; NULL: "default"; COVEY_ANY_GROUP */
  int64_t timeout;      /* milliseconds; 0: COVEY_FOREVER; to look once: COVEY_RECEIVE_TRY in flags */
  covey_cancel *cancel; /* borrowed; ends the call with COVEY_ECANCELED; NULL: none */
  uint32_t flags;       /* COVEY_RECEIVE_... */
  uint32_t reserved0;   /* zero */
  uint64_t reserved[4]; /* zero */
} covey_receive_options;

enum {
  COVEY_RECEIVE_TRY = 1 << 0 /* timeout 0: only looks */
};

/* covey_message_receive is covey_receive in full. options: borrowed, may be NULL. Errors: those of covey_receive; COVEY_ECANCELED.
 * Any thread. */
COVEY_API int covey_message_receive(covey_node *node, const covey_receive_options *options,
                                    covey_message *ret_message);

/* covey_receive_many is covey_message_receive for several: it waits for one message, and takes what else is there at that moment, up to capacity, in the
 * same order. ret_messages: that many structs, of which the first ones are filled; each is owned and released by itself.
 * Returns how many, 1 or more. Errors: those of covey_message_receive; COVEY_EINVAL (capacity is 0 or above INT32_MAX). Any thread. */
COVEY_API int covey_receive_many(covey_node *node, const covey_receive_options *options,
                                 covey_message *ret_messages, size_t capacity);

/* covey_receive_into takes the next message into memory of the caller: nothing is allocated, and nothing is to be freed. options: as for
 * covey_message_receive. ret_data: capacity bytes, may be NULL when that is 0; no NUL is put behind the message. ret_from: its sender; may be NULL.
 * Returns the message's size in bytes. Errors: those of covey_message_receive; COVEY_ETOOBIG (it is longer than capacity:
 * covey_last_failure()->offset is its size; it stays the next one, to be taken with more room or by another call). Any thread. */
COVEY_API int covey_receive_into(covey_node *node, const covey_receive_options *options, void *ret_data,
                                 size_t capacity, covey_identity *ret_from);

/* covey_message_take takes a descriptor or handle out of a message. message: borrowed. index: below message->handle_count. ret_handle: filled; moved to the
 * caller, who closes it; it is not inherited by children.
 * Errors: COVEY_ENOTFOUND (it was taken already; Windows: its sender had ended before the message came here, or may not be opened by
 * us), COVEY_ELIMIT (this process had no descriptor or handle left when the message came: the message is whole but for that, its sender is
 * told as ever; macOS gives none of them then, also where some would have fitted), COVEY_EINVAL. One thread at a time for one message.
 * Differences. POSIX: the kernel has the copies as soon as the send has returned. Windows: the receiver's node takes them out of the sender's process
 * when the message arrives there, so the sender must live until then: COVEY_LEVEL_CONSUMED, or covey_node_close, waits for that. */
COVEY_API int covey_message_take(covey_message *message, uint32_t index, covey_native *ret_handle);

/* covey_message_free releases what a received message holds, handles that were not taken too. message: its contents are moved, the struct is zeroed; NULL, and a
 * struct that is all zero, do nothing. Any thread. */
COVEY_API void covey_message_free(covey_message *message);

#ifdef __cplusplus
}
#endif

#endif
