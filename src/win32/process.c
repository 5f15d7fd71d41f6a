#include "win32/detail/windows.h"

#include "os/process.h"
#include "core/mem.h"
#include "core/utf.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/signal.h"
#include "win32/detail/attempt.h"
#include "win32/detail/text.h"

#include <psapi.h>
#include <sddl.h>
#include <string.h>
#include <wchar.h>
#include <winternl.h>

static uint64_t stamp_of(HANDLE process)
{
  FILETIME made, ended, kernel, user;
  if (!CVOS_CALL(IDENTITY, GetProcessTimes(process, &made, &ended, &kernel, &user), FALSE)) return 0;
  return (uint64_t)made.dwHighDateTime << 32 | made.dwLowDateTime;
}

int cvos_spawn(const cvos_spawn_request *request, cvos_process *ret_process, cvos_tree **ret_tree,
               covey_failure *ret_failure)
{
  PROCESS_INFORMATION made;
  int r = cvos_attempt(request, &made, ret_tree, ret_failure);
  if (r < 0) return r;
  (void)CloseHandle(made.hThread);
  *ret_process = (cvos_process){.pid = made.dwProcessId,
                                .start = stamp_of(made.hProcess),
                                .handle = made.hProcess,
                                .child = true,
                                .leads = cvos_attempt_leads(request)};
  return 0;
}

int cvos_process_force_path(int path)
{
  return path == CVOS_PATH_BEST ? 0 : COVEY_ENOTSUP;
}

/* ---- the end ---- */

int64_t cvos_process_peak(const cvos_process *process)
{
  PROCESS_MEMORY_COUNTERS memory = {.cb = sizeof memory};
  if (process->handle == CVOS_NONE || !K32GetProcessMemoryInfo(process->handle, &memory, sizeof memory))
    return -1;
  return memory.PeakWorkingSetSize ? (int64_t)memory.PeakWorkingSetSize : -1;
}

int cvos_process_wait(const cvos_process *process, int64_t timeout)
{
  enum { SLICE = 1 << 30 };
  if (process->handle == CVOS_NONE) return 0;
  for (;;) {
    DWORD slice = timeout < 0 ? INFINITE : timeout > SLICE ? SLICE : (DWORD)timeout;
    DWORD r = CVOS_CALL(WAIT, WaitForSingleObject(process->handle, slice), WAIT_FAILED);
    if (r == WAIT_OBJECT_0) return 0;
    if (r != WAIT_TIMEOUT) return cvos_translate((int)GetLastError());
    if (timeout <= SLICE) return COVEY_ETIMEDOUT;
    timeout -= SLICE;
  }
}

static int64_t microseconds(const FILETIME *t)
{
  return (int64_t)(((uint64_t)t->dwHighDateTime << 32 | t->dwLowDateTime) / 10);
}

int cvos_process_note(cvos_process *process, cvos_status *ret)
{
  if (process->handle == CVOS_NONE) {
    *ret = (cvos_status){.how = CVOS_END_LOST, .user_us = -1, .system_us = -1, .peak_bytes = -1};
    process->ended = true;
    return 0;
  }
  DWORD r = CVOS_CALL(WAIT, WaitForSingleObject(process->handle, 0), WAIT_FAILED), code;
  FILETIME made, ended, kernel, user;
  PROCESS_MEMORY_COUNTERS memory = {.cb = sizeof memory};
  if (r == WAIT_TIMEOUT) return COVEY_EAGAIN;
  process->ended = true;
  *ret = (cvos_status){.how = CVOS_END_LOST, .user_us = -1, .system_us = -1, .peak_bytes = -1};
  if (r == WAIT_OBJECT_0 && GetExitCodeProcess(process->handle, &code)) {
    ret->how = CVOS_END_EXITED;
    ret->code = code;
  }
  if (GetProcessTimes(process->handle, &made, &ended, &kernel, &user)) {
    ret->user_us = microseconds(&user);
    ret->system_us = microseconds(&kernel);
  }
  if (K32GetProcessMemoryInfo(process->handle, &memory, sizeof memory) && memory.PeakWorkingSetSize)
    ret->peak_bytes = (int64_t)memory.PeakWorkingSetSize;
  return 0;
}

bool cvos_process_stopped(const cvos_process *process)
{
  (void)process;
  return false;
}

int cvos_process_reap(cvos_process *process, cvos_tree *tree, cvos_status *ret)
{
  cvos_status status;
  (void)tree;
  int r = cvos_process_note(process, &status);
  if (r < 0) return r;
  process->reaped = true;
  if (ret) *ret = status;
  return 0;
}

void cvos_process_close(cvos_process *process)
{
  if (!process || process->handle == CVOS_NONE) return;
  DWORD saved = GetLastError();
  (void)CloseHandle(process->handle);
  process->handle = CVOS_NONE;
  SetLastError(saved);
}

/* ---- identity ---- */

