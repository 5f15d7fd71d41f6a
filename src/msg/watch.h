/* msg/watch.h: what a node tells of its peers: numbers, and who comes and goes. Lock held. */
#ifndef COVEY_MSG_WATCH_H
#define COVEY_MSG_WATCH_H

#include "core/queue.h"
#include "msg/peer.h"

/* Adds what has gone over a connection so far. */
void cvy_peer_count(const covey_peer *peer, covey_statistics *sum);

/* The peer asks how full our groups are: queues the answer. */
void cvy_peer_look(covey_peer *peer, uint64_t id);

/* Tells who watches the node that peer has come (up) or gone: behind all that waits already. */
void cvy_watch_tell(covey_peer *peer, bool up);

/* Whether item is such a message. It has used no credit, and counts in node->events until it leaves its queue. */
bool cvy_watch_is_event(const cvy_item *item);

#endif
