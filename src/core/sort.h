/* core/sort.h: a stable sort. qsort is neither stable nor, on some systems, better than quadratic on bad input. */
#ifndef COVEY_CORE_SORT_H
#define COVEY_CORE_SORT_H

#include "os/types.h"

/* Less than, equal to or greater than 0, as memcmp. */
typedef int cvy_compare(const void *a, const void *b);

/* Sorts count pointers by what they point to; equal ones keep their order. n log n comparisons at most. Returns false, with nothing
 * changed, when there is no memory for the second array that it works with. */
bool cvy_sort(void **items, size_t count, cvy_compare *compare);

#endif