/* The user behind a process, and whether its token is elevated. What the system does not tell stays empty. */
static void fill_user(HANDLE process, covey_identity *ret)
{
  union {
    TOKEN_USER user;
    char bytes[256];
  } theirs, ours;
  TOKEN_ELEVATION elevation;
  DWORD size;
  HANDLE token;
  if (!CVOS_CALL(TOKEN, OpenProcessToken(process, TOKEN_QUERY, &token), FALSE)) return;
  bool known = GetTokenInformation(token, TokenUser, &theirs, sizeof theirs, &size) != 0;
  if (GetTokenInformation(token, TokenElevation, &elevation, sizeof elevation, &size) &&
      elevation.TokenIsElevated)
    ret->flags |= COVEY_ID_ELEVATED;
  (void)CloseHandle(token);
  WCHAR *text;
  if (known && ConvertSidToStringSidW(theirs.user.User.Sid, &text)) {
    for (size_t i = 0; text[i] && i + 1 < sizeof ret->sid; i++) ret->sid[i] = (char)text[i];
    (void)LocalFree(text);
  }
  if (!known || !OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) return;
  if (GetTokenInformation(token, TokenUser, &ours, sizeof ours, &size) &&
      EqualSid(theirs.user.User.Sid, ours.user.User.Sid))
    ret->flags |= COVEY_ID_SAME_USER;
  (void)CloseHandle(token);
}

static int64_t parent_of(HANDLE process)
{
  /* PROCESS_BASIC_INFORMATION, whose last word is the parent's id */
  ULONG_PTR basic[6] = {0};
  ULONG size;
  NTSTATUS status = NtQueryInformationProcess(process, ProcessBasicInformation, basic, sizeof basic, &size);
  return status >= 0 ? (int64_t)basic[5] : 0;
}

/* A handle on pid that has not ended. 0 or a COVEY_E code with GetLastError. */
static int open_running(int64_t pid, DWORD access, HANDLE *ret)
{
  HANDLE process = NULL;
  DWORD error = ERROR_INVALID_PARAMETER;
  if (pid > 0 && pid <= UINT32_MAX) {
    process = CVOS_CALL(PIDFD, OpenProcess(access, FALSE, (DWORD)pid), NULL);
    error = process ? 0 : GetLastError();
  }
  /* Windows takes any number near a pid for it */
  if (process && (GetProcessId(process) != (DWORD)pid || WaitForSingleObject(process, 0) == WAIT_OBJECT_0)) {
    (void)CloseHandle(process);
    error = ERROR_INVALID_PARAMETER;
  }
  if (!error) {
    *ret = process;
    return 0;
  }
  SetLastError(error);
  return error == ERROR_INVALID_PARAMETER ? COVEY_ENOTFOUND : cvos_translate((int)error);
}

int cvos_identity(int64_t pid, covey_identity *ret, int64_t *ret_parent)
{
  HANDLE process = GetCurrentProcess();
  if (pid != 0) {
    int r = open_running(pid, SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, &process);
    if (r < 0) return r;
  }
  *ret = (covey_identity){
      .pid = pid ? pid : (int64_t)GetCurrentProcessId(), .start = stamp_of(process), .uid = -1, .gid = -1};
  fill_user(process, ret);
  if (ret_parent) *ret_parent = parent_of(process);
  if (pid != 0) (void)CloseHandle(process);
  return 0;
}

int64_t cvos_start_time(uint64_t start)
{
  /* from 1601 in 100 ns to 1970 in ms */
  return start ? (int64_t)(start / 10000) - INT64_C(11644473600000) : -1;
}

int cvos_process_open(int64_t pid, uint64_t start, cvos_process *ret)
{
  HANDLE process;
  DWORD look = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
  int r = open_running(pid, look | PROCESS_TERMINATE | PROCESS_SUSPEND_RESUME, &process);
  if (r == COVEY_EACCES) r = open_running(pid, look, &process);
  if (r < 0) return r;
  uint64_t now = stamp_of(process);
  if (start && now != start) {
    (void)CloseHandle(process);
    SetLastError(ERROR_NOT_FOUND);
    return COVEY_EPEERCHANGED;
  }
  *ret = (cvos_process){.pid = pid, .start = now, .handle = process};
  return 0;
}

/* ---- this process ---- */

int64_t cvos_self_pid(void)
{
  return (int64_t)GetCurrentProcessId();
}

int64_t cvos_self_parent(void)
{
  int64_t pid = parent_of(GetCurrentProcess());
  HANDLE parent;
  if (!pid || open_running(pid, SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, &parent) < 0) return 0;
  bool younger = stamp_of(parent) > stamp_of(GetCurrentProcess()); /* the number is another's by now */
  (void)CloseHandle(parent);
  return younger ? 0 : pid;
}

int cvos_environment(char ***ret, size_t *ret_count)
{
  WCHAR *block = GetEnvironmentStringsW();
  size_t count = 0, size = 0, i = 0;
  if (!block) {
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return COVEY_ENOMEM;
  }
  for (const WCHAR *at = block; *at; at += wcslen(at) + 1, count++)
    size += cvy_utf8_length((const uint16_t *)at, wcslen(at)) + 1;
  char **list = cvy_alloc((count + 1) * sizeof *list + size);
  if (list) {
    char *text = (char *)(list + count + 1);
    for (const WCHAR *at = block; *at; at += wcslen(at) + 1) {
      list[i++] = text;
      text += cvy_utf16_to_8((const uint16_t *)at, wcslen(at), text);
      *text++ = '\0';
    }
    list[count] = NULL;
    *ret = list;
    if (ret_count) *ret_count = count;
  }
  (void)FreeEnvironmentStringsW(block);
  if (!list) SetLastError(ERROR_NOT_ENOUGH_MEMORY);
  return list ? 0 : COVEY_ENOMEM;
}

int cvos_command_line(char **ret)
{
  const WCHAR *line = GetCommandLineW();
  return cvos_text_narrow(line, wcslen(line), ret);
}

bool cvos_console_present(void)
{
  DWORD pid;
  return GetConsoleProcessList(&pid, 1) > 0;
}
