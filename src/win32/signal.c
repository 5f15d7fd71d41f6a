#include "win32/detail/windows.h"

#include "os/signal.h"
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

DWORD cvos_console_break(DWORD pid)
{
  DWORD pids[64];
  DWORD count = GetConsoleProcessList(pids, sizeof pids / sizeof pids[0]);
  if (count == 0) return ERROR_NOT_SUPPORTED;
  bool shared =
      count >
      sizeof pids / sizeof pids[0]; /* too many to look: the call itself refuses a group that is not there */
  for (DWORD i = 0; !shared && i < count; i++) shared = pids[i] == pid;
  if (!shared) return ERROR_NOT_SUPPORTED;
  return CVOS_CALL(SIGNAL, GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pid), FALSE) ? 0 : GetLastError();
}

DWORD cvos_process_ask(DWORD pid, bool group)
{
  DWORD error = group ? cvos_console_break(pid) : ERROR_NOT_SUPPORTED;
  HWND window = NULL;
  while (error && (window = FindWindowExW(NULL, window, CVOS_SESSION_CLASS, NULL))) {
    DWORD owner = 0;
    (void)GetWindowThreadProcessId(window, &owner);
    if (owner == pid && PostMessageW(window, WM_CLOSE, 0, 0)) error = 0;
  }
  return error;
}

int cvos_process_signal(HANDLE process, int signal)
{
  if (signal == CVOS_SIGNAL_KILL) {
    if (CVOS_CALL(SIGNAL, TerminateProcess(process, CVOS_KILLED_CODE), FALSE)) return 0;
    return cvos_translate((int)GetLastError());
  }
  NTSTATUS status =
      CVOS_CALL(SIGNAL, signal == CVOS_SIGNAL_STOP ? NtSuspendProcess(process) : NtResumeProcess(process),
                (NTSTATUS)0xC0000022L);
  if (status >= 0) return 0;
  SetLastError(RtlNtStatusToDosError(status));
  return cvos_translate((int)GetLastError());
}

int cvos_signal_send(const cvos_process *process, int signal)
{
  if (process->handle == CVOS_NONE || WaitForSingleObject(process->handle, 0) == WAIT_OBJECT_0) {
    SetLastError(ERROR_NOT_FOUND);
    return COVEY_ENOTFOUND;
  }
  switch (signal) {
  case CVOS_SIGNAL_KILL:
  case CVOS_SIGNAL_STOP:
  case CVOS_SIGNAL_CONT: return cvos_process_signal(process->handle, signal);
  case CVOS_SIGNAL_INT:
  case CVOS_SIGNAL_QUIT:
  case CVOS_SIGNAL_TERM: {
    DWORD pid = (DWORD)process->pid;
    DWORD error = signal == CVOS_SIGNAL_TERM ? cvos_process_ask(pid, true) : cvos_console_break(pid);
    SetLastError(error);
    return error ? COVEY_ENOTSUP : 0;
  }
  default: SetLastError(ERROR_NOT_SUPPORTED); return signal > 0 ? COVEY_ENOTSUP : COVEY_EINVAL;
  }
}
