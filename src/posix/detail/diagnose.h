/* posix/detail/diagnose.h: on the error path only: what exactly stood in the way of a start. */
#ifndef COVEY_POSIX_DETAIL_DIAGNOSE_H
#define COVEY_POSIX_DETAIL_DIAGNOSE_H

#include "os/process.h"
#include "posix/detail/posix.h"

/* Fills *ret: code, stage, system, index and what. error is an errno, stage where it came up (COVEY_STAGE_...), index the item or -1.
 * For EXEC the file is looked at again: missing (LOOKUP), missing interpreter (INTERPRETER), too long (ARGUMENTS), refused (EXEC). */
void cvos_diagnose(const cvos_spawn_request *request, int stage, int error, int64_t index,
                   covey_failure *ret);

/* Fills *ret with a failure without looking at anything; what may be NULL. Returns code. */
int cvos_failed(covey_failure *ret, int code, int stage, int system, int64_t index, const char *what);

#endif
