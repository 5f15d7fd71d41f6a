/* msg/peer.h: one connection to another process's node: its life, what goes out and what comes in.
 *
 *   out    lane.h: a message is a parcel; it waits in the outlet of its group, where it gets its credit, and is cut into frames by
 *          plan.c. Control frames are bytes in tx.control and go first. Outlets take turns frame by frame, so a small message slips
 *          between the pieces of a large one of another group.
 *   write  the thread that flushes a peer takes what is due (cvy_lane_plan), writes without the lock, and accounts for it
 *          (cvy_lane_settle). One thread at a time (tx.writing); others leave their work to it.
 *   in     bytes go through core/frame and handshake.c (state x event); messages through core/intake into group.c.
 *
 * covey_peer is what the user sees in covey_message.peer. Its memory is counted atomically (refs): the connection while it is
 * there, each message that waits or was handed out, each call that works with it. Everything else in it is guarded by the loop's
 * lock. */
#ifndef COVEY_MSG_PEER_H
#define COVEY_MSG_PEER_H

#include "core/bytes.h"
#include "core/intake.h"
#include "msg/node.h"

/* One of our groups, as this peer may use it. */
struct cvy_inlet {
  cvy_map_node by_number;
  covey_peer *peer;
  cvy_group *group;
  uint16_t number;
  bool closed;      /* by us; there until the peer has answered that. Then group is counted */
  uint64_t window;  /* lent; less than the group's when memory is short, 0: not announced yet */
  uint64_t unused;  /* of it, in the peer's hands */
  uint64_t pending; /* charges of messages that were handed out: to be given back */
  uint32_t unused_count, pending_count; /* the same in messages */
  bool arriving;                        /* a message has begun and is not whole: */
  uint64_t arriving_id;
  uint64_t arriving_lent;      /* its charge: of the window */
  uint64_t arriving_extra;     /* and by a grant */
  bool is_begging;             /* which it waits for */
  struct cvy_handles *handles; /* of the next message, or of the arriving one; owned */
  bool hungry;                 /* window is less than it should be */
  cvy_inlet *next_hungry, *next_begging;
};

/* ---- how bytes travel ---- */

typedef struct cvy_outlet cvy_outlet;
typedef struct cvy_parcel cvy_parcel;
typedef struct cvy_call cvy_call;
typedef struct covey_channel covey_channel;
typedef struct cvy_handles cvy_handles;

typedef struct cvy_transport {
  /* Without the lock; one thread at a time. Takes up to all bytes, as cvos_io_write. */
  int64_t (*write)(covey_peer *peer, const cvos_piece *pieces, size_t count, int *ret_system);
  /* True while taken bytes would be lost if we ended now. */
  bool (*pending)(const covey_peer *peer);
  /* Asks for cvy_peer_room; lock held. */
  void (*want_room)(covey_peer *peer);
  /* Watches for the end of its process (pin); lock held. */
  void (*watch)(covey_peer *peer);
  /* Ends it, with what is pending or (now) without; lock held. cvy_peer_closed comes later. */
  void (*close)(covey_peer *peer, bool now);
} cvy_transport;

extern const cvy_transport cvy_transport_stream; /* a socket or a pipe */
extern const cvy_transport cvy_transport_local;  /* ourselves: what is written is read at once */

enum {
  CVY_CONTROL_MOST = 1048576 /* control bytes that wait for a peer that does not read: then it is given up */
};

typedef struct cvy_tx {
  cvy_bytes control; /* frames that wait */
  cvy_bytes flying;  /* control frames that are being written; whole ones, but for the first */
  struct {           /* the frame that was taken in part */
    cvy_parcel *parcel;
    uint8_t header[CVY_HEADER + CVY_PREFIX];
    uint32_t header_size, header_done, body; /* body: bytes of the message that are still due */
    bool last;
  } cut;
  cvy_outlet *ready, *ready_last; /* in turn */
  const cvy_handles *going;       /* with the first byte of what is being written; NULL: none */
  uint32_t fragmented;            /* messages that were begun and not ended: at most CVY_ASSEMBLIES */
  uint32_t parcels;               /* in all outlets */
  uint64_t taken;                 /* bytes that the transport took */
  uint64_t flushed;               /* of those, out of our hands */
  uint64_t next_id;
  bool writing, full, broken; /* full: waits for room; broken: nothing can be written any more */
  bool bye;                   /* good-bye goes out when nothing else is left */
  int doom;                   /* the next flush ends the connection with this */
} cvy_tx;

