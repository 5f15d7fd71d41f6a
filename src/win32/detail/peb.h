/* win32/detail/peb.h: what another process's memory says of it. */
#ifndef COVEY_WIN32_DETAIL_PEB_H
#define COVEY_WIN32_DETAIL_PEB_H

#include "os/types.h"
#include "win32/detail/windows.h"

enum { CVOS_PEB_COMMAND, CVOS_PEB_CWD };

/* The command line (asked of the kernel where it tells, Windows 8.1, else out of the memory) or the working directory (out of the memory). process: with
 * PROCESS_QUERY_LIMITED_INFORMATION; for its memory also PROCESS_VM_READ. ret: count units, not terminated, owned (cvy_free). 0 or
 * GetLastError: ERROR_ACCESS_DENIED, ERROR_NOT_FOUND (it has ended), ERROR_NOT_SUPPORTED (it has none; or it is a 64-bit process, and we
 * are none). */
DWORD cvos_peb_text(HANDLE process, int what, WCHAR **ret, size_t *ret_count);

#endif
