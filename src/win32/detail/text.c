#include "win32/detail/text.h"

#include "core/mem.h"
#include "core/utf.h"
#include "os/error.h"

#include <string.h>
#include <wchar.h>

static int failed(int code)
{
  SetLastError(code == COVEY_EENCODING ? ERROR_NO_UNICODE_TRANSLATION : ERROR_NOT_ENOUGH_MEMORY);
  return code;
}

int cvos_text_wide(const char *text, WCHAR **ret, size_t *ret_count)
{
  uint16_t *units;
  int r = cvy_utf8_dup16(text, strlen(text), &units, ret_count);
  if (r < 0) return failed(r);
  *ret = (WCHAR *)units;
  return 0;
}

int cvos_text_path(const char *path, WCHAR **ret)
{
  enum { PLAIN = 247 }; /* a folder's limit: MAX_PATH less room for a short name */
  WCHAR *plain, *full = NULL;
  size_t count;
  int r = cvos_text_wide(path, &plain, &count);
  if (r < 0) return r;
  if (count <= PLAIN || wcsncmp(plain, L"\\\\?\\", 4) == 0 || wcsncmp(plain, L"\\\\.\\", 4) == 0) {
    *ret = plain;
    return 0;
  }
  DWORD need = GetFullPathNameW(plain, 0, NULL, NULL);
  if (need) full = cvy_alloc((need + 8) * sizeof *full);
  if (need && !full) SetLastError(ERROR_NOT_ENOUGH_MEMORY);
  DWORD got = full ? GetFullPathNameW(plain, need, full + 8, NULL) : 0;
  if (!got || got >= need) {
    r = cvos_translate((int)GetLastError());
    cvy_free(full);
  } else if (full[8] == L'\\' && full[9] == L'\\') {
    memcpy(full, L"\\\\?\\UNC", 7 * sizeof *full);
    memmove(full + 7, full + 9, (got - 1) * sizeof *full);
    *ret = full;
  } else {
    memcpy(full, L"\\\\?\\", 4 * sizeof *full);
    memmove(full + 4, full + 8, (got + 1) * sizeof *full);
    *ret = full;
  }
  cvy_free(plain);
  return r;
}

int cvos_text_narrow(const WCHAR *units, size_t count, char **ret)
{
  int r = cvy_utf16_dup8((const uint16_t *)units, count, ret, NULL);
  return r < 0 ? failed(r) : 0;
}

int cvos_text_get(DWORD (*get)(WCHAR *buffer, DWORD capacity, const WCHAR *arg), const WCHAR *arg, char **ret)
{
  for (DWORD capacity = 512;;) {
    WCHAR *buffer = cvy_alloc(capacity * sizeof *buffer);
    if (!buffer) return failed(COVEY_ENOMEM);
    DWORD n = get(buffer, capacity, arg);
    if (n == 0) {
      cvy_free(buffer);
      return cvos_translate((int)GetLastError());
    }
    if (n < capacity) {
      int r = cvos_text_narrow(buffer, n, ret);
      cvy_free(buffer);
      return r;
    }
    cvy_free(buffer);
    capacity = n > capacity ? n + 1 : capacity * 2;
  }
}
