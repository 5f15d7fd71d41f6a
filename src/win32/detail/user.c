#include "win32/detail/user.h"

#include "os/error.h"
#include "os/fault.h"

#include <sddl.h>
#include <string.h>

static int failed(void)
{
  return cvos_translate((int)GetLastError());
}

int cvos_user_sid(wchar_t ret[96])
{
  union {
    TOKEN_USER user;
    char space[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
  } data;
  HANDLE token;
  wchar_t *text;
  DWORD size;
  if (!CVOS_CALL(TOKEN, OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token), FALSE)) return failed();
  BOOL known = CVOS_CALL(TOKEN, GetTokenInformation(token, TokenUser, &data, sizeof data, &size), FALSE);
  DWORD error = GetLastError();
  CloseHandle(token);
  SetLastError(error);
  if (!known || !ConvertSidToStringSidW(data.user.User.Sid, &text)) return failed();
  size_t length = wcslen(text);
  if (length < 96) memcpy(ret, text, (length + 1) * sizeof *text);
  LocalFree(text);
  SetLastError(0);
  return length < 96 ? 0 : COVEY_EOS;
}

int cvos_user_security(void **ret)
{
  wchar_t sid[96], text[2 * 96 + 32] = L"O:";
  int r = cvos_user_sid(sid);
  if (r < 0) return r;
  wcscat(text, sid);
  wcscat(text, L"D:P(A;;GA;;;");
  wcscat(text, sid);
  wcscat(text, L")");
  if (!CVOS_CALL(SECURITY,
                 ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, ret, NULL),
                 FALSE))
    return failed();
  return 0;
}

/* FNV-1a: names are kept apart by it, nothing is proven by it. */
static uint64_t add(uint64_t hash, const void *data, size_t size)
{
  const uint8_t *p = data;
  for (size_t i = 0; i < size; i++) hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
  return hash;
}

int cvos_user_hash(const char *salt, uint64_t *ret)
{
  wchar_t sid[96];
  int r = cvos_user_sid(sid);
  if (r < 0) return r;
  uint64_t hash = add(UINT64_C(0xcbf29ce484222325), sid, (wcslen(sid) + 1) * sizeof *sid);
  if (salt) hash = add(hash, salt, strlen(salt) + 1);
  *ret = hash;
  return 0;
}
