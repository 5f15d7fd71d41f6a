#include "proc/process.h"

#include "core/mem.h"

#include <string.h>

bool cvy_stream_grow(cvy_stream *s, size_t size)
{
  size_t wanted, capacity;
  char *data;

  if (s->kind == CVY_STREAM_PIPE && s->taken && (s->taken == s->size || s->taken >= s->capacity / 2)) {
    memmove(s->data, s->data + s->taken, s->size - s->taken);
    s->size -= s->taken;
    s->taken = 0;
  }
  if (size > SIZE_MAX / 2 - s->size) return false;
  wanted = s->size + size;
  if (wanted <= s->capacity) return true;
  capacity = s->capacity ? s->capacity : 4096;
  while (capacity < wanted) capacity *= 2;
  if (!(data = cvy_realloc(s->data, capacity))) {
    if (!(data = cvy_realloc(s->data, wanted))) return false;
    capacity = wanted;
  }
  s->data = data;
  s->capacity = capacity;
  return true;
}

bool cvy_stream_keep(cvy_stream *s, const void *data, size_t size)
{
  size_t room = s->limit - s->size, kept = size < room ? size : room;
  bool first = !s->cut;

  if (kept && !s->cut && !cvy_stream_grow(s, kept)) {
    s->failed = COVEY_ENOMEM;
    kept = 0;
    size = 1;
  }
  if (s->cut) kept = 0;
  if (kept && data != s->data + s->size) memcpy(s->data + s->size, data, kept);
  s->size += kept;
  if (kept == size) return false;
  s->cut = true;
  if (!s->failed) s->failed = COVEY_ETOOBIG;
  return first;
}
