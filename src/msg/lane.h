/* msg/lane.h: what goes out to a peer: messages as parcels, which wait in the outlet of their group (outlet.h), and the frames of
 * one write as a plan.
 *
 * A parcel is added to the outlet of its group, gets its credit there in turn, is cut into frames by cvy_lane_plan, and leaves
 * the outlet when the transport has taken its last byte. Plan and settle belong together: what was planned and not taken is as if
 * it had never been planned. Guarded by the loop's lock; the pieces of a plan are written without it, which is why a planned
 * parcel must stay where it is. */
#ifndef COVEY_MSG_LANE_H
#define COVEY_MSG_LANE_H

#include "msg/outlet.h"

/* ---- one message on its way out: on the stack of its sender; owned by the outlet once it is abandoned ---- */

typedef struct cvy_payload cvy_payload;

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

enum {
  CVY_PLAN_FRAMES = 31, /* frames in one write */
  CVY_PLAN_PIECES = 64,
  CVY_FRAGMENT = CVY_PIECE_MAX, /* most bytes of a message in one frame of ours */
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

/* REP or ERR: it has the number of its request, and room there. */
bool cvy_is_answer(const cvy_parcel *parcel);

/* A parcel of the library's own: one allocation with its body, size bytes, which goes out in need of no credit. NULL: out of memory. */
cvy_parcel *cvy_parcel_own(uint8_t kind, size_t size, uint8_t **ret_body);

/* Frees a parcel of the library's own, its handles, and its share of a payload. */
void cvy_parcel_free(cvy_parcel *parcel);

/* Takes parcel, which is abandoned and not started, out of outlet and frees it. */
void cvy_lane_remove(cvy_outlet *outlet, cvy_parcel *parcel);

/* Queues END behind what waits in outlet. Out of memory: the next flush ends the connection. */
void cvy_lane_end(cvy_outlet *outlet);

/* Tells the other side of a GAP (core/frame.h) in outlet's group, at once: it waits for no credit. */
void cvy_lane_gap(cvy_outlet *outlet, uint64_t count);

/* Puts parcel into outlet. 1: it was dropped, by the group's policy; 0: it waits, the caller flushes. */
int cvy_lane_add(cvy_outlet *outlet, cvy_parcel *parcel);

/* True when its sender need not wait any longer. */
bool cvy_lane_done(const cvy_parcel *parcel, const covey_peer *peer);

/* Why it will not get there, or may not have got there: 0, or a code. */
int cvy_lane_result(const cvy_parcel *parcel, const covey_peer *peer);

/* Its sender gives up: takes parcel out where nothing of it was sent, else leaves its rest to the outlet (a copy). Not while it
 * is planned. Returns COVEY_FAR_... */
int cvy_lane_abandon(cvy_parcel *parcel, covey_peer *peer);

/* ---- between lane.c and plan.c ---- */

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
