/* msg/group.h: the groups of a node, their queues, and who waits for them. Guarded by the loop's lock; memory counted atomically.
 * */
#ifndef COVEY_MSG_GROUP_H
#define COVEY_MSG_GROUP_H

#include <covey/call.h>

#include "core/queue.h"
#include "msg/peer.h"

struct cvy_group {
  uint32_t refs; /* atomic: the node while it is open, messages that were handed out, calls */
  cvy_map_node by_name;
  covey_node *node;
  covey_loop *loop; /* of node */
  /* What it takes. CVY_FRAME_DATA: a group of messages; CVY_FRAME_REQ: a function; CVY_FRAME_GROUP_OPEN: an endpoint of channels; CVY_FRAME_NEXT: our side
   * of a channel, which one peer knows, and no name leads to; CVY_FRAME_PUB: a subscription. */
  uint8_t kind;
  bool closed;
  uint16_t flags, partner; /* CVY_GROUP_...; of a channel: the id with which it is announced */
  uint16_t number;         /* on every connection */
  uint32_t unanswered;     /* peers that may still send to this number after the close */
  cvy_queue queue;
  int full;           /* COVEY_FULL_... */
  uint64_t window;    /* lent to each peer */
  uint32_t max_count; /* messages lent to each peer; 0: no limit */
  bool priorities;
  bool handled; /* what arrives goes to a callback (msg/handler.h) */
  bool told;    /* which was told of the end */
  union {
    void (*on_message)(covey_message *message, void *arg);
    void (*on_request)(covey_request *request, void *arg);
    void (*on_next)(covey_message *message, int code, void *arg); /* of a channel, or a subscription */
    void (*on_channel)(covey_channel *channel, int code, void *arg);
  };
  void *arg;              /* the callback's */
  cvy_note note;          /* calls it; holds a reference while it is queued */
  uint32_t running;       /* threads in it */
  covey_channel *channel; /* whose side it is; NULL: none */
  struct covey_subscription *subscription;
  covey_channel *first_waiting; /* endpoint: openings that nobody has accepted, in order */
  uint64_t side_window;         /* endpoint: window of a side that is accepted here; 0: the usual one */
  uint8_t name_size;
  char name[COVEY_NAME_MAX + 1];
};

/* Checks and normalises a name: NULL is "default". COVEY_EINVAL, recorded. */
int cvy_group_name(const char *name, bool any, const char **ret_name);

int cvy_groups_init(covey_node *node);  /* makes "default" */
void cvy_groups_fini(covey_node *node); /* closes all */

cvy_group *cvy_group_find(const covey_node *node, const char *name, uint8_t kind);

/* Opens and announces; a subscription is announced by its owner (cvy_inlet_open). Failures are recorded. */
int cvy_group_make(covey_node *node, const char *name, uint8_t kind, const covey_group_options *options,
                   cvy_group **ret);

/* Our side of a channel with peer, announced to it alone, with flags and partner. *ret: a reference of the caller's. COVEY_EQUOTA: no memory is left to
 * lend. Failures are recorded. */
int cvy_group_side(covey_peer *peer, const char *name, uint64_t window, uint16_t flags, uint16_t partner,
                   cvy_group **ret);

/* Closes it: what waits in it is discarded, requests are answered. */
void cvy_group_close(covey_node *node, cvy_group *group);

/* The same for a caller who has not entered the node; its callback is waited for. COVEY_ENOTFOUND, or COVEY_EDEADLK of that, recorded. */
int cvy_group_close_named(covey_node *node, const char *name, uint8_t kind);

void cvy_group_ref(cvy_group *group);
void cvy_group_unref(cvy_group *group);

/* A whole message has arrived: item is moved; NULL: it was thrown away. */
void cvy_group_arrived(covey_peer *peer, uint16_t number, cvy_item *item);

/* A message of size bytes comes into a group that drops its oldest ones: they go. */
void cvy_group_evict(cvy_group *group, uint64_t size);

/* All peers have answered a close, one of them just now: the number may be used again. */
void cvy_group_answered(covey_node *node, cvy_group *group);

/* Takes the first message of a group that has one. */
void cvy_message_take(cvy_group *group, covey_message *ret);

/* The group that has the next message: group, or of all of this kind, with a callback or without, the one whose message came first
 * (NULL: any); NULL: none. */
cvy_group *cvy_group_filled(const covey_node *node, cvy_group *group, uint8_t kind, bool handled);

#endif
