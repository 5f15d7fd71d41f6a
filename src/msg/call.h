/* msg/call.h: requests and answers: what the connection tells the two ends of a call.
 *
 *   caller                                            server
 *   call.c    cvy_call, in peer->calls                 serve.c   cvy_request, in the function's queue and in peer->requests
 *   lane.c    REQ, by the credit of the function  ──→  cvy_request_new
 *             CANCEL                              ──→  cvy_request_cancelled
 *   cvy_call_begins, cvy_call_arrived             ←──  cvy_answer: REP, ERR, by the room that the request has promised
 *
 * All of it with the loop's lock held. */
#ifndef COVEY_MSG_CALL_H
#define COVEY_MSG_CALL_H

#include <covey/call.h>

#include "core/queue.h"
#include "msg/peer.h"

enum {
  CVY_REPLIES_SHARE = 16, /* what calls in flight may bring: so many times max_memory */
  CVY_ERROR_MAX = 255     /* bytes of text in an ERR */
};

/* ---- the caller's side ---- */

struct cvy_call {
  cvy_map_node by_id; /* in peer->calls */
  covey_peer *peer;   /* counted; NULL: nothing of the request was framed yet */
  covey_node *node;   /* valid while room is not 0 */
  uint64_t id;
  uint64_t reply_max;
  uint64_t room; /* of node->replies; 0: given back */
  cvy_deadline deadline;
  bool listed;    /* in peer->calls: an answer may come */
  bool over;      /* by what is in code, item and text */
  int code;       /* 0: item is the answer */
  cvy_item *item; /* owned; its owner is peer, counted once more */
  char text[CVY_ERROR_MAX + 1];
  uint8_t prefix[CVY_PREFIX];      /* of the request */
  void (*on_over)(cvy_call *call); /* NULL: its caller is waiting, or will ask */
};

/* Its request has its number: an answer may come from now on. The time that is left is written. Unnamed: as if not. */
void cvy_call_named(covey_peer *peer, const cvy_parcel *parcel);
void cvy_call_unnamed(cvy_call *call);

/* Whether somebody waits for the answer to this request. */
bool cvy_call_waits(const covey_peer *peer, uint64_t id);

/* An answer begins: bytes that are kept of it at once, 0: it is thrown away. 0, or COVEY_EPROTO: it breaks a rule. */
int cvy_call_begins(covey_peer *peer, const cvy_begin *begin, uint64_t *ret_keep);

/* It is whole: item is moved. */
void cvy_call_arrived(covey_peer *peer, cvy_item *item);

/* No more answers come from peer. */
void cvy_calls_over(covey_peer *peer);

/* ---- between call.c, where the caller waits, and pending.c, where it does not ---- */

struct cvy_send;

/* What a call is about, for failures: "process 12, function add". */
typedef struct cvy_call_about {
  char text[224];
} cvy_call_about;

/* What options and buffers say: to s. COVEY_EINVAL or COVEY_ETOOBIG, recorded. */
int cvy_call_check(const covey_call_options *options, int64_t timeout, const covey_buffer *buffers,
                   size_t count, struct cvy_send *s);

/* Sends the request of call, which has its deadline. The node is entered; on failure, which is recorded, the call holds nothing. */
int cvy_call_launch(covey_node *node, struct cvy_send *s, const covey_call_options *options,
                    const covey_buffer *buffers, size_t count, cvy_call *call);
void cvy_call_describe(const struct cvy_send *s, cvy_call_about *ret);

/* A predicate over a cvy_call. */
bool cvy_call_is_over(void *call);

/* The wait for a call has ended with r; if the call is not over, it is now, and the server is told. */
void cvy_call_end(cvy_call *call, int r);

/* Tells the outcome of a call that is over; its item becomes the reply's. A failure is recorded. */
int cvy_call_outcome(cvy_call *call, const char *what, covey_reply *ret);

/* Gives back what it holds, once it is in no list. Without the lock, too. */
void cvy_call_scrap(cvy_call *call);

/* ---- the server's side ---- */

typedef struct cvy_request {
  cvy_map_node by_id; /* in peer->requests */
  cvy_item *item;     /* in the function's queue until it is handed out */
  covey_peer *peer;   /* the item's reference */
  cvy_group *group;   /* counted once it is handed out */
  covey_loop *loop;   /* the same */
  uint64_t id, room;
  cvy_deadline deadline;
  bool listed; /* in peer->requests: somebody waits, as far as we were told */
  bool out;    /* handed out */
  bool answered;
} cvy_request;

/* A whole request has arrived: notes it in item->place. False: it is none, item is gone. */
bool cvy_request_new(covey_peer *peer, cvy_group *group, cvy_item *item);

/* It will not be handed out, and is in no queue any more: answers it with code and frees it. */
void cvy_request_refuse(cvy_request *request, int code, const char *text);

/* Its caller has given up; an unknown number is one that was answered meanwhile. */
void cvy_request_cancelled(covey_peer *peer, uint64_t id);

/* The caller is gone. */
void cvy_requests_over(covey_peer *peer);

/* Takes the next request of a function that somebody still waits for; NULL: none is left. cvy_request_fill: what its server sees. */
cvy_request *cvy_request_take(cvy_group *group);
void cvy_request_fill(cvy_request *request, covey_request *ret);

/* Queues REP or ERR. COVEY_ENOMEM: nothing happened. */
int cvy_answer(covey_peer *peer, uint64_t id, uint8_t kind, int32_t status, const void *data, size_t size);

/* The library's own answer. When memory is short, or too much waits to be written already, the next flush ends the connection. */
void cvy_answer_error(covey_peer *peer, uint64_t id, int code, const char *text);

#endif
