/* core/mem.h: allocation. One place, so that a test build can make any allocation fail (see os/fault.h for the seam's twin).
 * All sizes are checked for overflow; every function returns NULL when out of memory and records nothing. */
#ifndef COVEY_CORE_MEM_H
#define COVEY_CORE_MEM_H

#include "os/types.h"

void *cvy_alloc(size_t size);                    /* uninitialised; size 0 gives a valid pointer */
void *cvy_alloc_zero(size_t count, size_t size); /* zeroed; NULL on overflow */
void *cvy_realloc(void *p, size_t size);         /* p stays valid when NULL is returned */
void *cvy_realloc_array(void *p, size_t count, size_t size);
char *cvy_strdup(const char *text);                   /* text may be NULL: returns NULL */
char *cvy_memdup_text(const void *data, size_t size); /* copy with a NUL behind it */
void cvy_free(void *p);

/* Whether count words are all zero: the reserved ones at the end of a public struct must be. */
bool cvy_is_zero(const uint64_t *words, size_t count);

/* Test builds (COVEY_FAULTS): the n-th allocation of this thread from now on fails, once; 0 switches it off. */
void cvy_mem_fail_after(int64_t n);

#endif
