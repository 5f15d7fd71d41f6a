/* msg/topic.h: topics and subscriptions: what lane.c, group.c and peer.c tell them.
 *
 *   publisher                                          subscriber
 *                                                      subscribe.c  a group of kind PUB, announced to one peer: GROUP_OPEN
 *   topic.c   cvy_topic_subscribed: the outlet     ←──
 *             BEGIN, the kept message              ──→  cvy_topic_arrived
 *   topic.c   covey_publish: one payload, and a         queue of the group
 *             parcel for each outlet: PUB          ──→  covey_topic_next: gaps are what is missing between two numbers
 *             cvy_topic_left                       ←──  GROUP_CLOSE
 *             GAP, END                             ──→  what was missed at last; over, once the queue is empty
 *
 * Credit, fragments, the bounds of a lying peer and the end of a connection are those of any group. All of it with the loop's lock held. */
#ifndef COVEY_MSG_TOPIC_H
#define COVEY_MSG_TOPIC_H

#include <covey/topic.h>

#include "msg/lane.h"

/* The bytes of a message that is published: shared by the parcels of all subscribers, and kept perhaps. */
struct cvy_payload {
  uint32_t refs;
  covey_node *node; /* published counts it */
  size_t size;      /* the bytes lie behind */
};

/* A peer has announced a subscription: it joins the topic of its name, at once or when that is opened. */
void cvy_topic_subscribed(cvy_outlet *outlet);

/* The subscription is over: closed, or its connection ended. */
void cvy_topic_left(cvy_outlet *outlet);

/* A parcel that carried payload to one subscriber is freed. */
void cvy_payload_spent(cvy_payload *payload);

/* The node is being closed: peer's subscriptions are told of the end, before our good-bye. */
void cvy_topics_bye(covey_peer *peer);

/* The node is closed: its topics know it no more. */
void cvy_topics_fini(covey_node *node);

struct covey_subscription {
  cvy_group *group; /* counted */
  covey_loop *loop; /* counted */
  uint64_t arrived; /* number of the next message that may arrive */
  uint64_t end;     /* the same behind the end of the topic, as GAP tells it ahead of END; 0: not told */
  uint64_t next;    /* and of the one behind the last that was handed out */
  uint64_t lost;
  bool began;
  int over; /* 0, or why nothing more arrives */
};

/* Makes and announces a subscription to a topic of peer, without waiting for its answer; *ret stays where it is until cvy_subscription_close, which gives
 * back what it holds, but for the struct. Failures are recorded. */
int cvy_subscription_open(covey_peer *peer, const char *topic, const covey_group_options *room,
                          covey_subscription *ret);
void cvy_subscription_close(covey_subscription *s);

/* There is a message for its program, or its end. And that: 0; or the code of the end, recorded. */
bool cvy_subscription_has_next(const covey_subscription *s);
int cvy_subscription_take(covey_subscription *s, covey_message *ret);

/* The publisher has ended the topic of group: number would have been the next message's. */
void cvy_topic_ends(cvy_group *group, uint64_t number);

/* A whole PUB has arrived in group, which is open. item: moved. */
void cvy_topic_arrived(covey_peer *peer, cvy_group *group, cvy_item *item);

/* Nothing more comes from peer: its subscriptions end with code behind what waits. */
void cvy_topics_over(covey_peer *peer, int code);

#endif
