/* msg/room.h: sends that may not wait (COVEY_EAGAIN), and the callback that is told when there is room again: of a channel, or of a node.
 *
 * What a send found no room for is noted as a wish, in the channel or in the outlet. While there is a callback the wish stands in its peer's list
 * (peer->wishes), which cvy_peer_flush looks through at its end: whatever brings room, or the end, marks the peer as one to be flushed. What is met goes to
 * the callback's queue. Where nobody has asked, no list is ever filled. Guarded by the loop's lock. */
#ifndef COVEY_MSG_ROOM_H
#define COVEY_MSG_ROOM_H

#include <covey/channel.h>

#include "loop/loop.h"

typedef struct cvy_wish {
  struct cvy_wish *next,
      **at; /* in peer->wishes; or (due) in the queue of its callback; at NULL: in neither */
  /* Charges that found no room since the callback was called: the least one, and the least one above half a window, which needs less of it. 0: none. */
  uint64_t need[2];
  covey_channel *channel; /* whose it is; NULL: an outlet's, and then, while it is due, its peer is counted */
  int code;               /* due: as covey_room.code */
  bool due;
  bool left; /* due, and the outlet that it is in has been given up: to be freed by us */
} cvy_wish;

/* A callback, and what it is to be told. */
typedef struct cvy_room {
  uint32_t refs; /* its channel or node, the note while it is queued, who waits for it to be quiet */
  covey_loop *loop;
  cvy_note note;
  bool open; /* wishes come here */
  bool set;  /* and are told; not while one callback takes another's place */
  void (*on_channel)(covey_channel *channel, void *arg);
  void (*on_node)(const covey_room *room, void *arg);
  void *arg;
  uint32_t running;     /* calls that are inside: 0 or 1 */
  cvy_wish *due, **end; /* in the order in which they were met */
} cvy_room;

typedef struct cvy_outlet cvy_outlet;

/* A message of size bytes found no room in o (NULL: the accept of its channel is due), and nothing of it was sent. */
void cvy_room_short(covey_peer *peer, const cvy_outlet *o, cvy_wish *wish, size_t size);

/* Looks for wishes of peer that are met. */
void cvy_room_look(covey_peer *peer);

/* Something that a wish of peer may wait for has changed: it is looked at when peer is flushed. */
void cvy_room_changed(covey_peer *peer);

/* Whether one of the charges in wish would go out through o now. */
bool cvy_room_fits(const cvy_outlet *o, const cvy_wish *wish);

/* o is to be freed. True: that is ours, once its end was told. */
bool cvy_room_left(cvy_outlet *o);

/* The channel, or the node, is closed: no call begins any more. Of a channel none runs any more either: COVEY_EDEADLK, recorded, as cvy_handler_quiet. */
int cvy_room_end(covey_channel *channel);
void cvy_room_shut(covey_node *node);

#endif
