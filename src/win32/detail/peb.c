#include "win32/detail/peb.h"

#include "core/mem.h"
#include "os/fault.h"

#include <string.h>
#include <winternl.h>

enum { INFO_BASIC = 0, INFO_WOW64 = 26, INFO_COMMAND_LINE = 60, MOST_UNITS = 32768 };

/* Where things lie in PEB and RTL_USER_PROCESS_PARAMETERS: the same in every Windows since XP, for 64 and for 32 bits. A counted text is
 * two 16-bit sizes in bytes and, aligned, its address. */
typedef struct layout {
  size_t word; /* bytes of an address */
  size_t parameters, cwd, command;
} layout;
static const layout wide = {8, 0x20, 0x38, 0x70}, narrow = {4, 0x10, 0x24, 0x40};

/* Copies out of its memory. 0 or GetLastError. */
static DWORD copy(HANDLE process, uint64_t from, void *to, size_t size)
{
  SIZE_T got = 0;
  if (!from || from > UINTPTR_MAX) return ERROR_NOT_SUPPORTED;
  if (CVOS_CALL(READ, ReadProcessMemory(process, (const void *)(uintptr_t)from, to, size, &got), FALSE) &&
      got == size)
    return 0;
  DWORD error = GetLastError(), code;
  /* memory that is not there any more is that of a process that ends; else it was turned round while we read */
  if (error == ERROR_ACCESS_DENIED || error == ERROR_NOT_ENOUGH_MEMORY) return error;
  if (GetExitCodeProcess(process, &code) && code != STILL_ACTIVE) return ERROR_NOT_FOUND;
  return error == ERROR_PARTIAL_COPY || error == ERROR_NOACCESS || !error ? ERROR_NOT_SUPPORTED : error;
}

static DWORD copy_address(HANDLE process, uint64_t from, const layout *l, uint64_t *ret)
{
  uint64_t value = 0; /* little-endian: the low bytes come first */
  DWORD error = copy(process, from, &value, l->word);
  *ret = value;
  return error;
}

/* The address of its PEB, and how it is laid out: a 32-bit process on a 64-bit system has one of each, and keeps up the narrow one. */
static DWORD find_peb(HANDLE process, uint64_t *ret, const layout **ret_layout)
{
  ULONG_PTR basic[6] = {0}, other = 0; /* PROCESS_BASIC_INFORMATION: the second is the PEB's address */
  ULONG size;
  bool ours_wide = sizeof(void *) == 8;
  BOOL theirs_narrow = FALSE, ours_narrow = FALSE;
  if (ours_wide &&
      NtQueryInformationProcess(process, (PROCESSINFOCLASS)INFO_WOW64, &other, sizeof other, &size) >= 0 &&
      other) {
    *ret = other;
    *ret_layout = &narrow;
    return 0;
  }
  if (!ours_wide && IsWow64Process(GetCurrentProcess(), &ours_narrow) && ours_narrow &&
      IsWow64Process(process, &theirs_narrow) && !theirs_narrow)
    return ERROR_NOT_SUPPORTED;
  NTSTATUS status =
      NtQueryInformationProcess(process, (PROCESSINFOCLASS)INFO_BASIC, basic, sizeof basic, &size);
  if (status < 0) return RtlNtStatusToDosError(status);
  *ret = basic[1];
  *ret_layout = ours_wide ? &wide : &narrow;
  return basic[1] ? 0 : ERROR_NOT_SUPPORTED;
}

static DWORD from_memory(HANDLE process, int what, WCHAR **ret, size_t *ret_count)
{
  const layout *l = NULL;
  uint64_t peb = 0, parameters = 0, text = 0;
  uint16_t bytes = 0;
  DWORD error = find_peb(process, &peb, &l);
  if (!error) error = copy_address(process, peb + l->parameters, l, &parameters);
  uint64_t at = error ? 0 : parameters + (what == CVOS_PEB_CWD ? l->cwd : l->command);
  if (!error && !parameters) error = ERROR_NOT_SUPPORTED;
  if (!error) error = copy(process, at, &bytes, sizeof bytes);
  if (!error) error = copy_address(process, at + l->word, l, &text);
  if (!error && bytes < sizeof(WCHAR)) error = ERROR_NOT_SUPPORTED;
  if (error) return error;
  WCHAR *units = cvy_alloc(bytes);
  if (!units) return ERROR_NOT_ENOUGH_MEMORY;
  error = copy(process, text, units, bytes / sizeof(WCHAR) * sizeof(WCHAR));
  if (error) {
    cvy_free(units);
    return error;
  }
  *ret = units;
  *ret_count = bytes / sizeof(WCHAR);
  return 0;
}

/* The kernel's own answer: a counted text with its units behind it. */
static DWORD from_kernel(HANDLE process, WCHAR **ret, size_t *ret_count)
{
  ULONG size = sizeof(UNICODE_STRING) + MOST_UNITS * sizeof(WCHAR);
  UNICODE_STRING *text = cvy_alloc(size);
  if (!text) return ERROR_NOT_ENOUGH_MEMORY;
  NTSTATUS status = CVOS_CALL(
      READ, NtQueryInformationProcess(process, (PROCESSINFOCLASS)INFO_COMMAND_LINE, text, size, &size),
      (NTSTATUS)0xC0000022);
  DWORD error = status < 0 ? RtlNtStatusToDosError(status) : 0;
  if (!error && (text->Length < sizeof(WCHAR) || !text->Buffer)) error = ERROR_NOT_SUPPORTED;
  if (!error) {
    *ret_count = text->Length / sizeof(WCHAR);
    memmove(text, text->Buffer, *ret_count * sizeof(WCHAR));
    *ret = (WCHAR *)text;
    return 0;
  }
  cvy_free(text);
  return error;
}

DWORD cvos_peb_text(HANDLE process, int what, WCHAR **ret, size_t *ret_count)
{
  if (what == CVOS_PEB_COMMAND && from_kernel(process, ret, ret_count) == 0) return 0;
  return from_memory(process, what, ret, ret_count);
}
