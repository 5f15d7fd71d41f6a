#include "core/pieces.h"

#include "core/mem.h"

#include <string.h>

#define LEAST 1024 /* bytes of a piece's memory: pieces of a few bytes join the one before */

typedef struct cvy_piece {
  struct cvy_piece *next;
  int tag;
  size_t size, taken, capacity; /* bytes [taken, size) are there */
  char data[];
} cvy_piece;

void cvy_pieces_fini(cvy_pieces *p)
{
  for (cvy_piece *one = p->first, *next; one; one = next) {
    next = one->next;
    cvy_free(one);
  }
  *p = (cvy_pieces){.put = p->put, .taken = p->put};
}

bool cvy_pieces_put(cvy_pieces *p, int tag, const void *data, size_t size)
{
  cvy_piece *last = p->last, *fresh = NULL;
  size_t room = last && last->tag == tag ? last->capacity - last->size : 0,
         joined = size < room ? size : room;
  size_t rest = size - joined, capacity = rest < LEAST ? LEAST : rest;

  if (rest) {
    if (!(fresh = cvy_alloc(sizeof *fresh + capacity))) return false;
    *fresh = (cvy_piece){.tag = tag, .size = rest, .capacity = capacity};
    memcpy(fresh->data, (const char *)data + joined, rest);
  }
  if (joined) memcpy(last->data + last->size, data, joined);
  if (joined) last->size += joined;
  if (fresh) {
    *(last ? &last->next : &p->first) = fresh;
    p->last = fresh;
    p->memory += sizeof *fresh + capacity;
  }
  p->put += size;
  return true;
}

const char *cvy_pieces_front(const cvy_pieces *p, int *ret_tag, size_t *ret_size)
{
  const cvy_piece *first = p->first;

  if (!first) return NULL;
  *ret_tag = first->tag;
  *ret_size = first->size - first->taken;
  return first->data + first->taken;
}

void cvy_pieces_take(cvy_pieces *p, size_t size)
{
  cvy_piece *first = p->first;

  if (!size) return;
  p->taken += size;
  first->taken += size;
  if (first->taken < first->size) return;
  p->first = first->next;
  if (!p->first) p->last = NULL;
  p->memory -= sizeof *first + first->capacity;
  cvy_free(first);
}
