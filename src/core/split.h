/* core/split.h: a line into words, and the lists that come out of it. Pure, one pass, linear. The public face is covey_split. */
#ifndef COVEY_CORE_SPLIT_H
#define COVEY_CORE_SPLIT_H

#include "core/str.h"

/* A list of texts that is built in one go and handed over as one block: the pointers, a NULL behind them, then the texts, so that a
 * single free releases all of it. All zero is the empty list. Being out of memory sticks, as in core/str.h. */
typedef struct cvy_words {
  cvy_str text; /* the texts, each with its NUL */
  size_t count;
} cvy_words;

/* Ends the text that was added to words->text since the last call: it becomes the next item. */
void cvy_words_end(cvy_words *words);

/* Hands the list over and leaves words empty. ret_list: owned, one block (cvy_free, covey_free); ret_count may be NULL.
 * COVEY_ENOMEM, recorded. */
int cvy_words_take(cvy_words *words, char ***ret_list, size_t *ret_count);

void cvy_words_fini(cvy_words *words);

/* POSIX sh without expansions: what covey_split says for COVEY_DIALECT_SH. */
int cvy_split_sh(const char *line, size_t size, char ***ret_argv, size_t *ret_count);

/* A Windows command line as the C runtime reads it (UCRT, and Visual C++ since 2008): the first word by the rule for argv[0]. */
int cvy_split_argv(const char *line, size_t size, char ***ret_argv, size_t *ret_count);

#endif
