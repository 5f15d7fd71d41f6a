/* win32/detail/attempt.h: one start of a process: texts, job, inheritable handles for a moment, attributes, CreateProcessW, diagnosis. */
#ifndef COVEY_WIN32_DETAIL_ATTEMPT_H
#define COVEY_WIN32_DETAIL_ATTEMPT_H

#include "os/process.h"
#include "win32/detail/windows.h"

/* Whether what request asks for leads a console group of its own. */
bool cvos_attempt_leads(const cvos_spawn_request *request);

/* Starts what request asks for, as cvos_spawn says. *ret: both handles are the caller's. *ret_tree: owned, NULL for DETACHED. */
int cvos_attempt(const cvos_spawn_request *request, PROCESS_INFORMATION *ret, cvos_tree **ret_tree,
                 covey_failure *ret_failure);

#endif
