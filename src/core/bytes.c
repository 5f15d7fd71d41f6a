#include "core/bytes.h"
#include "core/mem.h"

#include <string.h>

size_t cvy_bytes_size(const cvy_bytes *b)
{
  return b->tail - b->head;
}

const uint8_t *cvy_bytes_front(const cvy_bytes *b)
{
  return b->tail > b->head ? b->memory + b->head : NULL;
}

int cvy_bytes_append(cvy_bytes *b, const void *data, size_t size)
{
  uint8_t *room;
  if (size == 0) return 0;
  int r = cvy_bytes_room(b, size, &room);
  if (r < 0) return r;
  memcpy(room, data, size);
  cvy_bytes_commit(b, size);
  return 0;
}

int cvy_bytes_room(cvy_bytes *b, size_t size, uint8_t **ret_room)
{
  if (b->capacity - b->tail < size) {
    size_t kept = cvy_bytes_size(b);
    if (size > SIZE_MAX / 8 - kept) return COVEY_ENOMEM;
    if (b->head < kept || b->capacity - kept < size) {
      size_t capacity = b->capacity < 512 ? 512 : b->capacity;
      while (capacity / 2 < kept + size)
        capacity *= 2; /* half of it free: room for as much again before the next move */
      uint8_t *memory = cvy_alloc(capacity);
      if (!memory) return COVEY_ENOMEM;
      if (kept) memcpy(memory, b->memory + b->head, kept);
      cvy_free(b->memory);
      b->memory = memory;
      b->capacity = capacity;
    } else if (kept) {
      memmove(b->memory, b->memory + b->head, kept);
    }
    b->head = 0;
    b->tail = kept;
  }
  *ret_room = b->memory + b->tail;
  return 0;
}

void cvy_bytes_commit(cvy_bytes *b, size_t size)
{
  b->tail += size;
}

void cvy_bytes_consume(cvy_bytes *b, size_t size)
{
  size_t waiting = cvy_bytes_size(b);
  b->head += size < waiting ? size : waiting;
  if (b->head < b->tail) return;
  b->head = b->tail = 0;
  if (b->capacity > CVY_BYTES_KEPT) cvy_bytes_fini(b);
}

void cvy_bytes_fini(cvy_bytes *b)
{
  if (!b) return;
  cvy_free(b->memory);
  memset(b, 0, sizeof *b);
}
