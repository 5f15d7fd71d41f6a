/* core/queue.h: messages in memory, and the queue of a group: bounded in bytes and in count, eight
 * priorities. Pure: who waits and who locks is the caller's business. */
#ifndef COVEY_CORE_QUEUE_H
#define COVEY_CORE_QUEUE_H

#include "os/types.h"

/* What a message costs beside its bytes, at the receiver and in credits: its share of administration. */
#define CVY_CHARGE_FIXED ((uint64_t)64)

/* A message in memory: one allocation, this head and its bytes behind it. */
typedef struct cvy_item {
  struct cvy_item *next; /* of the list that it is in */
  void *owner;           /* the user's: the peer it came from */
  void *place;           /* the user's: the group it waits in */
  uint64_t id;           /* its sender's number */
  uint64_t arrival;      /* the user's: order over several queues */
  uint64_t lost;         /* set when it is taken from a queue: messages dropped there since the one before */
  void *attached;        /* the user's, owned: what came along; NULL: nothing. detach releases it */
  void (*detach)(void *attached);
  uint64_t size;     /* bytes of the message, less than or equal to capacity */
  uint64_t capacity; /* room behind the head, without the byte for the NUL */
  uint32_t extra;    /* the user's */
  uint16_t group;    /* number on its connection */
  uint8_t kind;      /* CVY_FRAME_... */
  uint8_t flags;     /* of its first frame; the lowest three bits are the priority */
} cvy_item;

/* Makes an item with room for capacity bytes or more, and a NUL. NULL: out of memory. Owned, cvy_item_free, which keeps up to 8 items of 16 KiB to
 * 1 MiB, of 2 MiB together, for the next ones: fresh pages for each message cost more than its way. */
cvy_item *cvy_item_new(uint64_t capacity);

/* The same item with at least capacity bytes of room, perhaps elsewhere: *item is replaced. It must be in no
 * list. Errors: COVEY_ENOMEM (*item is as it was). */
int cvy_item_grow(cvy_item **item, uint64_t capacity);

uint8_t *cvy_item_data(cvy_item *item); /* its bytes, aligned to 16 */
int cvy_item_priority(const cvy_item *item);
uint64_t cvy_item_charge(const cvy_item *item); /* size + CVY_CHARGE_FIXED */
void cvy_item_free(cvy_item *item);             /* item may be NULL */

typedef struct cvy_queue {
  struct {
    cvy_item *first, *last;
  } level[8];
  uint64_t max_bytes; /* of charges; UINT64_MAX: no limit */
  uint64_t max_count; /* UINT64_MAX: no limit */
  uint64_t bytes, count;
  uint64_t gap; /* dropped since the last take */
  uint8_t used; /* bit n: level n is not empty */
  bool ordered; /* priorities count; else all items go to one level */
} cvy_queue;    /* to be set up by cvy_queue_init */

/* Limits of 0 are "none". ordered: whether priorities count. */
void cvy_queue_init(cvy_queue *q, uint64_t max_bytes, uint64_t max_count, bool ordered);

/* True when a message of size bytes finds room. An empty queue takes any one message. */
bool cvy_queue_fits(const cvy_queue *q, uint64_t size);

/* Appends item (moved) behind those of its priority, whether it fits or not: room that was lent must be
 * honoured. */
void cvy_queue_push(cvy_queue *q, cvy_item *item);

/* Takes the oldest item of the highest priority, with the gap before it in lost; NULL when empty. Owned by
 * the caller. */
cvy_item *cvy_queue_take(cvy_queue *q);

/* The item that cvy_queue_take would take: a view; NULL when empty. */
const cvy_item *cvy_queue_peek(const cvy_queue *q);

/* Makes room for a message of size bytes: takes the oldest items of the lowest priority away and counts them
 * in the gap, until it fits. Returns them as a list (next), owned by the caller, NULL when it fits
 * already. */
cvy_item *cvy_queue_evict(cvy_queue *q, uint64_t size);

/* Counts n messages that never came in (dropped by their sender) in the gap. */
void cvy_queue_skip(cvy_queue *q, uint64_t n);

/* Takes item, which is in the queue, out of it, wherever it stands. It is not counted as lost. */
void cvy_queue_pick(cvy_queue *q, cvy_item *item);

/* Takes all items of one owner out, or every item (owner NULL), in order, as a list owned by the caller. They
 * are not counted as lost. */
cvy_item *cvy_queue_remove(cvy_queue *q, const void *owner);

#endif
