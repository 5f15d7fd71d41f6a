/* win32/detail/user.h: the user that this process runs as, in names and in access rights. */
#ifndef COVEY_WIN32_USER_H
#define COVEY_WIN32_USER_H

#include "os/types.h"
#include "win32/detail/windows.h"

/* The SID of the process's user as text (S-1-5-...), at most 95 characters. 0 or a negative code, the
 * system's number in GetLastError(). */
int cvos_user_sid(wchar_t ret[96]);

/* A security descriptor that lets this user in and nobody else, owned by it. ret: LocalFree. */
int cvos_user_security(void **ret);

/* A number that keeps the names of this user apart from another's; salt (may be NULL) goes into it. */
int cvos_user_hash(const char *salt, uint64_t *ret);

#endif
