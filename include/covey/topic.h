/* covey/topic.h: publish and subscribe: one node publishes, any number of nodes listen.
 *
 *     covey_topic_open(NULL, "prices", NULL, &topic);                     the publisher
 *     covey_publish(topic, data, size, 0);                                to everybody who has subscribed, now
 *
 *     covey_subscribe(NULL, pid, "prices", 5000, &subscription);          waits for process and topic
 *     covey_message m;
 *     while (covey_topic_next(subscription, COVEY_FOREVER, &m) == 0) {    the end is a code, behind all that came before it
 *       show(m.data, m.size, m.lost);
 *       covey_message_free(&m);
 *     }
 *     covey_unsubscribe(subscription);
 *
 * Topics. A topic belongs to the node that opened it; its name is one of topics, beside the names of groups and functions. A subscriber
 * names the node as in message.h: by pid, by name, or as the sender of a message. Start order does not matter: a subscription waits,
 * within its deadline, for the process, its node and its topic. Our own topics can be subscribed to as well.
 *
 * Order and gaps. A subscriber gets the messages of a topic in the order in which they were published, each once, whole. What it misses
 * is counted: covey_message.lost is the number of messages between the one handed out before and this one, whoever dropped them and
 * wherever. covey_subscription_lost is their sum. Nothing is missed in silence.
 *
 * Room. A subscriber lends its publisher a number of bytes (max_bytes of the subscription), of which each message that waits takes its
 * size + 80. What happens to a message for which a subscriber has no room is the publisher's choice (covey_topic_options.slow); it never
 * concerns the other subscribers, and never stops the publisher unless it asks for that, and then within its deadline. A message that is
 * longer than the subscriber's node takes is missed by it alone, and counted. What waits in the publisher because a subscriber's system
 * buffer is full is bounded for each by max_bytes of the topic and for all by max_memory of its node: when that is used up, what waits
 * for the subscriber with most of it is dropped (and counted there).
 *
 * The end. Whoever publishes ends a topic by covey_topic_close, by closing its node, or by its death: covey_topic_next hands out what
 * arrived before, and then says which of these it was. A subscriber that unsubscribes, closes its node or dies leaves nothing behind in
 * the publisher.
 *
 * A message that is published is on its way, no more: covey_node_close sends it, and does not count it among those whose fate is
 * unknown.
 *
 * Fork: as node.h: the calls answer COVEY_ESTALE in a child without exec. */
#ifndef COVEY_TOPIC_H
#define COVEY_TOPIC_H

#include <covey/base.h>
#include <covey/message.h>
#include <covey/node.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- publishing ---- */

typedef struct covey_topic covey_topic;

/* What happens to a message for which a subscriber has no room. */
typedef enum covey_slow {
  COVEY_SLOW_DROP_NEW = 0, /* that subscriber misses it */
  COVEY_SLOW_DROP_OLD,     /* the oldest ones that wait for that subscriber make room: it misses those */
  COVEY_SLOW_BLOCK,        /* covey_publish waits for room, within its deadline; then that subscriber misses it */
  COVEY_SLOW_END           /* its subscription ends, behind what it was sent before: COVEY_EQUOTA */
} covey_slow;

typedef struct covey_topic_options {
  /* Bytes that may wait in this process for one subscriber, beside what the system holds; one message may always. 0: the node's window. */
  size_t max_bytes;
  uint32_t max_subscribers; /* one more is refused: COVEY_EQUOTA; 0: 1024 */
  int32_t slow;             /* COVEY_SLOW_... */
  /* 1: the last message is kept (counts in the node's max_memory), and who subscribes later gets it at once, as COVEY_KIND_KEPT; 0: who
   * comes late begins with the next one. */
  int32_t keep_last;
  int32_t reserved0;    /* zero */
  uint64_t reserved[4]; /* zero */
} covey_topic_options;

/* covey_topic_open opens a topic: subscribers that wait for it are let in. node: borrowed; NULL: the default node, opened at need.
 * name: borrowed; 1 to COVEY_NAME_MAX bytes, any but NUL; not "*". options: borrowed, may be NULL. ret_topic: owned, close it with
 * covey_topic_close.
 * Errors: COVEY_EEXIST (the node has this topic), COVEY_EINVAL, COVEY_ELIMIT (4,096 topics on one node), COVEY_ENOMEM, COVEY_ECLOSED,
 * COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_topic_open(covey_node *node, const char *name, const covey_topic_options *options,
                               covey_topic **ret_topic);

/* covey_publish sends one message to all subscribers of topic. It copies the message once, for all of them, and waits for nobody but as
 * COVEY_SLOW_BLOCK says: what the system does not take at once is sent by the library. topic: borrowed. data: borrowed, size bytes, may
 * be NULL when size is 0. timeout: milliseconds, for COVEY_SLOW_BLOCK; 0 does not wait; with other choices it means nothing.
 * Returns the number of subscribers that it is on its way to, perhaps 0.
 * Errors: COVEY_ETIMEDOUT (BLOCK: some had no room in time and miss it, the others get it), COVEY_ETOOBIG (longer than max_message of the
 * node), COVEY_EQUOTA (the kept messages of all topics use up max_memory), COVEY_ECLOSED (the node was closed), COVEY_EDEADLK (BLOCK, on
 * the owner's thread of a lent loop: as COVEY_ETIMEDOUT), COVEY_EINVAL, COVEY_ENOMEM, COVEY_ESTALE. Any thread, several at once: each
 * subscriber sees the same order. */
