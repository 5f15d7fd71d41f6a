/* core/bytes.h: a queue of bytes that grows at its end and is eaten from its front. Not for several threads
 * at a time.
 *
 * The bytes lie in one piece. Eating is free; what is left is moved to the front only when room is needed and
 * at least half of the memory has been eaten, so that all moves together cost no more than the bytes that
 * went through. Memory grows by doubling with what is appended, never by what somebody announces, and is
 * given back when a large queue has become empty. */
#ifndef COVEY_CORE_BYTES_H
#define COVEY_CORE_BYTES_H

#include "os/types.h"

typedef struct cvy_bytes {
  uint8_t *memory; /* owned; NULL: no memory yet, or again */
  size_t head;     /* eaten */
  size_t tail;     /* appended; head <= tail <= capacity */
  size_t capacity;
} cvy_bytes; /* all zero is an empty queue */

/* An empty queue keeps at most this much memory. */
#define CVY_BYTES_KEPT ((size_t)16384)

size_t cvy_bytes_size(const cvy_bytes *b); /* bytes that wait */
const uint8_t *
cvy_bytes_front(const cvy_bytes *b); /* a view, until the next call that is not const; NULL when empty */

/* Copies size bytes to the end. Errors: COVEY_ENOMEM (nothing was appended). */
int cvy_bytes_append(cvy_bytes *b, const void *data, size_t size);

/* Gives room for size bytes (more than 0) at the end, to be filled by the caller: a view. cvy_bytes_commit
 * then takes the first size of them. Errors: COVEY_ENOMEM. */
int cvy_bytes_room(cvy_bytes *b, size_t size, uint8_t **ret_room);
void cvy_bytes_commit(cvy_bytes *b, size_t size);

/* Eats size bytes, at most all that wait. */
void cvy_bytes_consume(cvy_bytes *b, size_t size);

/* Releases the memory; the queue is empty and usable again. b may be NULL. */
void cvy_bytes_fini(cvy_bytes *b);

#endif
