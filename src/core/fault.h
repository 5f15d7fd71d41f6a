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

/* Steps of a message on its way and of a connection's life, at any of which a process may be killed. In builds with COVEY_FAULTS the hook is called at
 * each, by whatever thread is there, with or without locks; it may end the process, fire a cancel object or take its time, and nothing else. Elsewhere they cost nothing. */
/* clang-format off */
#define CVY_STEPS(X) \
  X(ADDED) X(PLANNED) X(WRITTEN) X(SETTLED) /* a message of ours: waits; cut into frames; written; accounted for */ \
  X(READ) X(BEGUN) X(WHOLE) X(QUEUED)       /* one of theirs: bytes are here; it has its room; all of it is here; in its group */ \
  X(HANDED) X(CREDITED)                     /* taken out; its room given back */ \
  X(DIALLED) X(HELLO) X(OPEN) X(BYE) X(BYE_GOT) X(ENDED) /* of a connection */ \
  X(WAITS) /* of a call that may be cancelled: it has found that it must wait, and its cancel object does not know of it */ \
  X(STARTED) /* a process runs; next is looked at whether it is still wanted (a start that nobody waits for), or its connection is read (a child's) */
/* clang-format on */

enum {
#define CVY_STEP_ENUM(step) CVY_STEP_##step,
  CVY_STEPS(CVY_STEP_ENUM)
#undef CVY_STEP_ENUM
      CVY_STEP_COUNT
};

#if defined(COVEY_FAULTS)
#define CVY_STEP(step) cvy_fault_step(CVY_STEP_##step)
void cvy_fault_step(int step);                  /* by CVY_STEP */
void cvy_fault_on_step(void (*hook)(int step)); /* NULL: none. To be set while nothing is going on */
#else
#define CVY_STEP(step) ((void)0)
#endif

/* "PIPE" for CVOS_FAULT_PIPE; "?" else. Static. */
const char *cvy_fault_name(int point);

#endif
