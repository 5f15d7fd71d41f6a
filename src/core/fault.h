/* core/fault.h: which call of the seam is to fail (os/fault.h): the order and the counting, for builds with COVEY_FAULTS. core/mem.h has the same for
 * allocations. */
#ifndef COVEY_CORE_FAULT_H
#define COVEY_CORE_FAULT_H

#include "os/fault.h"
#include "os/types.h"

/* The n-th call of this thread from now on fails once, with the error number system; point CVOS_FAULT_NONE counts every call, else only
 * those of that point. n = 0 switches it off. Starts the count of cvy_fault_seen again. */
void cvy_fault_after(int point, int64_t n, int system);

/* Calls (of that point) of this thread since cvy_fault_after. */
int64_t cvy_fault_seen(void);

/* Counts a call of this thread; true when it is to fail, with *ret_system. Async-signal-safe, and usable in a child that shares our memory.
 * Always false without COVEY_FAULTS. */
bool cvy_fault_due(int point, int *ret_system);

/* Whether the environment variable COVEY_LACKS names what: words with commas between them. Always false without COVEY_FAULTS. */
bool cvy_fault_lacks(const char *what);

/* From now on a connection takes and gives at most size bytes in one call, in every thread; 0: as many as it can. To be set while no
 * connection is open: what is cut anywhere must arrive all the same. */
void cvy_fault_limit(size_t size);

/* size, or that limit if it is less; always size without COVEY_FAULTS. */
size_t cvy_fault_limited(size_t size);

/* "PIPE" for CVOS_FAULT_PIPE; "?" else. Static. */
const char *cvy_fault_name(int point);

#endif
