/* core/pieces.h: bytes of several streams, in the order in which they came: a queue of pieces, each with the number of its stream.
 *
 * Bytes that follow those of the same stream join them where there is room. What cvy_pieces_front gave stays where it is until it is taken, whatever
 * is put meanwhile: a reader may look at it without the lock under which others put. */
#ifndef COVEY_CORE_PIECES_H
#define COVEY_CORE_PIECES_H

#include "os/types.h"

struct cvy_piece; /* private */

typedef struct cvy_pieces {
  struct cvy_piece *first, *last;
  size_t memory;       /* bytes of memory that are held: what a bound is laid on */
  uint64_t put, taken; /* bytes so far, of all streams */
} cvy_pieces;

/* All zero is an empty queue. fini frees what was not taken. */
void cvy_pieces_fini(cvy_pieces *p);

/* Copies size bytes of stream tag behind the others; 0 bytes do nothing. False: out of memory, nothing was put. */
bool cvy_pieces_put(cvy_pieces *p, int tag, const void *data, size_t size);

/* The oldest bytes: a view, until they are taken; with the stream, and how many. NULL: none. */
const char *cvy_pieces_front(const cvy_pieces *p, int *ret_tag, size_t *ret_size);

/* Takes size bytes of those that cvy_pieces_front gives. */
void cvy_pieces_take(cvy_pieces *p, size_t size);

#endif
