#include "core/str.h"
#include "core/error.h"
#include "core/mem.h"

#include <string.h>

bool cvy_str_reserve(cvy_str *s, size_t size)
{
  if (s->failed) return false;
  if (s->data && size <= s->capacity - s->size) return true;
  char *data = NULL;
  if (size < SIZE_MAX / 4 && s->capacity < SIZE_MAX / 4) {
    size_t need = s->size + size;
    size_t capacity = s->capacity + s->capacity / 2;
    if (capacity < need) capacity = need;
    if (capacity < 31) capacity = 31;
    data = cvy_realloc(s->data, capacity + 1);
    if (data) {
      s->data = data;
      s->capacity = capacity;
    }
  }
  s->failed = !data;
  return !s->failed;
}

void cvy_str_add(cvy_str *s, const void *data, size_t size)
{
  if (!size || !cvy_str_reserve(s, size)) return;
  memcpy(s->data + s->size, data, size);
  s->size += size;
}

void cvy_str_add_text(cvy_str *s, const char *text)
{
  cvy_str_add(s, text, strlen(text));
}

void cvy_str_add_char(cvy_str *s, char c)
{
  if (!cvy_str_reserve(s, 1)) return;
  s->data[s->size++] = c;
}

void cvy_str_add_many(cvy_str *s, char c, size_t count)
{
  if (!count || !cvy_str_reserve(s, count)) return;
  memset(s->data + s->size, c, count);
  s->size += count;
}

int cvy_str_take(cvy_str *s, char **ret_text, size_t *ret_size)
{
  if (!cvy_str_reserve(s, 0)) {
    cvy_str_fini(s);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "a text");
  }
  s->data[s->size] = '\0';
  *ret_text = s->data;
  if (ret_size) *ret_size = s->size;
  memset(s, 0, sizeof *s);
  return 0;
}

void cvy_str_fini(cvy_str *s)
{
  cvy_free(s->data);
  memset(s, 0, sizeof *s);
}
