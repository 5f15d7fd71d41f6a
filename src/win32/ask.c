#include "win32/detail/windows.h"

#include "os/ask.h"

int cvos_ask_console(int64_t pid)
{
  if (pid <= 0 || pid > UINT32_MAX) return COVEY_ENOTFOUND;
  (void)FreeConsole();
  if (!AttachConsole((DWORD)pid)) return COVEY_ENOTFOUND;
  BOOL sent = GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, (DWORD)pid);
  (void)FreeConsole();
  return sent ? 0 : COVEY_ENOTSUP;
}
