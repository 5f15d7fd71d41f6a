#include "win32/detail/windows.h"

#include "os/handle.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/text.h"

#include <bcrypt.h>
#include <wchar.h>

enum { PIPE_SIZE = 65536 };

void cvos_handle_close(cvos_handle handle)
{
  DWORD saved = GetLastError();
  if (handle != CVOS_NONE && handle) (void)CloseHandle(handle);
  SetLastError(saved);
}

int cvos_handle_duplicate(cvos_handle handle, cvos_handle *ret)
{
  return cvos_handle_share(handle, 0, ret);
}

int cvos_handle_share(cvos_handle handle, uint32_t rights, cvos_handle *ret)
{
  HANDLE self = GetCurrentProcess(), copy;
  if (!CVOS_CALL(
          DUPLICATE,
          DuplicateHandle(self, handle, self, &copy, rights, FALSE, rights ? 0 : DUPLICATE_SAME_ACCESS),
          FALSE))
    return cvos_translate((int)GetLastError());
  *ret = copy;
  return 0;
}

int cvos_handle_pull(int64_t pid, uint64_t value, cvos_handle *ret)
{
  HANDLE copy, owner;
  if (value == 0 || value > INT32_MAX) { /* no pseudo-handle: it would be one of ours */
    SetLastError(ERROR_INVALID_HANDLE);
    return COVEY_EINVAL;
  }
  owner = CVOS_CALL(PIDFD, OpenProcess(PROCESS_DUP_HANDLE, FALSE, (DWORD)pid), NULL);
  if (!owner) return cvos_translate((int)GetLastError());
  BOOL done = CVOS_CALL(DUPLICATE,
                        DuplicateHandle(owner, (HANDLE)(intptr_t)value, GetCurrentProcess(), &copy, 0, FALSE,
                                        DUPLICATE_SAME_ACCESS),
                        FALSE);
  int r = done ? 0 : cvos_translate((int)GetLastError());
  cvos_handle_close(owner);
  if (done) *ret = copy;
  return r;
}

int64_t cvos_handle_count(void)
{
  DWORD count;
  return GetProcessHandleCount(GetCurrentProcess(), &count) ? (int64_t)count : -1;
}

bool cvos_handle_is_terminal(cvos_handle handle)
{
  DWORD mode, saved = GetLastError();
  bool is = GetConsoleMode(handle, &mode) != 0;
  SetLastError(saved);
  return is;
}

