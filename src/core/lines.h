/* core/lines.h: a stream of bytes, split into lines as it comes.
 *
 * A line ends with LF, or with CR LF; neither belongs to it. A CR elsewhere is a byte like any other, and so is NUL. A line with more bytes
 * than the longest comes in pieces of exactly that many, and a rest, which is never empty. Memory is bounded by the longest line; a line that
 * lies whole in the bytes that are handed in is not copied. */
#ifndef COVEY_CORE_LINES_H
#define COVEY_CORE_LINES_H

#include "os/types.h"

enum {
  CVY_LINE_MORE = 1, /* a piece: the line goes on in the next one */
  CVY_LINE_OPEN = 2, /* the end of the stream: no LF came */
  CVY_LINE_CRLF = 4  /* it ended with CR LF */
};

typedef struct cvy_line {
  const char *
      data; /* a view, until the next call of cvy_lines_..., and no longer than the bytes that were handed in */
  size_t size;
  uint32_t flags; /* CVY_LINE_... */
} cvy_line;

typedef struct cvy_lines {
  size_t longest;
  char *part;            /* the begin of a line whose end has not come; bytes [done, size) */
  size_t size, capacity; /* capacity: at most longest + 2 */
  size_t done;           /* bytes that were given away by the last call */
} cvy_lines;

/* longest: 1 to SIZE_MAX / 2. */
void cvy_lines_init(cvy_lines *l, size_t longest);
void cvy_lines_fini(cvy_lines *l);

/* Takes bytes from *data, *size of them, up to the end of the next line; both are moved on. 1: *ret is a line or a piece. 0: all bytes are
 * taken. COVEY_ENOMEM: nothing more can be done with this stream. */
int cvy_lines_next(cvy_lines *l, const char **data, size_t *size, cvy_line *ret);

/* No more bytes will come. 1: *ret is what is left, or a piece of it: to be called again. 0: nothing. */
int cvy_lines_end(cvy_lines *l, cvy_line *ret);

#endif