COVEY_API int covey_publish(covey_topic *topic, const void *data, size_t size, int64_t timeout);

typedef struct covey_publish_options {
  int64_t timeout;      /* milliseconds, for COVEY_SLOW_BLOCK; 0: COVEY_FOREVER */
  covey_cancel *cancel; /* borrowed; ends that wait with COVEY_ECANCELED, which is then as COVEY_ETIMEDOUT; NULL: none */
  uint64_t reserved[4]; /* zero */
} covey_publish_options;

/* covey_topic_publish is covey_publish in full. topic: borrowed. options: borrowed, may be NULL. buffers: borrowed, count of them;
 * together the message (count may be 0: an empty one). Returns and errors: those of covey_publish; COVEY_ECANCELED. Any thread. */
COVEY_API int covey_topic_publish(covey_topic *topic, const covey_publish_options *options,
                                  const covey_buffer *buffers, size_t count);

/* covey_topic_wait waits until topic has so many subscribers, or more. topic: borrowed. subscribers: 0 only asks. timeout: milliseconds;
 * 0 only looks. Returns how many it has. Errors: COVEY_ETIMEDOUT (fewer), COVEY_ECLOSED (the node was closed), COVEY_EDEADLK, COVEY_EINVAL,
 * COVEY_ENOMEM, COVEY_ESTALE. Any thread. */
COVEY_API int covey_topic_wait(covey_topic *topic, uint32_t subscribers, int64_t timeout);

/* covey_topic_close ends a topic: its subscribers get what was published before, and then COVEY_ECLOSED. What the system does not take
 * at once is still sent by the library, until the node is closed (which waits for it) or the process ends. topic: moved; NULL does nothing;
 * a topic whose node was closed is released. Nobody may use it at the same time or later. Never fails. Any thread. */
COVEY_API void covey_topic_close(covey_topic *topic);

/* ---- subscribing ---- */

typedef struct covey_subscription covey_subscription;

/* covey_subscribe subscribes to a topic of a process (of its node without a name): from the publisher's answer on, which the call waits
 * for, every message of the topic is handed out or counted. node: borrowed; NULL: the default node, opened at need. pid: the process;
 * our own works too. topic: borrowed, its name. timeout: milliseconds for everything. ret_subscription: owned, close it with
 * covey_unsubscribe.
 * Returns 0. Errors a caller may act on: COVEY_ENOPEER (there is no such process, or it has no node), COVEY_ENOTFOUND (it has not opened
 * this topic, or has not answered), COVEY_EQUOTA (it has max_subscribers or max_peers, or our own max_memory is used up by windows),
 * COVEY_EDENIED, COVEY_EPEERCHANGED, COVEY_EPEERDIED, COVEY_EUNSAFE, COVEY_EVERSION (as covey_send), COVEY_EAGAIN (timeout 0: the
 * connection is being made), COVEY_ECLOSED (our node was closed), COVEY_EDEADLK (on the owner's thread of a lent loop, when it had to
 * wait), COVEY_EINVAL, COVEY_ENOMEM, COVEY_ELIMIT, COVEY_EOS, COVEY_ESTALE, or those of covey_node_open. Any thread. */
COVEY_API int covey_subscribe(covey_node *node, int64_t pid, const char *topic, int64_t timeout,
                              covey_subscription **ret_subscription);

typedef struct covey_subscribe_options {
  /* Whose topic: exactly one of the four. */
  int64_t pid;      /* of the node without a name of this process */
  const char *name; /* borrowed; of the node of this name */
  /* borrowed; as covey_message.peer. Never another process: COVEY_EPEERDIED once it is gone */
  covey_peer *peer;
  const covey_message *reply_to; /* borrowed; of the sender of this message: the same as its peer */

  const char *topic;    /* borrowed; needed: its name */
  int64_t timeout;      /* milliseconds for everything; 0: COVEY_FOREVER */
  covey_cancel *cancel; /* borrowed, until the call returns; ends it with COVEY_ECANCELED; NULL: none */
  /* Bytes that may wait here and on the way, each message counting size + 80: its room. With COVEY_SLOW_DROP_OLD twice that is taken from
   * max_memory, and what waits here has half of it. 0: the node's window. */
  size_t max_bytes;
  uint32_t max_count; /* the same in messages; 0: no such limit */
  uint32_t flags;     /* COVEY_SUBSCRIBE_... */
  uint64_t reserved[6]; /* zero */
} covey_subscribe_options;