/* ---- the peer ---- */

enum cvy_peer_state {
  CVY_PEER_DIALLING, /* ours; not connected yet */
  CVY_PEER_HELLO,    /* theirs: HELLO is due */
  CVY_PEER_WELCOME,  /* ours: WELCOME is due */
  CVY_PEER_OPEN,
  CVY_PEER_BYE_SENT, /* BYE_ACK is due */
  CVY_PEER_BYE_GOT,  /* their end is due */
  CVY_PEER_LEAVING,  /* ends when all is written */
  CVY_PEER_DEAD,
  CVY_PEER_STATES
};

struct covey_peer {
  uint32_t refs; /* atomic */
  enum cvy_peer_state state;
  covey_node *node; /* valid until the connection is closed; */
  covey_loop *loop; /* its loop: as long as somebody has counted it */
  covey_peer *next, *prev;
  covey_peer *next_dirty;
  cvy_map_node by_pid, by_name;
  bool in_pid, in_name, is_dirty;

  covey_identity identity; /* by the kernel; constant once known */
  cvos_process pin;
  char name[COVEY_NAME_MAX + 1]; /* of its node: what it says, until it is proven */
  bool proven;                   /* its address leads to that process */
  bool dialled;                  /* by us */
  bool spawned;                  /* an inherited connection, our end: the child's HELLO may take its time */
  bool exited;                   /* the child has ended before anybody read that connection */
  bool to_parent;                /* an inherited connection, the child's end */
  bool stop_due;                 /* the child is asked to end as soon as it has introduced itself */
  bool introduced;               /* counts in node->peer_count */
  bool shaking;                  /* counts in node->handshakes */
  bool ready;                    /* its groups are known */
  bool judging;                  /* the accept callback runs, without the lock */
  bool all_there;                /* it has answered our good-bye: it holds all that we sent */
  uint32_t gone_seen;            /* node->gone_epoch when it was last compared with the ended ones */
  int failure;                   /* DEAD: why */
  int64_t sender;                /* pid that sent the first bytes, by the kernel; -1: not told */
  cvy_deadline limit;            /* of the handshake */
  uint64_t max_message;          /* that it takes */

  const cvy_transport *transport;
  cvos_io *io;
  cvos_exit_watch *watch; /* of its process; NULL: none */
  cvy_timer *last;        /* the process has ended, the end of its stream is due; the token's thread only */
  cvy_task room_task, close_task, watch_task;
  bool close_now;

  cvy_decoder decoder;
  cvy_intake intake;
  bool bulk; /* the last message's frame was a large one; the token's thread only */
  cvy_map inlets;

  cvy_tx tx;
  cvy_map outlets, outlet_names;
  struct cvy_wish
      *wishes;      /* room.h: sends that may not wait found no room, and somebody is to be told of it */
  cvy_parcel *acks; /* emitted, waiting for their ACK */
  uint64_t sent, consumed; /* messages: emitted, and handed out as far as we were told */
  uint64_t called; /* requests of sent that are not in consumed: their callers hear what becomes of them */
  uint64_t bytes_in, dropped; /* dropped: messages, by us */
  uint64_t asked, told;       /* the last LOOK, and the last PONG */
  uint64_t granted;           /* by us, for large messages that were not handed out yet */

  cvy_map calls;       /* ours that wait for an answer, by number */
  cvy_map requests;    /* its that nobody has answered, by number */
  cvy_handles *came;   /* with bytes whose frame is not whole yet; NULL: none */
  cvy_handles *handed; /* sent, in order: until it has its own */
  uint64_t answers;    /* bytes of ours to it that wait to be written */
};

/* Makes a peer in the node's list, in state, with one reference for the connection and one for the caller. NULL: out of memory. */
covey_peer *cvy_peer_new(covey_node *node, enum cvy_peer_state state, const cvy_transport *transport);
void cvy_peer_ref(covey_peer *peer);
void cvy_peer_unref(covey_peer *peer); /* with or without the lock: the last one frees memory only */

/* Makes it findable by pid (identity) or by name (proven); again after it changed. */
void cvy_peer_index(covey_peer *peer);
covey_peer *cvy_peer_by_pid(const covey_node *node, int64_t pid); /* the newest; NULL: none */
covey_peer *cvy_peer_by_name(const covey_node *node, const char *name);

/* An open peer of this process whose node says that it is called name; instance (may be NULL): and is this one. NULL: none. */
covey_peer *cvy_peer_claims(const covey_node *node, const covey_identity *who, const char *name,
                            const uint8_t *instance);

