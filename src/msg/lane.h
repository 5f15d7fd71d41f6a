/* msg/lane.h: what goes out to a peer: messages as parcels, the groups that they wait for as outlets, and the frames of one
 * write as a plan.
 *
 * A parcel is added to the outlet of its group, gets its credit there in turn, is cut into frames by cvy_lane_plan, and leaves
 * the outlet when the transport has taken its last byte. Plan and settle belong together: what was planned and not taken is as if
 * it had never been planned. Guarded by the loop's lock; the pieces of a plan are written without it, which is why a planned
 * parcel must stay where it is. */
#ifndef COVEY_MSG_LANE_H
#define COVEY_MSG_LANE_H

#include <covey/topic.h>

#include "msg/peer.h"

/* ---- one message on its way out: on the stack of its sender; owned by the outlet once it is abandoned ---- */

/* The grant of a large message: used up until it was handed out. */
typedef struct cvy_payload cvy_payload;

typedef struct cvy_large {
  struct cvy_large *next;
  uint64_t id, extra;
} cvy_large;

struct cvy_parcel {
  struct cvy_parcel *next;
  cvy_outlet *outlet;          /* where it waits; NULL: in no list any more */
  const covey_buffer *buffers; /* borrowed; owned (one allocation with the parcel) once it is abandoned */
  size_t count;
  size_t size;           /* of all buffers */
  size_t buffer, offset; /* the next byte to be framed */
  size_t left;           /* bytes not framed yet */
  size_t free;           /* bytes that may be framed before the grant */
  uint64_t id;           /* 0 until its first frame is made */
  uint64_t lent, extra;  /* its charge: from the window, and by a grant */
  cvy_large *grant;      /* in the outlet's list; NULL: extra is 0 */
  uint64_t end;          /* place in the stream behind its last byte, once emitted */
  cvy_payload *payload;  /* of a message that is published; NULL: none */
  cvy_call *
      call; /* of a request: told its number when its first frame is made; NULL: nobody waits for an answer */
  cvy_handles *handles; /* of a HANDLE: owned */
  uint16_t number;      /* of its group over there, while it waits for its ACK */
  uint8_t kind, priority;
  bool want_ack;
  bool brings;    /* a HANDLE goes before it */
  bool large;     /* goes in fragments */
  bool charged;   /* lent is taken from the outlet's credit */
  bool granted;   /* extra is 0, or was granted */
  bool started;   /* a byte of it was taken by the transport */
  bool planned;   /* a thread is writing it, without the lock: it must stay */
  bool emitted;   /* all of it was taken by the transport */
  bool acked;     /* it was handed out over there */
  bool abandoned; /* its sender has gone: freed when emitted */
  int result;     /* 0: on its way; else why it will not get there */
};

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
  CVY_PLAN_FRAMES = 31, /* frames in one write */
  CVY_PLAN_PIECES = 64,
  CVY_FRAGMENT = CVY_PIECE_MAX, /* most bytes of a message in one frame of ours */
  CVY_LARGE_SHARE =
      4 * 1048576 /* grants that a sender uses at a time in one group, if it is more than one message */
};

typedef struct cvy_plan {
  cvos_piece pieces[CVY_PLAN_PIECES];
  size_t piece_count;
  uint64_t bytes;
  uint64_t cut,
      flying; /* bytes of the frame that was taken in part, and of control frames: they come first */
  cvy_parcel *cut_parcel; /* whose frame that is; NULL: none */
  uint32_t cut_header;    /* of the cut one: bytes of its header */
  size_t buffer, offset;  /* where its parcel stood before */
  struct cvy_planned {
    cvy_parcel *parcel;
    uint8_t header[CVY_HEADER + CVY_PREFIX];
    uint32_t header_size, body;  /* bytes of header and prefix; bytes of the message */
    size_t buffer, offset, left; /* where the parcel stood before: for what is not taken */
    bool first, last;            /* of its message */
  } frames[CVY_PLAN_FRAMES];
  size_t frame_count;
} cvy_plan;

/* The peer's group, or function, of this name; NULL: it has none. */
cvy_outlet *cvy_outlet_find(const covey_peer *peer, const char *name, size_t size, uint8_t kind);

/* Where answers go out: number 0, in no need of credit. NULL: out of memory. */
cvy_outlet *cvy_outlet_answers(covey_peer *peer);

/* REP or ERR: it has the number of its request, and room there. */
bool cvy_is_answer(const cvy_parcel *parcel);

/* Frames of the peer about its groups. 0 or a code that ends the connection. */
int cvy_outlet_opened(covey_peer *peer, uint16_t number, uint64_t id, const cvy_group_open *open);
int cvy_outlet_closed(covey_peer *peer, uint16_t number);
int cvy_outlet_credit(covey_peer *peer, uint16_t number, uint64_t id, const cvy_credit *credit);
int cvy_outlet_fill(covey_peer *peer, uint16_t number, const cvy_credit *fill);
int cvy_outlet_ack(covey_peer *peer, uint16_t number, uint64_t id);

/* A parcel of the library's own: one allocation with its body, size bytes, which goes out in need of no credit. NULL: out of memory. */
cvy_parcel *cvy_parcel_own(uint8_t kind, size_t size, uint8_t **ret_body);

/* Frees a parcel of the library's own, its handles, and its share of a payload. */
void cvy_parcel_free(cvy_parcel *parcel);

/* Takes parcel, which is abandoned and not started, out of outlet and frees it. */
void cvy_lane_remove(cvy_outlet *outlet, cvy_parcel *parcel);

/* Queues END behind what waits in outlet. Out of memory: the next flush ends the connection. */
void cvy_lane_end(cvy_outlet *outlet);

/* Puts parcel into outlet. 1: it was dropped, by the group's policy; 0: it waits, the caller flushes. */
int cvy_lane_add(cvy_outlet *outlet, cvy_parcel *parcel);

/* True when its sender need not wait any longer. */
bool cvy_lane_done(const cvy_parcel *parcel, const covey_peer *peer);

/* Its sender gives up: takes parcel out where nothing of it was sent, else leaves its rest to the outlet (a copy). Not while it
 * is planned. Returns COVEY_FAR_... */
int cvy_lane_abandon(cvy_parcel *parcel, covey_peer *peer);

/* ---- between lane.c and plan.c ---- */

void cvy_outlet_ready(cvy_outlet *o); /* it may have something to send */
void cvy_outlet_rest(cvy_outlet *o);  /* it has not */

/* Whether the outlet has room for a charge of need bytes, now; *ret_lent (may be NULL): of the window, the rest by a grant. */
bool cvy_lane_affords(const cvy_outlet *o, uint64_t need, uint64_t *ret_lent);

/* Takes the charge of parcel from what the outlet has; false: it has to wait (or parcel->result says why it never will). */
bool cvy_lane_charge(cvy_outlet *o, cvy_parcel *parcel);

/* All of the message was taken by the transport, which has taken end bytes by now. */
void cvy_lane_emitted(covey_peer *peer, cvy_parcel *parcel, uint64_t end);

/* What is due, up to the bounds of a plan; and the account after the transport took some of it. */
void cvy_lane_plan(covey_peer *peer, cvy_plan *ret);
void cvy_lane_settle(covey_peer *peer, cvy_plan *plan, uint64_t taken);

/* What has not begun fails with code; what has goes on, and needs no grant any more. */
void cvy_lane_hush(covey_peer *peer, int code);

/* Everything that waits fails with code, and outlets go. */
void cvy_lane_fini(covey_peer *peer, int code);

#endif
