#include "os/lock.h"
#include "core/mem.h"
#include "core/utf.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/windows.h"

#include <string.h>

/* The byte that is locked, behind any byte of a file: a lock on bytes that exist would stop others from reading them. */
#define FAR_AWAY 0x7fffffffu

/* How often a file may be replaced under our hands before we say that somebody has it. */
#define ATTEMPTS 100

static int failed(int code)
{
  SetLastError(0);
  return code;
}

static int failed_here(void)
{
  return cvos_translate((int)GetLastError());
}

static int widen(const char *path, wchar_t **ret)
{
  uint16_t *units;
  int r = cvy_utf8_dup16(path, strlen(path), &units, NULL);
  if (r < 0) return failed(r);
  *ret = (wchar_t *)units;
  return 0;
}

static HANDLE open_any(const wchar_t *path, DWORD rights, DWORD how)
{
  return CreateFileW(path, rights, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, how,
                     FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
}

static bool same_file(const wchar_t *path, const BY_HANDLE_FILE_INFORMATION *opened)
{
  BY_HANDLE_FILE_INFORMATION named;
  HANDLE file = open_any(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING);
  if (file == INVALID_HANDLE_VALUE) return false;
  bool same = GetFileInformationByHandle(file, &named) &&
              named.dwVolumeSerialNumber == opened->dwVolumeSerialNumber &&
              named.nFileIndexHigh == opened->nFileIndexHigh && named.nFileIndexLow == opened->nFileIndexLow;
  CloseHandle(file);
  return same;
}

/* One attempt. 1: the file was replaced meanwhile. */
static int try_once(const wchar_t *path, unsigned flags, HANDLE *ret)
{
  BY_HANDLE_FILE_INFORMATION info;
  OVERLAPPED at = {.Offset = FAR_AWAY, .OffsetHigh = FAR_AWAY};
  bool shared = (flags & CVOS_LOCK_SHARED) != 0;
  DWORD rights = GENERIC_READ | (shared ? 0 : GENERIC_WRITE);
  DWORD how = LOCKFILE_FAIL_IMMEDIATELY | (shared ? 0 : LOCKFILE_EXCLUSIVE_LOCK);
  int r;
  DWORD is = GetFileAttributesW(path);
  if (is != INVALID_FILE_ATTRIBUTES && (is & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)))
    return failed(COVEY_EUNSAFE);
  HANDLE file =
      CVOS_CALL(OPEN, open_any(path, rights, flags & CVOS_LOCK_EXISTING ? OPEN_EXISTING : OPEN_ALWAYS),
                INVALID_HANDLE_VALUE);
  if (file == INVALID_HANDLE_VALUE) return failed_here();
  if (!CVOS_CALL(STAT, GetFileInformationByHandle(file, &info), FALSE)) goto failed;
  if (info.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) {
    CloseHandle(file);
    return failed(COVEY_EUNSAFE);
  }
  if (!CVOS_CALL(LOCK, LockFileEx(file, how, 0, 1, 0, &at), FALSE)) goto failed;
  if (!same_file(path, &info)) {
    CloseHandle(file);
    return 1;
  }
  *ret = file;
  return 0;
failed:
  r = failed_here();
  DWORD error = GetLastError();
  CloseHandle(file);
  SetLastError(error);
  return error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING ? COVEY_EAGAIN : r;
}

int cvos_lock_try(const char *path, unsigned flags, cvos_handle *ret)
{
  wchar_t *wide;
  int r = widen(path, &wide);
  if (r < 0) return r;
  r = 1;
  for (int i = 0; r == 1 && i < ATTEMPTS; i++) r = try_once(wide, flags, ret);
  DWORD error = GetLastError();
  cvy_free(wide);
  SetLastError(error);
  return r == 1 ? failed(COVEY_EAGAIN) : r;
}

void cvos_lock_release(cvos_handle lock, const char *remove)
{
  BY_HANDLE_FILE_INFORMATION info;
  wchar_t *wide;
  if (lock == CVOS_NONE) return;
  DWORD error = GetLastError();
  if (remove && widen(remove, &wide) == 0) {
    if (GetFileInformationByHandle(lock, &info) && same_file(wide, &info)) DeleteFileW(wide);
    cvy_free(wide);
  }
  CloseHandle(lock);
  SetLastError(error);
}
