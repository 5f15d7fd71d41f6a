/* msg/outlet.h: a group of the peer, as we send to it: what the peer has announced and lent, and the parcels that wait for it. lane.c puts
 * parcels in, plan.c cuts the first ones into frames. Guarded by the loop's lock. */
#ifndef COVEY_MSG_OUTLET_H
#define COVEY_MSG_OUTLET_H

#include <covey/topic.h>

#include "msg/peer.h"
#include "msg/room.h"

/* The grant of a large message: used up until it was handed out. */
typedef struct cvy_large {
  struct cvy_large *next;
  uint64_t id, extra;
} cvy_large;

/* A group of the peer, as it has announced it. */
struct cvy_outlet {
  cvy_map_node by_number, by_name;
  covey_peer *peer;
  cvy_outlet *next_ready; /* of those that have something to send, in turn */
  bool ready;
  uint16_t number;
  uint8_t kind; /* as cvy_group's */
  bool named;   /* in peer->outlet_names */
  bool takes_handles;
  covey_channel *channel;       /* its side of ours; NULL: none, or given up by us */
  bool closed;                  /* by the peer; freed when its last parcel has gone */
  int full;                     /* COVEY_FULL_... */
  uint64_t window;              /* least that the peer lends */
  uint64_t credit;              /* of it, not in use */
  uint32_t max_count, messages; /* 0: no limit; messages that may still be sent */
  uint64_t large_bytes;         /* grants in use: messages that were not handed out yet */
  uint64_t dropped;             /* by us, not told yet */
  uint64_t fill_bytes;          /* that wait there, by the last FILL */
  uint32_t fill_count;
  cvy_wish wish;            /* of sends to a group or a function */
  cvy_parcel *first, *last; /* waiting, the first one perhaps partly sent */
  cvy_parcel *framing;      /* of these, the first whose frames are not all made; NULL: none */
  cvy_large *large;         /* messages with a grant that were not handed out yet */
  /* of a subscription: */
  covey_topic *topic; /* that it has joined; NULL: none yet, or (topic_over) none any more */
  cvy_outlet *next_subscriber;
  uint64_t offered; /* number of the last message that it was given, or misses */
  uint64_t waiting; /* bytes of messages */
  bool topic_over;
  uint8_t name_size;
  char name[COVEY_NAME_MAX + 1];
};

enum {
  CVY_LARGE_SHARE =
      4 * 1048576 /* grants that a sender uses at a time in one group, if it is more than one message */
};

/* The peer's group, or function, of this name; NULL: it has none. */
cvy_outlet *cvy_outlet_find(const covey_peer *peer, const char *name, size_t size, uint8_t kind);

/* Where answers go out: number 0, in no need of credit. NULL: out of memory. */
cvy_outlet *cvy_outlet_answers(covey_peer *peer);

/* Frames of the peer about its groups. 0 or a code that ends the connection. */
int cvy_outlet_opened(covey_peer *peer, uint16_t number, uint64_t id, const cvy_group_open *open);
int cvy_outlet_closed(covey_peer *peer, uint16_t number);
int cvy_outlet_credit(covey_peer *peer, uint16_t number, uint64_t id, const cvy_credit *credit);
int cvy_outlet_fill(covey_peer *peer, uint16_t number, const cvy_credit *fill);
int cvy_outlet_ack(covey_peer *peer, uint16_t number, uint64_t id);

/* ---- the parcels that wait, for lane.c ---- */

/* Takes parcel out of the list. */
void cvy_outlet_unlink(cvy_outlet *o, cvy_parcel *parcel);

/* The same: it will not get there, by code. Abandoned, it is freed. */
void cvy_outlet_refuse(cvy_outlet *o, cvy_parcel *parcel, int code);

/* Closed, and nothing waits any more: its end is told and it is freed. */
void cvy_outlet_end(cvy_outlet *o);
void cvy_outlet_free(cvy_outlet *o);

void cvy_outlet_ready(cvy_outlet *o); /* it may have something to send, or room for more */
void cvy_outlet_rest(cvy_outlet *o);  /* it has not */

/* Whether the outlet has room for a charge of need bytes, now; *ret_lent (may be NULL): of the window, the rest by a grant. */
bool cvy_outlet_affords(const cvy_outlet *o, uint64_t need, uint64_t *ret_lent);

/* Takes the charge of parcel from what the outlet has; false: it has to wait (or parcel->result says why it never will). */
bool cvy_outlet_charge(cvy_outlet *o, cvy_parcel *parcel);

/* Gives it back. */
void cvy_outlet_refund(cvy_outlet *o, cvy_parcel *parcel);

#endif
