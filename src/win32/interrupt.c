#include "win32/detail/windows.h"

#include "os/interrupt.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/signal.h"
#include "os/thread.h"
#include "win32/detail/tree.h"

/* What Windows gives a program to end after each of them, before it ends it: SPI_GETHUNGAPPTIMEOUT for a console and for a window,
 * SPI_GETWAITTOKILLSERVICETIMEOUT for a service; their defaults. */
enum { BOUND_WINDOW = 5000, BOUND_SERVICE = 20000 };

enum { END_SESSION_WINDOW = WM_APP + 1, WAIT_STEP_MS = 10 };

static struct {
  cvos_interrupt_taker tell;
  LONG volatile taken[CVOS_INTERRUPT_SHUTDOWN + 1];
  int console, session; /* how many are taken of those that need the handler, the window */
  cvos_thread *thread;
  HANDLE ready; /* the thread has its window, or has failed */
  HWND window;
} all;

int cvos_interrupt_index(int signal)
{
  if (signal >= CVOS_INTERRUPT_CLOSE && signal <= CVOS_INTERRUPT_SHUTDOWN) return signal;
  return signal == CVOS_SIGNAL_HUP || signal == CVOS_SIGNAL_INT || signal == CVOS_SIGNAL_QUIT ||
                 signal == CVOS_SIGNAL_TERM
             ? signal
             : -1;
}

static bool is_taken(int signal)
{
  return InterlockedCompareExchange(&all.taken[signal], 0, 0) != 0;
}

static bool told(int signal, int system, int64_t bound)
{
  if (!is_taken(signal)) return false;
  cvos_interrupt what = {.signal = signal, .system = system, .user = -1, .by_system = true, .bound = bound};
  return all.tell(&what);
}

/* As soon as the caller returns the system ends the process. */
static void wait_until_left(int signal)
{
  while (is_taken(signal)) Sleep(WAIT_STEP_MS);
}

/* ---- the console ---- */

static BOOL WINAPI on_console(DWORD event)
{
  switch (event) {
  case CTRL_C_EVENT: return told(CVOS_SIGNAL_INT, (int)event, -1);
  case CTRL_BREAK_EVENT: return told(CVOS_SIGNAL_TERM, (int)event, -1);
  case CTRL_CLOSE_EVENT:
    if (!told(CVOS_INTERRUPT_CLOSE, (int)event, BOUND_WINDOW)) return FALSE;
    wait_until_left(CVOS_INTERRUPT_CLOSE);
    return TRUE;
  case CTRL_SHUTDOWN_EVENT: /* services only */
    if (!told(CVOS_INTERRUPT_SHUTDOWN, (int)event, BOUND_SERVICE)) return FALSE;
    wait_until_left(CVOS_INTERRUPT_SHUTDOWN);
    return TRUE;
  default: return FALSE; /* CTRL_LOGOFF_EVENT tells services that somebody logs off: not their end */
  }
}

/* ---- the session ---- */

static LRESULT CALLBACK on_message(HWND window, UINT message, WPARAM wparam, LPARAM lparam)
{
  switch (message) {
  case WM_QUERYENDSESSION: return TRUE;
  case WM_ENDSESSION: {
    bool logoff = (lparam & (LPARAM)ENDSESSION_LOGOFF) != 0;
    int signal = logoff ? CVOS_INTERRUPT_LOGOFF : CVOS_INTERRUPT_SHUTDOWN;
    if (wparam && told(signal, (int)message, BOUND_WINDOW)) wait_until_left(signal);
    return 0;
  }
  case WM_CLOSE:
    if (is_taken(CVOS_SIGNAL_TERM) && !told(CVOS_SIGNAL_TERM, (int)message, -1))
      ExitProcess(
          (UINT)STATUS_CONTROL_C_EXIT); /* what the system does with a console event that nobody takes */
    return 0;
  case END_SESSION_WINDOW: DestroyWindow(window); return 0;
  case WM_DESTROY: PostQuitMessage(0); return 0;
  default: return DefWindowProcW(window, message, wparam, lparam);
  }
}

/* A window of its own class, never shown, and no message-only one: those are not told about the session. */
static void session_main(void *arg)
{
  static const wchar_t name[] = CVOS_SESSION_CLASS;
  HINSTANCE module = NULL;
  MSG message;
  (void)arg;
  (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                               GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                           (LPCWSTR)(void *)name, &module);
  WNDCLASSEXW class = {
      .cbSize = sizeof class, .lpfnWndProc = on_message, .hInstance = module, .lpszClassName = name};
  ATOM atom = RegisterClassExW(&class);
  if (atom) all.window = CreateWindowExW(0, name, L"", WS_POPUP, 0, 0, 0, 0, NULL, NULL, module, NULL);
  bool made = all.window != NULL;
  SetEvent(all.ready);
  while (made && GetMessageW(&message, NULL, 0, 0) > 0) DispatchMessageW(&message);
  if (atom) UnregisterClassW(name, module);
}

static int open_session(void)
{
  all.window = NULL;
  all.ready = CVOS_CALL(EVENT, CreateEventW(NULL, TRUE, FALSE, NULL), NULL);
  if (!all.ready) return cvos_translate((int)GetLastError());
  int r = cvos_thread_start("covey-session", session_main, NULL, &all.thread);
  if (r == 0) WaitForSingleObject(all.ready, INFINITE);
  CloseHandle(all.ready);
  all.ready = NULL;
  return r;
}

static void close_session(void)
{
  if (all.window) PostMessageW(all.window, END_SESSION_WINDOW, 0, 0);
  cvos_thread_join(all.thread);
  all.thread = NULL;
  all.window = NULL;
}

/* ---- both ---- */

static bool needs_console(int signal)
{
  return signal == CVOS_SIGNAL_INT || signal == CVOS_SIGNAL_TERM || signal == CVOS_INTERRUPT_CLOSE ||
         signal == CVOS_INTERRUPT_SHUTDOWN;
}

static bool needs_session(int signal)
{
  return signal == CVOS_INTERRUPT_LOGOFF || signal == CVOS_INTERRUPT_SHUTDOWN;
}

bool cvos_interrupt_is_default(int signal)
{
  (void)signal;
  return true;
}

int cvos_interrupt_take(int signal, cvos_interrupt_taker taker)
{
  if (cvos_interrupt_index(signal) < 0) return COVEY_ENOTSUP;
  int r = 0;
  all.tell = taker;
  if (needs_session(signal) && all.session == 0 && (r = open_session()) < 0) return r;
  if (needs_console(signal) && all.console == 0 &&
      !CVOS_CALL(SIGNAL, SetConsoleCtrlHandler(on_console, TRUE), FALSE)) {
    DWORD error = GetLastError();
    if (needs_session(signal) && all.session == 0) close_session();
    SetLastError(error);
    return cvos_translate((int)error);
  }
  all.session += needs_session(signal);
  all.console += needs_console(signal);
  InterlockedExchange(&all.taken[signal], 1);
  return 0;
}

void cvos_interrupt_leave(int signal)
{
  if (cvos_interrupt_index(signal) < 0) return;
  InterlockedExchange(&all.taken[signal], 0);
  if (needs_console(signal) && --all.console == 0) SetConsoleCtrlHandler(on_console, FALSE);
  if (needs_session(signal) && --all.session == 0) close_session();
}
