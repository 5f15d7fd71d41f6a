#include "win32/detail/windows.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/handle.h"
#include "win32/detail/pty.h"

typedef HRESULT(WINAPI *create_function)(COORD, HANDLE, HANDLE, DWORD, void **);
typedef HRESULT(WINAPI *resize_function)(void *, COORD);
typedef HRESULT(WINAPI *release_function)(void *);
typedef void(WINAPI *close_function)(void *);

/* Windows 10 1809 has the first three, Windows 11 24H2 the last. */
typedef struct console_functions {
  create_function create;
  resize_function resize;
  close_function close;
  release_function release;
} console_functions;

struct cvos_pty {
  void *console;
  HANDLE
  input; /* keeps the pipe that is typed into open: its end would be the end of the console, and that of its programs */
  PTP_WORK closing; /* made beforehand: closing cannot fail for want of a thread */
  close_function close;
};

static FARPROC look_up(const char *name)
{
  static const wchar_t *const modules[] = {L"kernel32.dll", L"kernelbase.dll"};
  FARPROC found = NULL;
  for (size_t i = 0; i < 2 && !found; i++) {
    HMODULE module = GetModuleHandleW(modules[i]);
    if (module) found = GetProcAddress(module, name);
  }
  return found;
}

static bool find_functions(console_functions *ret)
{
  ret->create = (create_function)(void (*)(void))look_up("CreatePseudoConsole");
  ret->resize = (resize_function)(void (*)(void))look_up("ResizePseudoConsole");
  ret->close = (close_function)(void (*)(void))look_up("ClosePseudoConsole");
  ret->release = (release_function)(void (*)(void))look_up("ReleasePseudoConsole");
  return ret->create && ret->resize && ret->close;
}

bool cvos_pty_possible(void)
{
  console_functions functions;
  return find_functions(&functions);
}

void *cvos_pty_console(const cvos_pty *pty)
{
  return pty->console;
}

/* ClosePseudoConsole waits, before Windows 11 24H2, until all output was read, or nobody can read it any more. */
static void CALLBACK close_elsewhere(PTP_CALLBACK_INSTANCE instance, void *arg, PTP_WORK work)
{
  cvos_pty *pty = arg;
  (void)CallbackMayRunLong(instance);
  pty->close(pty->console);
  cvos_handle_close(pty->input);
  CloseThreadpoolWork(work);
  cvy_free(pty);
}

/* A number of the system out of an HRESULT. */
static DWORD plain(HRESULT result)
{
  return HRESULT_FACILITY(result) == FACILITY_WIN32 ? (DWORD)HRESULT_CODE(result) : ERROR_GEN_FAILURE;
}

static int code_of(HRESULT result)
{
  DWORD error = plain(result);
  SetLastError(error);
  if (result == E_NOTIMPL) return COVEY_ENOTSUP;
  return result == E_OUTOFMEMORY ? COVEY_ENOMEM : cvos_translate((int)error);
}

int cvos_pty_open(int rows, int columns, bool echo, cvos_pty **ret, cvos_handle *ret_in, cvos_handle *ret_out,
                  cvos_handle *ret_theirs)
{
  console_functions functions;
  COORD size = {(SHORT)columns, (SHORT)rows};
  HANDLE in = CVOS_NONE, out = CVOS_NONE, typed = CVOS_NONE, shown = CVOS_NONE;
  HRESULT result;
  int r;
  (void)echo;
  if (!find_functions(&functions)) {
    SetLastError(ERROR_CALL_NOT_IMPLEMENTED);
    return COVEY_ENOTSUP;
  }
  cvos_pty *pty = cvy_alloc_zero(1, sizeof *pty);
  if (!pty) {
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return COVEY_ENOMEM;
  }
  pty->input = CVOS_NONE;
  pty->close = functions.close;
  pty->closing = CVOS_CALL(PTY, CreateThreadpoolWork(close_elsewhere, pty, NULL), NULL);
  if (!pty->closing) {
    r = cvos_translate((int)GetLastError());
    goto failed;
  }
  if ((r = cvos_pipe_for_child(CVOS_TO_CHILD, &in, &typed)) < 0) goto failed;
  if ((r = cvos_pipe_for_child(CVOS_FROM_CHILD, &out, &shown)) < 0) goto failed;
  if ((r = cvos_handle_duplicate(in, &pty->input)) < 0) goto failed;
  result = CVOS_CALL(PTY, functions.create(size, typed, shown, 0, &pty->console), E_OUTOFMEMORY);
  if (FAILED(result)) {
    r = code_of(result);
    goto failed;
  }
  cvos_handle_close(typed); /* the console has its own */
  cvos_handle_close(shown);
  *ret = pty;
  *ret_in = in;
  *ret_out = out;
  *ret_theirs = CVOS_NONE;
  return 0;
failed:
  cvos_handle_close(typed);
  cvos_handle_close(shown);
  cvos_handle_close(in);
  cvos_handle_close(out);
  cvos_handle_close(pty->input);
  if (pty->closing) CloseThreadpoolWork(pty->closing);
  cvy_free(pty);
  return r;
}

bool cvos_pty_started(cvos_pty *pty)
{
  console_functions functions;
  return find_functions(&functions) && functions.release && SUCCEEDED(functions.release(pty->console));
}

int cvos_pty_resize(cvos_pty *pty, int rows, int columns)
{
  console_functions functions;
  COORD size = {(SHORT)columns, (SHORT)rows};
  if (!find_functions(&functions)) return COVEY_ENOTSUP;
  HRESULT result = CVOS_CALL(PTY, functions.resize(pty->console, size), E_OUTOFMEMORY);
  if (SUCCEEDED(result)) return 0;
  if (plain(result) == ERROR_BROKEN_PIPE || plain(result) == ERROR_NO_DATA) {
    SetLastError(ERROR_BROKEN_PIPE);
    return COVEY_ECLOSED;
  }
  return code_of(result);
}

size_t cvos_pty_end(const cvos_pty *pty, bool begun, char *ret)
{
  static const char text[] = "\r\x1a\r";
  (void)pty;
  for (size_t i = 0; i < 3; i++) ret[i] = text[begun ? i : i + 1];
  return begun ? 3 : 2;
}

void cvos_pty_discard(cvos_pty *pty)
{
  (void)pty;
}

void cvos_pty_close(cvos_pty *pty)
{
  if (pty) SubmitThreadpoolWork(pty->closing);
}
