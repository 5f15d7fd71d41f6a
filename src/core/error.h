/* core/error.h: recording what failed.
 *
 *   return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "argv is NULL");
 *   return cvy_fail_os(COVEY_STAGE_CWD, system, "%s", cwd);         code = cvos_translate(system)
 *   return cvy_fail_at(COVEY_EENCODING, COVEY_STAGE_ARGUMENTS, index, offset, "argument");
 *
 * Each returns the code, so that a failure is one statement. A record made elsewhere (by the loop, by a child) is carried into
 * the calling thread by cvy_fail_copy. */
#ifndef COVEY_CORE_ERROR_H
#define COVEY_CORE_ERROR_H

#include <covey/error.h>
#include "os/types.h"

/* Records a failure of this thread; format and what follows become covey_failure.what, cut to fit. Returns code. */
int cvy_fail(int code, int stage, const char *format, ...) CVOS_PRINTF(3, 4);

/* The same for a failure of the system: system is errno or GetLastError(). Returns the translated code. */
int cvy_fail_os(int stage, int system, const char *format, ...) CVOS_PRINTF(3, 4);

/* The same with the index of the item and the byte offset of the character; -1 where it makes no sense. Returns code. */
int cvy_fail_at(int code, int stage, int64_t index, int64_t offset, const char *format, ...)
    CVOS_PRINTF(5, 6);

/* Notes in this thread's last failure how far the message came (COVEY_FAR_...). Returns code for chaining. */
int cvy_fail_far(int code, int reached);

/* Makes failure (borrowed) this thread's last failure. Returns its code. */
int cvy_fail_copy(const covey_failure *failure);

/* Writes a failure into *ret without touching the thread's own: for results of asynchronous work. */
void cvy_failure_set(covey_failure *ret, int code, int stage, int system, const char *format, ...)
    CVOS_PRINTF(5, 6);

#endif
