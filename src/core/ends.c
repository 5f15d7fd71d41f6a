#include "core/ends.h"

#include <string.h>

void cvy_ends_init(cvy_ends *e, size_t limit)
{
  *e = (cvy_ends){.head = limit - limit / 2, .tail = limit / 2};
}

void cvy_ends_put(cvy_ends *e, char *memory, const void *data, size_t size)
{
  const char *from = data;
  char *ring = memory + e->head;
  size_t first;

  e->dropped += size;
  if (size >= e->tail) {
    from += size - e->tail;
    size = e->tail;
    e->next = 0;
  }
  if (!size) return;
  first = e->tail - e->next < size ? e->tail - e->next : size;
  memcpy(ring + e->next, from, first);
  memcpy(ring, from + first, size - first);
  e->next = (e->next + size) % e->tail;
}

size_t cvy_ends_run(const cvy_ends *e, size_t at, size_t *ret_size)
{
  size_t in_tail, place;

  if (at < e->head) {
    *ret_size = e->head - at;
    return at;
  }
  in_tail = at - e->head;
  place = in_tail < e->tail - e->next ? e->next + in_tail : in_tail - (e->tail - e->next);
  *ret_size = place < e->next ? e->next - place : e->tail - place;
  return e->head + place;
}

static void reverse(char *from, char *to)
{
  while (from < to) {
    char c = *from;

    *from++ = *--to;
    *to = c;
  }
}

void cvy_ends_straighten(cvy_ends *e, char *memory)
{
  char *ring = memory + e->head;

  reverse(ring, ring + e->next);
  reverse(ring + e->next, ring + e->tail);
  reverse(ring, ring + e->tail);
  e->next = 0;
}
