#include "win32/detail/windows.h"

#include "os/signal.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/tree.h"

#include <winternl.h>

NTSTATUS NTAPI NtSuspendProcess(HANDLE process);
NTSTATUS NTAPI NtResumeProcess(HANDLE process);

int cvos_signal_to_system(int signal)
{
  (void)signal;
  return 0;
}

int cvos_signal_from_system(int system)
{
  return CVOS_SIGNAL_RAW + system;
}

typedef struct asked {
  const ULONG_PTR *pids;
  DWORD count;
  bool session; /* only those by which a program of covey hears requests */
  /* never asked: who opened our console is said to own its window, and when that one has gone any other program at it; its close would end us too */
  HWND console;
  int windows;
} asked;

static BOOL CALLBACK ask_window(HWND window, LPARAM arg)
{
  asked *a = (asked *)arg;
  DWORD pid = 0;
  wchar_t class[16];
  (void)GetWindowThreadProcessId(window, &pid);
  bool hears = GetClassNameW(window, class, 16) && wcscmp(class, CVOS_SESSION_CLASS) == 0;
  if (!hears &&
      (a->session || window == a->console || !IsWindowVisible(window) || GetWindow(window, GW_OWNER)))
    return TRUE;
  for (DWORD i = 0; i < a->count; i++) {
    if (a->pids[i] == pid && PostMessageW(window, WM_CLOSE, 0, 0)) a->windows++;
  }
  return TRUE;
}

/* EnumWindows has a list of its own: a search from window to window ends at one that goes meanwhile. */
static int close_windows(const ULONG_PTR *pids, DWORD count, bool session)
{
  asked a = {pids, count, session, GetConsoleWindow(), 0};
  (void)EnumWindows(ask_window, (LPARAM)&a);
  return a.windows;
}

int cvos_windows_close(const ULONG_PTR *pids, DWORD count)
{
  return close_windows(pids, count, false);
}

/* Whether pid has our console, of which there may be any number of others at it. */
static bool is_at_our_console(DWORD pid)
{
  DWORD few[64], *pids = few, capacity = sizeof few / sizeof few[0], count;
  bool found = false;
  while ((count = GetConsoleProcessList(pids, capacity)) > capacity) {
    if (pids != few) cvy_free(pids);
    capacity = count + 64;
    pids = cvy_alloc(capacity * sizeof *pids);
    if (!pids) return false;
  }
  for (DWORD i = 0; !found && i < count; i++) found = pids[i] == pid;
  if (pids != few) cvy_free(pids);
  return found;
}

DWORD cvos_console_break(DWORD pid, bool leads)
{
  if (!leads || !is_at_our_console(pid)) return ERROR_NOT_SUPPORTED;
  return CVOS_CALL(SIGNAL, GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pid), FALSE) ? 0 : GetLastError();
}

DWORD cvos_process_ask(DWORD pid, bool leads)
{
  DWORD error = cvos_console_break(pid, leads);
  ULONG_PTR one = pid;
  return error && close_windows(&one, 1, true) ? 0 : error;
}

/* The code is known when a process begins to end, the handle tells it when it has ended; one that ends with the code of those that run, the handle alone. */
static bool is_ending(HANDLE process)
{
  DWORD code;
  return (GetExitCodeProcess(process, &code) && code != STILL_ACTIVE) ||
         WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
}

int cvos_process_signal(HANDLE process, int signal)
{
  DWORD error = 0;
  if (signal == CVOS_SIGNAL_KILL) {
    if (!CVOS_CALL(SIGNAL, TerminateProcess(process, CVOS_KILLED_CODE), FALSE)) error = GetLastError();
  } else {
    NTSTATUS status =
        CVOS_CALL(SIGNAL, signal == CVOS_SIGNAL_STOP ? NtSuspendProcess(process) : NtResumeProcess(process),
                  (NTSTATUS)0xC0000022L);
    if (status < 0) error = RtlNtStatusToDosError(status);
  }
  if (!error) return 0;
  /* also what Windows says of a process that has begun to end (libuv issue 4300, pull request 4341) */
  if (error == ERROR_ACCESS_DENIED && is_ending(process)) error = ERROR_NOT_FOUND;
  SetLastError(error);
  return cvos_translate((int)error);
}

/* 0, or COVEY_ENOTFOUND: it has ended. */
static int look(const cvos_process *process)
{
  if (process->handle != CVOS_NONE && WaitForSingleObject(process->handle, 0) != WAIT_OBJECT_0) return 0;
  SetLastError(ERROR_NOT_FOUND);
  return COVEY_ENOTFOUND;
}

int cvos_signal_send(const cvos_process *process, int signal)
{
  int r = look(process);
  if (r < 0) return r;
  switch (signal) {
  case CVOS_SIGNAL_KILL:
  case CVOS_SIGNAL_STOP:
  case CVOS_SIGNAL_CONT: return cvos_process_signal(process->handle, signal);
  case CVOS_SIGNAL_INT:
  case CVOS_SIGNAL_QUIT:
  case CVOS_SIGNAL_TERM: {
    DWORD pid = (DWORD)process->pid;
    DWORD error = signal == CVOS_SIGNAL_TERM ? cvos_process_ask(pid, process->leads)
                                             : cvos_console_break(pid, process->leads);
    SetLastError(error);
    return error ? COVEY_ENOTSUP : 0;
  }
  default: SetLastError(ERROR_NOT_SUPPORTED); return signal > 0 ? COVEY_ENOTSUP : COVEY_EINVAL;
  }
}

int cvos_signal_ask(const cvos_process *process)
{
  ULONG_PTR pid = (ULONG_PTR)process->pid;
  int r = look(process);
  if (r < 0) return r;
  int ways = cvos_windows_close(&pid, 1) > 0;
  return ways + (cvos_console_break((DWORD)pid, process->leads) == 0);
}