enum {
  /* The subscription goes out at once or not at all (COVEY_EAGAIN: the connection is being made), and nobody waits for the publisher's
   * answer: it waits over there until the topic is opened; why it ends, if it does, is told by covey_topic_next or the callback. For programs that
   * live on an event loop. */
  COVEY_SUBSCRIBE_TRY = 1 << 0
};

/* covey_topic_subscribe is covey_subscribe in full. node: borrowed; NULL: the default node. options: borrowed, needed: it says whose
 * topic. ret_subscription: owned, close it with covey_unsubscribe. Errors: those of covey_subscribe; COVEY_ECANCELED. Any thread. */
COVEY_API int covey_topic_subscribe(covey_node *node, const covey_subscribe_options *options,
                                    covey_subscription **ret_subscription);

/* covey_topic_next takes the next message of a subscription, and waits for it. subscription: borrowed. timeout: milliseconds; 0 only
 * looks. ret_message: filled on success; owned, release it with covey_message_free, also after covey_unsubscribe. Its group is the
 * topic's name, its kind COVEY_KIND_PUBLISHED or COVEY_KIND_KEPT, its lost exact; from and peer are the publisher.
 * Returns 0. Errors: COVEY_ETIMEDOUT (there is none yet). The end, behind all messages, again and again: COVEY_EPEERDIED (the publisher
 * ended without a word, or the connection broke), COVEY_ECLOSED (it closed the topic or its node, or our node was closed), COVEY_EQUOTA (we
 * were too slow for a topic with COVEY_SLOW_END). Besides COVEY_EINVAL, COVEY_EDEADLK (on the owner's thread of a lent loop, when it had
 * to wait), COVEY_EEXIST (a callback has its messages: covey_topic_on_message), COVEY_ENOMEM, COVEY_ESTALE. Any thread; of several that wait each
 * message goes to one. */
COVEY_API int covey_topic_next(covey_subscription *subscription, int64_t timeout, covey_message *ret_message);

/* covey_topic_receive is covey_topic_next in full. subscription: borrowed. options: borrowed, may be NULL; group must be NULL.
 * ret_message: filled on success; owned, release it with covey_message_free. Errors: those of covey_topic_next; COVEY_ECANCELED. Any
 * thread. */
COVEY_API int covey_topic_receive(covey_subscription *subscription, const covey_receive_options *options,
                                  covey_message *ret_message);

/* covey_topic_on_message has a callback called with every message of a subscription, and at last with its end, for programs that live on an
 * event loop: in covey_loop_dispatch, or in the uv_run of a lent loop (loop.h); one call at a time, in order, whatever number of threads
 * dispatch; without locks, so it may call covey. Messages that wait already come first. subscription: borrowed.
 * on_message: gets the message, and code 0; when it returns, the library frees the message, unless it has moved it (copied the struct and zeroed
 * the original). Behind the last one, once: message NULL, and as code what covey_topic_next would answer (COVEY_ECLOSED, COVEY_EPEERDIED,
 * COVEY_EQUOTA), with covey_last_failure(); also for a subscription that has ended before this call. NULL: no callback any more; what waits, and the end,
 * wait for covey_topic_next again. arg: borrowed: handed to on_message. A second callback takes the place of the first.
 * covey_topic_next and covey_topic_receive answer COVEY_EEXIST while there is a callback, also those that wait already.
 * When the call returns, a callback that was there before does not run any more (but where this is called by it), and its arg may go; the same
 * holds for covey_unsubscribe, which the callback may call. covey_node_close does not wait for callbacks: the end, COVEY_ECLOSED, is told when the loop
 * is dispatched next.
 * Errors: COVEY_EINVAL (subscription is NULL), COVEY_ESTALE, COVEY_ENOMEM (when it had to wait for a callback; that is taken away, and not
 * replaced). Any thread. */
COVEY_API int covey_topic_on_message(covey_subscription *subscription,
                                     void (*on_message)(covey_message *message, int code, void *arg), void *arg);

/* covey_subscription_lost returns how many messages a subscription has missed by now, as far as covey_topic_next or its callback has come: the sum of
 * covey_message.lost, and once the publisher has ended it in order (the topic or its node) also those behind the last message. subscription: borrowed; NULL: 0. Never
 * fails (0 after fork). Any thread. */
COVEY_API uint64_t covey_subscription_lost(covey_subscription *subscription);

/* covey_unsubscribe ends a subscription: what waits is discarded, and the publisher is told. subscription: moved; NULL does nothing.
 * Messages that were handed out stay valid. Nobody may use it at the same time or later. Never fails. Any thread. */
COVEY_API void covey_unsubscribe(covey_subscription *subscription);

#ifdef __cplusplus
}
#endif

#endif
