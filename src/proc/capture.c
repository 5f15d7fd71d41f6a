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

/* Bytes that no room is for. True when they are the first. */
static bool drop(cvy_stream *s, const char *data, size_t size)
{
  bool first = !s->cut;

  s->cut = true;
  s->dropped += size;
  if (s->both && !s->failed)
    cvy_ends_put(&s->ends, s->data, data, size);
  else if (!s->failed)
    s->failed = COVEY_ETOOBIG;
  return first;
}

bool cvy_stream_keep(cvy_stream *s, const void *data, size_t size)
{
  size_t room = s->cut ? 0 : s->limit - s->size, kept = size < room ? size : room;

  if (kept && !cvy_stream_grow(s, kept)) {
    s->failed = COVEY_ENOMEM;
    kept = 0;
  }
  if (kept && data != s->data + s->size) memcpy(s->data + s->size, data, kept);
  s->size += kept;
  return kept < size && drop(s, (const char *)data + kept, size - kept);
}

static bool has_gap(const cvy_stream *s)
{
  return s->both && s->ends.dropped;
}

size_t cvy_stream_unread(const cvy_stream *s, size_t *ret_size)
{
  size_t size = s->size;

  /* what may be dropped yet is not given away */
  if (s->both && !s->ended && s->ends.head < size) size = s->ends.head;
  *ret_size = s->taken < size ? size - s->taken : 0;
  return *ret_size && has_gap(s) ? cvy_ends_run(&s->ends, s->taken, ret_size) : s->taken;
}

size_t cvy_stream_gap(const cvy_stream *s)
{
  return has_gap(s) ? s->ends.head : s->dropped ? s->size : 0;
}

char *cvy_stream_take(cvy_stream *s, size_t *ret_size)
{
  char *text = s->data;

  if (text && s->capacity - s->size < 1) {
    text = cvy_realloc(s->data, s->size + 1);
  } else if (text && s->capacity > 4096 && s->size < s->capacity / 2) {
    text = cvy_realloc(s->data, s->size + 1);
    if (!text) text = s->data;
  } else if (!text) {
    text = cvy_alloc(1);
  }
  if (!text) return NULL;
  if (has_gap(s)) cvy_ends_straighten(&s->ends, text);
  text[s->size] = '\0';
  *ret_size = s->size;
  s->data = NULL;
  s->size = s->capacity = s->taken = 0;
  return text;
}
