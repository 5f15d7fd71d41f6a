/* core/str.h: a text that grows. Invariants: size <= capacity, and data[size] may be written whenever data is not NULL (there is
 * always room for the terminator). All zero is the empty text.
 *
 *   cvy_str s = {0};
 *   cvy_str_add(&s, data, size);
 *   cvy_str_add_char(&s, ' ');
 *   return cvy_str_take(&s, ret_text, NULL);        COVEY_ENOMEM if any of the steps failed
 *
 * Being out of memory sticks: the steps after the one that failed do nothing, and only the end has to be asked. Adding is linear
 * in all (the capacity grows by half). */
#ifndef COVEY_CORE_STR_H
#define COVEY_CORE_STR_H

#include "os/types.h"

typedef struct cvy_str {
  char *data; /* owned; not terminated before cvy_str_take */
  size_t size;
  size_t capacity;
  bool failed; /* out of memory at some step */
} cvy_str;

/* Makes room for size more bytes. Returns false, and remembers it, when there is no memory. */
bool cvy_str_reserve(cvy_str *s, size_t size);

/* Each adds to the end: size bytes (copied), a terminated text, one character, the same character count times. */
void cvy_str_add(cvy_str *s, const void *data, size_t size);
void cvy_str_add_text(cvy_str *s, const char *text);
void cvy_str_add_char(cvy_str *s, char c);
void cvy_str_add_many(cvy_str *s, char c, size_t count);

/* Hands the text over, with a NUL behind it, and leaves s empty: ret_text is owned (cvy_free, or covey_free when it goes to the
 * user), ret_size may be NULL. COVEY_ENOMEM, recorded, when a step has failed; s is empty then too. */
int cvy_str_take(cvy_str *s, char **ret_text, size_t *ret_size);

/* Releases what s holds and empties it. */
void cvy_str_fini(cvy_str *s);

#endif
