/* win32/detail/attributes.h: what covey_launch asks for, on Windows. */
#ifndef COVEY_WIN32_DETAIL_ATTRIBUTES_H
#define COVEY_WIN32_DETAIL_ATTRIBUTES_H

#include "os/process.h"
#include "win32/detail/windows.h"

/* The first field that Windows has nothing for; NULL: none. launch may be NULL in all of these. */
const char *cvos_attributes_unknown(const covey_launch *launch);

/* The bits for CreateProcess: suspended, when there is more to give. */
DWORD cvos_attributes_flags(const covey_launch *launch);

/* Adds the limits of the tree to those of job and sets all of them. Each is asked for again: what the system took and does not keep (wine) is
 * ERROR_NOT_SUPPORTED. 0, or a GetLastError number, and *ret_field is what it was about, NULL the job itself. */
DWORD cvos_attributes_job(const covey_launch *launch, HANDLE job,
                          JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits, const char **ret_field);

/* Priority and processors of a process that does not run yet. 0, or a GetLastError number and *ret_field. */
DWORD cvos_attributes_give(const covey_launch *launch, HANDLE process, const char **ret_field);

/* The COVEY_CAP_LIMIT_ bits. */
uint32_t cvos_attributes_caps(void);

#endif
