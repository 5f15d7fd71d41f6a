/* win32/detail/text.h: text of the seam (WTF-8) and of Windows (UTF-16). All results are owned, cvy_free. */
#ifndef COVEY_WIN32_DETAIL_TEXT_H
#define COVEY_WIN32_DETAIL_TEXT_H

#include "os/types.h"
#include "win32/detail/windows.h"

/* WTF-8 to UTF-16. Errors: COVEY_EENCODING, COVEY_ENOMEM, with GetLastError set. ret_count (units) may be NULL. */
int cvos_text_wide(const char *text, WCHAR **ret, size_t *ret_count);

/* The same for a path that a file call takes: one that is too long for the plain form becomes absolute and gets its \\?\ prefix. */
int cvos_text_path(const char *path, WCHAR **ret);

/* UTF-16 to WTF-8. Errors: COVEY_ENOMEM. */
int cvos_text_narrow(const WCHAR *units, size_t count, char **ret);

/* Calls get until its text fits and narrows it. get(buffer, capacity) returns units written, or what it needs (with the NUL), or 0 when it
 * fails: that is the convention of GetCurrentDirectoryW and its like. */
int cvos_text_get(DWORD (*get)(WCHAR *buffer, DWORD capacity, const WCHAR *arg), const WCHAR *arg,
                  char **ret);

#endif
