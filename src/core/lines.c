#include "core/lines.h"

#include "core/mem.h"

#include <string.h>

void cvy_lines_init(cvy_lines *l, size_t longest)
{
  *l = (cvy_lines){.longest = longest};
}

void cvy_lines_fini(cvy_lines *l)
{
  cvy_free(l->part);
  *l = (cvy_lines){.longest = l->longest};
}

/* What can be said of the size bytes (at most longest + 2) with which a line begins: how many of them are given away with *ret, 0 when more of
 * the line must be seen first. */
static size_t judge(const cvy_lines *l, const char *data, size_t size, cvy_line *ret)
{
  const char *end = memchr(data, '\n', size);
  size_t raw = end ? (size_t)(end - data) : size;
  size_t cr = raw && data[raw - 1] == '\r'; /* without an end: the LF may follow */

  if (raw - cr > l->longest) {
    *ret = (cvy_line){data, l->longest, CVY_LINE_MORE};
    return l->longest;
  }
  if (!end) return 0;
  *ret = (cvy_line){data, raw - cr, cr ? CVY_LINE_CRLF : 0};
  return raw + 1;
}

/* Forgets what the last call gave away. */
static void forget(cvy_lines *l)
{
  if (!l->done) return;
  memmove(l->part, l->part + l->done, l->size - l->done);
  l->size -= l->done;
  l->done = 0;
}

/* Copies size bytes behind the begin that is kept. */
static bool keep(cvy_lines *l, const char *data, size_t size)
{
  size_t wanted = l->size + size, capacity = l->capacity ? l->capacity : 256;
  char *part = l->part;

  if (wanted > l->capacity) {
    while (capacity < wanted) capacity *= 2;
    if (capacity > l->longest + 2) capacity = l->longest + 2;
    if (!(part = cvy_realloc(part, capacity))) return false;
    l->part = part;
    l->capacity = capacity;
  }
  memcpy(part + l->size, data, size);
  l->size = wanted;
  return true;
}

int cvy_lines_next(cvy_lines *l, const char **data, size_t *size, cvy_line *ret)
{
  size_t seen, taken;
  const char *end;

  forget(l);
  if (l->size && (l->done = judge(l, l->part, l->size, ret)) > 0) return 1;
  if (!*size) return 0;
  seen = l->longest + 2 - l->size;
  if (seen > *size) seen = *size;
  if (!l->size && (taken = judge(l, *data, seen, ret)) > 0) {
    *data += taken;
    *size -= taken;
    return 1;
  }
  end = memchr(*data, '\n', seen);
  if (end) seen = (size_t)(end - *data) + 1;
  if (!keep(l, *data, seen)) return COVEY_ENOMEM;
  *data += seen;
  *size -= seen;
  l->done = judge(l, l->part, l->size, ret);
  return l->done > 0;
}

int cvy_lines_end(cvy_lines *l, cvy_line *ret)
{
  forget(l);
  if (!l->size) return 0;
  *ret = l->size > l->longest ? (cvy_line){l->part, l->longest, CVY_LINE_MORE}
                              : (cvy_line){l->part, l->size, CVY_LINE_OPEN};
  l->done = ret->size;
  return 1;
}
