/* msg/channel.h: channels: two sides, each a group of its own (kind CVY_FRAME_NEXT) that one peer knows.
 *
 *   opener                                                        acceptor
 *   covey_channel_open: side n, GROUP_OPEN{CHANNEL, endpoint}  →  cvy_channel_asked: waits at the endpoint
 *   cvy_channel_answered                                       ←  covey_channel_accept: side m, GROUP_OPEN{CHANNEL, ANSWER, n}
 *                                                              ←  refused: END to n
 *   NEXT to m, NEXT to n, by the credit of each side; END behind the last one
 *   GROUP_CLOSE of a side: all was read up to END, or nobody reads any more
 *
 * All of opening and giving up are control frames, so they keep their order. A side's outlet and inlet, its credit, grants and fragments are those of
 * any group. Guarded by the loop's lock. */
#ifndef COVEY_MSG_CHANNEL_H
#define COVEY_MSG_CHANNEL_H

#include <covey/channel.h>

#include "msg/peer.h"
#include "msg/room.h"

struct covey_channel {
  covey_loop *loop; /* counted, as is peer, once the program has it */
  covey_peer *peer;
  cvy_group *in;               /* our side, counted; NULL: not accepted yet */
  cvy_group *endpoint;         /* where it waits */
  cvy_outlet *out;             /* the other side; NULL: not accepted yet, or it takes no more */
  covey_channel *next_waiting; /* at the endpoint */
  uint64_t sent, consumed;     /* messages: emitted, and read as far as we were told */
  cvy_wish wish;               /* its sends that found no room, and */
  cvy_room *room;              /* who is told of it; NULL: nobody has asked */
  bool answered;               /* both sides were there */
  bool said, heard;            /* END */
  bool refused;                /* the opening was */
};

/* A side of a peer's was announced: for an opening at our endpoint of this number, or as the accept of our side of this number. 0 or a code that ends
 * the connection. */
int cvy_channel_asked(cvy_outlet *o, uint16_t endpoint);
int cvy_channel_answered(cvy_outlet *o, uint16_t number);

/* o->channel's other side takes no more: it was closed, or its connection has ended. */
void cvy_channel_deaf(cvy_outlet *o);

/* There is a message for its program, or its end. And that, for a callback: 0; or the code of the end, recorded. */
bool cvy_channel_has_next(const covey_channel *c);
int cvy_channel_take(covey_channel *c, covey_message *ret);

/* Room, or the accept, came for what c->wish says; or the next send tells why it never will. */
bool cvy_channel_has_room(const covey_channel *c);

/* END has come to our side. */
void cvy_channel_heard(covey_channel *channel);

/* c is the program's from now on: group is its side, whose reference is moved. */
void cvy_channel_adopt(covey_channel *c, cvy_group *group);

/* Of a side: window, or (0) the usual one. */
uint64_t cvy_channel_window(const covey_node *node, uint64_t window);

/* The first that waits at endpoint, for a callback: 0; or a code, recorded: it was refused. */
int cvy_endpoint_take(cvy_group *endpoint, covey_channel **ret);

/* Refuses all that wait at endpoint, which is being closed. Does nothing for other groups. */
void cvy_endpoint_shut(cvy_group *endpoint);

#endif
