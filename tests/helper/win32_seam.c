#include "helper.h"
#include "win32/detail/tree.h"

#include <wchar.h>

int helper_guard(const char *what, const char *arg)
{
  (void)what;
  (void)arg;
  return -1;
}

bool helper_tree_of_another(struct cvos_tree *tree)
{
  (void)tree;
  return false;
}

int helper_permute(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_files_are(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_hostile_signals(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_trace(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "no tracing\n");
  return HELPER_NOT_HERE;
}

enum { TEN_MINUTES = 600000 };

static LRESULT CALLBACK on_message(HWND window, UINT message, WPARAM wparam, LPARAM lparam)
{
  switch (message) {
  case WM_CREATE: SetTimer(window, 1, TEN_MINUTES, NULL); return 0;
  case WM_TIMER: PostQuitMessage(HELPER_TIRED); return 0;
  case WM_CLOSE:
    helper_print(1, "stopping\n");
    PostQuitMessage(HELPER_STOPPED);
    return 0;
  default: return DefWindowProcW(window, message, wparam, lparam);
  }
}

int helper_window(int argc, char **argv)
{
  WNDCLASSW class = {.lpfnWndProc = on_message, .lpszClassName = L"covey.test"};
  MSG message;
  (void)argc;
  (void)argv;
  helper_ignore_requests();
  if (!RegisterClassW(&class) || !CreateWindowW(L"covey.test", L"a test", WS_OVERLAPPEDWINDOW | WS_VISIBLE, 0,
                                                0, 200, 100, NULL, NULL, NULL, NULL))
    return HELPER_NOT_HERE;
  helper_print(1, "ready\n");
  while (GetMessageW(&message, NULL, 0, 0) > 0) DispatchMessageW(&message);
  return (int)message.wParam;
}

/* It is never let run: what it would show is nobody's business. */
int helper_ask_graphical(int argc, char **argv)
{
  STARTUPINFOW info = {.cb = sizeof info};
  PROCESS_INFORMATION made;
  WCHAR path[MAX_PATH + 16];
  UINT n = GetSystemDirectoryW(path, MAX_PATH);
  (void)argc;
  (void)argv;
  if (n == 0 || n >= MAX_PATH) return HELPER_NOT_HERE;
  wcscat(path, L"\\winver.exe");
  if (!CreateProcessW(path, NULL, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, NULL, &info, &made))
    return HELPER_NO_START;
  DWORD error = cvos_console_ask(made.dwProcessId);
  TerminateProcess(made.hProcess, 0);
  CloseHandle(made.hThread);
  CloseHandle(made.hProcess);
  return error == ERROR_NOT_SUPPORTED ? 0 : (int)error;
}

int helper_exhaust(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}
