/* core/fold.h: names that are equal without case, as Windows compares them: unit by unit, by one upper case per unit, no locale.
 *
 * The table is made from the simple upper-case mappings of Unicode's UnicodeData.txt: those that lead back (so that no other letter
 * turns into an ASCII one: U+0131, U+017F, U+212A stay) and that Unicode 5.1 knew. Letters that are younger keep their case here and
 * may lose it on a new Windows: two spellings of one variable would then both be passed, and none is lost. */
#ifndef COVEY_CORE_FOLD_H
#define COVEY_CORE_FOLD_H

#include "os/types.h"

/* The upper case of one unit of UTF-16; a surrogate is its own. */
uint16_t cvy_upper(uint16_t unit);

/* Compares by upper-cased units, the shorter one first where one begins the other: less than 0, 0, greater than 0. */
int cvy_compare_upper(const uint16_t *a, size_t a_count, const uint16_t *b, size_t b_count);

#endif
