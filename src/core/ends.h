/* core/ends.h: the first and the last bytes of a stream, in bounded memory.
 *
 * The memory is the caller's, limit bytes of it. It is filled from its begin by the caller; every byte that comes once it is full goes through
 * cvy_ends_put, which keeps the first limit - limit/2 bytes as they are and turns the rest into a ring of the latest limit/2.
 *
 *   memory   [ head: the first bytes | tail: a ring, its oldest byte at head + next ]
 *   order    head, then `dropped` bytes that are gone, then the tail from its oldest byte on */
#ifndef COVEY_CORE_ENDS_H
#define COVEY_CORE_ENDS_H

#include "os/types.h"

typedef struct cvy_ends {
  size_t head, tail; /* bytes of each part */
  size_t next;       /* where in the tail the next byte goes, and the oldest is */
  uint64_t dropped;  /* bytes between the two */
} cvy_ends;

/* limit: 1 or more. */
void cvy_ends_init(cvy_ends *e, size_t limit);

/* size bytes more, of which as many are dropped. memory is full. */
void cvy_ends_put(cvy_ends *e, char *memory, const void *data, size_t size);

/* The bytes from the at-th kept one on that lie together: their place in memory, and how many there are, 1 or more, in *ret_size. at: less than
 * head + tail. They never reach over the gap, which is at head. */
size_t cvy_ends_run(const cvy_ends *e, size_t at, size_t *ret_size);

/* Puts memory in order: from now on the tail's oldest byte is at head. Takes time in proportion to the tail, and no memory. */
void cvy_ends_straighten(cvy_ends *e, char *memory);

#endif