/* Takes the connection into the loop and starts to read. handle: moved, whatever the result. COVEY_ECLOSED: the peer has ended
 * meanwhile. Lock not held. */
int cvy_peer_attach(covey_peer *peer, cvos_handle handle);

/* Bytes, the end, room, and closed: from the transport, without the lock. */
void cvy_peer_bytes(covey_peer *peer, const void *data, size_t size);

/* [token] Where the next bytes are best read: a large message's at their place in it, which is lent until the next cvy_peer_bytes. NULL: anywhere, at most
 * *ret_size of them; where large messages follow each other that is little more than the next header, so that most of the next one is not copied. */
void *cvy_peer_place(covey_peer *peer, size_t *ret_size);
void cvy_peer_over(covey_peer *peer, int status);
void cvy_peer_exited(
    covey_peer *peer); /* [token] its process has ended, whoever may still hold the other end */
void cvy_peer_room(covey_peer *peer);
void cvy_peer_closed(covey_peer *peer);

/* From here on: lock held. */

/* Ends the connection: what waits fails with code, credit goes back, the stream is closed. Does nothing a second time. */
void cvy_peer_end(covey_peer *peer, int code);

/* Ends it with code once all control frames are written. */
void cvy_peer_leave(covey_peer *peer, int code);

/* Queues a control frame. Out of memory, or a peer that does not read: the next flush ends the connection. */
void cvy_peer_control(covey_peer *peer, int kind, int flags, uint16_t group, uint64_t id, const void *body,
                      size_t size);

void cvy_peer_dirty(covey_peer *peer);

/* Writes what is due; the lock is released meanwhile. */
void cvy_peer_flush(covey_peer *peer);

/* Begins the good-bye (node is closing). */
void cvy_peer_bye(covey_peer *peer);

/* Queues STOP for a child of ours. */
void cvy_peer_stop(covey_peer *peer);

/* The connection is agreed upon: announces our groups. */
void cvy_peer_open(covey_peer *peer);

/* ---- handshake.c ---- */

/* One chunk of a frame in the peer's state: the table. May end the peer. Lock held; released and taken again round the accept
 * callback. */
void cvy_handshake_event(covey_peer *peer, const cvy_chunk *chunk);

/* Queues HELLO. */
void cvy_handshake_hello(covey_peer *peer);

/* ---- inlet.c: what we lend the peer, and the node's budget (outlet.h: what it lends us) ---- */

/* Lends peer a window for group and announces it; later, when memory is short. COVEY_ENOMEM. */
int cvy_inlet_open(covey_peer *peer, cvy_group *group);

/* Our group was closed: takes back and tells. The number is free for others once the peer has answered (cvy_inlet_gone,
 * COVEY_EPROTO for an answer without question). */
void cvy_inlet_closed(covey_peer *peer, cvy_group *group);
int cvy_inlet_gone(covey_peer *peer, uint16_t number);

cvy_inlet *cvy_inlet_find(const covey_peer *peer, uint16_t number);

/* A message begins: takes its charge from what the peer has, and grants or notes what it asks beyond. *ret_keep: bytes of it that
 * memory is reserved for; 0: its group was closed meanwhile, throw it away. 0 or COVEY_EPROTO: it breaks a rule. */
int cvy_inlet_begin(covey_peer *peer, const cvy_begin *begin, uint64_t *ret_keep);

/* True when more of it has arrived than the peer may send before the grant. */
bool cvy_inlet_exceeds(const covey_peer *peer, uint16_t number);

/* It is whole. */
void cvy_inlet_whole(covey_peer *peer, cvy_item *item);

/* item uses no room any more. Gives credit back and tells the sender what it wants to know. */
void cvy_credit_return(cvy_group *group, cvy_item *item);

/* item has left its group's queue: handed out, or discarded. Returns its credit, unless that was done when it came (DROP_OLD), or it has none (watch.h). */
void cvy_credit_left(cvy_group *group, cvy_item *item);

/* Gives back at once what is held up for fewer frames: more messages wait, and none is handed out. */
void cvy_credit_now(covey_peer *peer, uint16_t number);

/* Gives all of it back that is held up for fewer frames: before the good-bye, so that the peer knows what was handed out. */
void cvy_credit_settle(covey_peer *peer);

/* Lends what has become free to those who got less than they should. */
void cvy_credit_serve(covey_node *node);

/* The peer has ended: what it held goes back to the budget. */
void cvy_credit_fini(covey_peer *peer);

#endif
