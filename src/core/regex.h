/* core/regex.h: regular expressions (PCRE2), for patterns and texts that nobody has vetted.
 *
 *   cvy_regex *regex;
 *   cvy_span spans[2];
 *   if (cvy_regex_new("pid=(\\d+)", SIZE_MAX, CVY_REGEX_UTF, &regex) < 0) ...
 *   int n = cvy_regex_match(regex, text, size, 0, spans, 2);       0: no match; 2: spans[1] is where the number stands
 *   cvy_regex_free(regex);
 *
 * Bounded: a pattern that backtracks without end is stopped (COVEY_ELIMIT). PCRE2 counts per starting place, so a match over n bytes does at
 * most n times CVY_REGEX_MATCH_LIMIT steps, and a pattern that is bad from its first place on stops after one. PCRE2's JIT is not used: it
 * counts in another way, knows neither depth nor heap limit and needs memory that some systems forbid to execute. */
#ifndef COVEY_CORE_REGEX_H
#define COVEY_CORE_REGEX_H

#include "os/types.h"

/* Steps of matching from one place, frames held at once, KiB for these, bytes in a pattern. A step takes 20 to 50 ns; a line of 1 MB under
 * `.*x` takes as many steps as it has bytes. */
#define CVY_REGEX_MATCH_LIMIT  5000000
#define CVY_REGEX_DEPTH_LIMIT  500000
#define CVY_REGEX_HEAP_LIMIT   (64 * 1024)
#define CVY_REGEX_PATTERN_SIZE 65536

enum {
  /* Characters are UTF-8, \w and the like are Unicode's. The text may hold other bytes: they match nothing (only a negated lookaround
   * sees past them). Without it a character is a byte. */
  CVY_REGEX_UTF = 1 << 0,
  CVY_REGEX_CASELESS = 1 << 1,
  CVY_REGEX_MULTILINE = 1 << 2, /* ^ and $ at every line */
  CVY_REGEX_DOTALL = 1 << 3,    /* . also matches a newline */
  CVY_REGEX_LITERAL = 1 << 4,   /* no character of the pattern is special */
  CVY_REGEX_ANCHORED = 1 << 5   /* only where the match starts to look */
};

typedef struct cvy_regex cvy_regex;

/* A part of the text, in bytes; start is SIZE_MAX for a group that took no part. */
typedef struct cvy_span {
  size_t start;
  size_t size;
} cvy_span;

/* Compiles size bytes of pattern (borrowed; SIZE_MAX: up to the NUL). ret_regex: owned, cvy_regex_free. It may be used by any number of
 * threads at once.
 * Errors, recorded with the byte offset in the pattern and PCRE2's sentence in what: COVEY_EINVAL (syntax, an unknown option),
 * COVEY_EENCODING (UTF, and the pattern is not UTF-8), COVEY_ETOOBIG (the pattern, or what it compiles to), COVEY_ENOMEM. */
int cvy_regex_new(const char *pattern, size_t size, uint32_t options, cvy_regex **ret_regex);

/* The number of groups, the whole match included: what ret_spans can use. */
size_t cvy_regex_groups(const cvy_regex *regex);

/* The number of the group with this name, or COVEY_ENOTFOUND (not recorded). */
int cvy_regex_group(const cvy_regex *regex, const char *name);

/* Looks for the first match that starts at from (<= size) or behind it, in text (borrowed, size bytes, any bytes); what lies before from is
 * seen by lookbehind and \b. Returns the number of groups, the whole match included, with the first capacity of them in ret_spans (may be
 * NULL with capacity 0); 0 when there is no match. To find all matches, go on at the end of the last one, one character further when that was
 * empty. Errors: COVEY_ELIMIT (a limit was reached: it is not known whether there is a match), COVEY_EINVAL (from > size), COVEY_ENOMEM. */
int cvy_regex_match(const cvy_regex *regex, const char *text, size_t size, size_t from, cvy_span *ret_spans,
                    size_t capacity);

/* regex: moved, NULL does nothing. */
void cvy_regex_free(cvy_regex *regex);

#endif