cvos_handle cvos_handle_standard(int stream)
{
  static const DWORD numbers[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
  DWORD flags;
  HANDLE handle = stream >= 0 && stream <= 2 ? GetStdHandle(numbers[stream]) : NULL;
  if (!handle || handle == INVALID_HANDLE_VALUE || !GetHandleInformation(handle, &flags)) return CVOS_NONE;
  return handle;
}

void cvos_standard_fill(void) {}

void cvos_standard_free(void) {}

bool cvos_standard_is_spared(void)
{
  return true;
}

/* A name that nobody can guess. The pipe has one instance, which we connect to ourselves: somebody who was quicker is noticed by that. */
static int pipe_pair(int direction, HANDLE *ret_ours, HANDLE *ret_theirs)
{
  unsigned char random[16];
  WCHAR name[80];
  if (CVOS_CALL(RANDOM, BCryptGenRandom(NULL, random, sizeof random, BCRYPT_USE_SYSTEM_PREFERRED_RNG), -1) <
      0) {
    SetLastError(ERROR_NO_SYSTEM_RESOURCES);
    return COVEY_EOS;
  }
  int n =
      swprintf(name, sizeof name / sizeof name[0], L"\\\\.\\pipe\\covey-child-%lu-", GetCurrentProcessId());
  for (size_t i = 0; i < sizeof random; i++, n += 2)
    (void)swprintf(name + n, sizeof name / sizeof name[0] - (size_t)n, L"%02x", random[i]);
  bool from_child = direction == CVOS_FROM_CHILD;
  HANDLE ours = CVOS_CALL(PIPE,
                          CreateNamedPipeW(name,
                                           (from_child ? PIPE_ACCESS_INBOUND : PIPE_ACCESS_OUTBOUND) |
                                               FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                           PIPE_TYPE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1,
                                           PIPE_SIZE, PIPE_SIZE, 0, NULL),
                          INVALID_HANDLE_VALUE);
  if (ours == INVALID_HANDLE_VALUE) return cvos_translate((int)GetLastError());
  DWORD access = from_child ? GENERIC_WRITE | FILE_READ_ATTRIBUTES : GENERIC_READ | FILE_WRITE_ATTRIBUTES;
  HANDLE theirs =
      CVOS_CALL(OPEN, CreateFileW(name, access, 0, NULL, OPEN_EXISTING, 0, NULL), INVALID_HANDLE_VALUE);
  if (theirs == INVALID_HANDLE_VALUE) {
    int r = cvos_translate((int)GetLastError());
    cvos_handle_close(ours);
    return r;
  }
  *ret_ours = ours;
  *ret_theirs = theirs;
  return 0;
}

int cvos_pipe_for_child(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs)
{
  int r = pipe_pair(direction, ret_ours, ret_theirs);
  return r == COVEY_EAGAIN ? pipe_pair(direction, ret_ours, ret_theirs) : r;
}

int cvos_socket_for_child(int direction, cvos_handle *ret_ours, cvos_handle *ret_theirs)
{
  (void)direction;
  (void)ret_ours;
  (void)ret_theirs;
  SetLastError(ERROR_NOT_SUPPORTED);
  return COVEY_ENOTSUP;
}

int cvos_pipe_between(cvos_handle *ret_read, cvos_handle *ret_write)
{
  if (!CVOS_CALL(PIPE, CreatePipe(ret_read, ret_write, NULL, PIPE_SIZE), FALSE))
    return cvos_translate((int)GetLastError());
  return 0;
}

static int open_wide(const WCHAR *name, DWORD access, DWORD disposition, bool empty, cvos_handle *ret)
{
  HANDLE file = CVOS_CALL(OPEN,
                          CreateFileW(name, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                      NULL, disposition, FILE_ATTRIBUTE_NORMAL, NULL),
                          INVALID_HANDLE_VALUE);
  if (file == INVALID_HANDLE_VALUE) return cvos_translate((int)GetLastError());
  /* a device (NUL, CON) or a pipe has no end to set, and refuses it */
  if (empty && GetFileType(file) == FILE_TYPE_DISK && !CVOS_CALL(OPTION, SetEndOfFile(file), FALSE)) {
    int r = cvos_translate((int)GetLastError());
    cvos_handle_close(file);
    return r;
  }
  *ret = file;
  return 0;
}

int cvos_file_open(const char *path, int how, cvos_handle *ret)
{
  WCHAR *name;
  int r = cvos_text_path(path, &name);
  if (r < 0) return r;
  switch (how) {
  case CVOS_FILE_READ: r = open_wide(name, GENERIC_READ, OPEN_EXISTING, false, ret); break;
  case CVOS_FILE_TRUNCATE: r = open_wide(name, GENERIC_WRITE, OPEN_ALWAYS, true, ret); break;
  case CVOS_FILE_APPEND:
    r = open_wide(name, FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE, OPEN_ALWAYS, false, ret);
    break;
  case CVOS_FILE_EXCLUSIVE: r = open_wide(name, GENERIC_WRITE, CREATE_NEW, false, ret); break;
  default: SetLastError(ERROR_INVALID_PARAMETER); r = COVEY_EINVAL;
  }
  DWORD saved = GetLastError();
  cvy_free(name);
  SetLastError(saved);
  return r;
}

int cvos_null_open(cvos_handle *ret)
{
  return open_wide(L"NUL", GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING, false, ret);
}

int cvos_null_kept(cvos_handle *ret)
{
  static PVOID volatile kept; /* NULL: none yet */
  PVOID found = InterlockedCompareExchangePointer(&kept, NULL, NULL);
  if (!found) {
    cvos_handle fresh = CVOS_NONE;
    int r = cvos_null_open(&fresh);
    if (r < 0) return r;
    found = InterlockedCompareExchangePointer(&kept, fresh, NULL);
    if (found)
      cvos_handle_close(fresh); /* another thread was quicker */
    else
      found = fresh;
  }
  *ret = found;
  return 0;
}
