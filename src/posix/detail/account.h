/* posix/detail/account.h: what the kernel counts for a control group, by its open folder (Linux). */
#ifndef COVEY_POSIX_DETAIL_ACCOUNT_H
#define COVEY_POSIX_DETAIL_ACCOUNT_H

#include "posix/detail/posix.h"

/* Processor time in microseconds of all who ever were in it; -1 unknown. */
void cvos_account_times(int folder, int64_t *ret_user, int64_t *ret_system);

/* Bytes now and at most; -1 where there is no controller of memory. */
void cvos_account_memory(int folder, int64_t *ret_now, int64_t *ret_peak);

/* Suspends or resumes everybody in it, and waits until they stand still, a second at most. 0 or errno. */
int cvos_account_freeze(int folder, bool frozen);

#endif
