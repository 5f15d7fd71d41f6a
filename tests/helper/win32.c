#include "../support/win32_abort.h"
#include "helper.h"

#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>
#include <winternl.h>

/* UTF-16 to WTF-8, written without the library's own converter, which is under test. */
static char *to_utf8(const WCHAR *text)
{
  size_t count = wcslen(text), n = 0;
  unsigned char *out = malloc(count * 3 + 1);
  if (!out) abort();
  for (size_t i = 0; i < count; i++) {
    uint32_t c = text[i];
    if (c >= 0xD800 && c < 0xDC00 && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000)
      c = 0x10000 + ((c - 0xD800) << 10) + (text[++i] - 0xDC00u);
    if (c < 0x80) {
      out[n++] = (unsigned char)c;
    } else if (c < 0x800) {
      out[n++] = (unsigned char)(0xC0 | (c >> 6));
      out[n++] = (unsigned char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      out[n++] = (unsigned char)(0xE0 | (c >> 12));
      out[n++] = (unsigned char)(0x80 | ((c >> 6) & 0x3F));
      out[n++] = (unsigned char)(0x80 | (c & 0x3F));
    } else {
      out[n++] = (unsigned char)(0xF0 | (c >> 18));
      out[n++] = (unsigned char)(0x80 | ((c >> 12) & 0x3F));
      out[n++] = (unsigned char)(0x80 | ((c >> 6) & 0x3F));
      out[n++] = (unsigned char)(0x80 | (c & 0x3F));
    }
  }
  out[n] = '\0';
  return (char *)out;
}

void helper_begin(int *argc, char ***argv)
{
  int count = 0;
  LPWSTR *list = CommandLineToArgvW(GetCommandLineW(), &count);
  char **text;
  SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
  test_abort_quietly();
  if (!list) return;
  text = malloc(((size_t)count + 1) * sizeof *text);
  if (!text) abort();
  for (int i = 0; i < count; i++) text[i] = to_utf8(list[i]);
  text[count] = NULL;
  LocalFree(list);
  *argc = count;
  *argv = text;
}

static HANDLE stream_handle(int stream)
{
  static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
  return GetStdHandle(names[stream]);
}

int64_t helper_system_read(void *data, size_t size)
{
  DWORD n = 0;
  return ReadFile(stream_handle(0), data, (DWORD)size, &n, NULL) ? (int64_t)n : 0;
}

int64_t helper_system_write(int stream, const void *data, size_t size)
{
  DWORD n = 0;
  return WriteFile(stream_handle(stream), data, (DWORD)size, &n, NULL) ? (int64_t)n : -1;
}

void helper_close(int stream)
{
  CloseHandle(stream_handle(stream));
}

bool helper_is_terminal(int stream)
{
  DWORD mode;
  return GetConsoleMode(stream_handle(stream), &mode) != 0;
}

void helper_pause(int64_t ms)
{
  Sleep((DWORD)ms);
}

int64_t helper_now(void)
{
  return (int64_t)GetTickCount64();
}

int64_t helper_cpu(void)
{
  FILETIME start, end, kernel, user;
  if (!GetProcessTimes(GetCurrentProcess(), &start, &end, &kernel, &user)) return 0;
  return (int64_t)((((uint64_t)user.dwHighDateTime << 32) | user.dwLowDateTime) / 10000u);
}

int64_t helper_pid(void)
{
  return (int64_t)GetCurrentProcessId();
}

int64_t helper_parent(void)
{
  HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
  PROCESSENTRY32W entry;
  int64_t parent = -1;
  if (all == INVALID_HANDLE_VALUE) return -1;
  memset(&entry, 0, sizeof entry);
  entry.dwSize = sizeof entry;
  for (BOOL more = Process32FirstW(all, &entry); more; more = Process32NextW(all, &entry))
    if (entry.th32ProcessID == GetCurrentProcessId()) parent = (int64_t)entry.th32ParentProcessID;
  CloseHandle(all);
  return parent;
}

const char *helper_variable(size_t n)
{
  static char *last;
  LPWCH block = GetEnvironmentStringsW();
  const WCHAR *at = block;
  if (!block) return NULL;
  for (; n > 0 && *at; n--) at += wcslen(at) + 1;
  free(last);
  last = *at ? to_utf8(at) : NULL;
  FreeEnvironmentStringsW(block);
  return last;
}

const char *helper_value(const char *name)
{
  size_t size = strlen(name);
  const char *v;
  for (size_t i = 0; (v = helper_variable(i)); i++)
    if (_strnicmp(v, name, size) == 0 && v[size] == '=') return v + size + 1;
  return NULL;
}

const char *helper_cwd(void)
{
  WCHAR path[4096];
  DWORD n = GetCurrentDirectoryW(4096, path);
  return n > 0 && n < 4096 ? to_utf8(path) : NULL;
}

const char *helper_command_line(void)
{
  return to_utf8(GetCommandLineW());
}

void helper_exit(uint32_t code)
{
  ExitProcess(code);
}

void helper_die(void)
{
  TerminateProcess(GetCurrentProcess(), 9);
  for (;;) helper_pause(1000);
}

void helper_signal(int number)
{
  (void)number;
}

/* A process in a console group of its own starts with CTRL_C off. */
bool helper_interrupt(void)
{
  SetConsoleCtrlHandler(NULL, FALSE);
  return GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0);
}

void helper_crash(void)
{
  static volatile uintptr_t address = 8; /* so that no compiler sees it */
  volatile int *nowhere = (volatile int *)address;
  *nowhere = 1;
}

static struct {
  bool answers;
  const char *text;
  int64_t ms;
  int code;
} answer;

static BOOL WINAPI on_request(DWORD event)
{
  (void)event;
  if (!answer.answers) return TRUE;
  if (answer.text) helper_system_write(1, answer.text, strlen(answer.text));
  Sleep((DWORD)answer.ms);
  ExitProcess((UINT)answer.code);
}

void helper_ignore_requests(void)
{
  answer.answers = false;
  SetConsoleCtrlHandler(on_request, TRUE);
}

/* A process in a console group of its own starts with CTRL_C off. */
void helper_answer_requests(const char *text, int64_t ms, int code)
{
  answer.answers = true;
  answer.text = text;
  answer.ms = ms;
  answer.code = code;
  SetConsoleCtrlHandler(NULL, FALSE);
  SetConsoleCtrlHandler(on_request, TRUE);
}

/* ---- families ---- */

/* The behaviours that are started so have plain arguments: quotes around each are enough. */
static bool command_line(int argc, const char *const *argv, WCHAR *line, size_t capacity)
{
  WCHAR path[1024], word[256];
  int n = (int)GetModuleFileNameW(NULL, path, 1024);
  if (n <= 0 || n >= 1024) return false;
  n = _snwprintf(line, capacity, L"\"%ls\"", path);
  for (int i = 0; i < argc && n > 0; i++) {
    int more;
    if (!MultiByteToWideChar(CP_UTF8, 0, argv[i], -1, word, 256)) return false;
    more = _snwprintf(line + n, capacity - (size_t)n, L" \"%ls\"", word);
    if (more < 0) return false;
    n += more;
  }
  return n > 0;
}

/* Exactly the three streams are inherited: ours, or the null device. */
int64_t helper_start(int argc, const char *const *argv, unsigned flags)
{
  SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
  STARTUPINFOEXW info;
  PROCESS_INFORMATION process;
  WCHAR line[2048];
  HANDLE null = INVALID_HANDLE_VALUE, list[3];
  SIZE_T size = 0;
  DWORD how = EXTENDED_STARTUPINFO_PRESENT;
  BOOL started = FALSE;
  int count = 0;
  memset(&info, 0, sizeof info);
  info.StartupInfo.cb = sizeof info;
  info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
  if (flags & HELPER_SESSION) how |= CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS;
  if (!command_line(argc, argv, line, 2048)) return -1;
  if (flags & HELPER_QUIET)
    null = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                       OPEN_EXISTING, 0, NULL);
  info.StartupInfo.hStdInput = flags & HELPER_QUIET ? null : stream_handle(0);
  info.StartupInfo.hStdOutput = flags & HELPER_QUIET ? null : stream_handle(1);
  info.StartupInfo.hStdError = flags & HELPER_QUIET ? null : stream_handle(2);
  if (flags & HELPER_QUIET) {
    list[count++] = null;
  } else {
    for (int i = 0; i < 3; i++) {
      HANDLE h = stream_handle(i);
      bool twice = i > 0 && (h == stream_handle(0) || (i == 2 && h == stream_handle(1)));
      if (SetHandleInformation(h, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) && !twice) list[count++] = h;
    }
  }
  InitializeProcThreadAttributeList(NULL, 1, 0, &size);
  info.lpAttributeList = malloc(size);
  if (!info.lpAttributeList || !InitializeProcThreadAttributeList(info.lpAttributeList, 1, 0, &size))
    return -1;
  if (count > 0)
    UpdateProcThreadAttribute(info.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, list,
                              (SIZE_T)count * sizeof list[0], NULL, NULL);
  if (flags & HELPER_ESCAPE)
    started = CreateProcessW(NULL, line, NULL, NULL, count > 0, how | CREATE_BREAKAWAY_FROM_JOB, NULL, NULL,
                             &info.StartupInfo, &process);
  if (!started)
    started = CreateProcessW(NULL, line, NULL, NULL, count > 0, how, NULL, NULL, &info.StartupInfo, &process);
  DeleteProcThreadAttributeList(info.lpAttributeList);
  free(info.lpAttributeList);
  if (null != INVALID_HANDLE_VALUE) CloseHandle(null);
  if (!started) return -1;
  CloseHandle(process.hThread);
  CloseHandle(process.hProcess);
  return (int64_t)process.dwProcessId;
}

/* ---- what is inherited ---- */

int helper_handles(int argc, char **argv)
{
  if (argc == 1) return HELPER_NOT_HERE;
  for (int i = 1; i < argc; i++) {
    DWORD flags;
    HANDLE h = (HANDLE)(intptr_t)strtoll(argv[i], NULL, 0);
    helper_print(1, "%s %s\n", argv[i], GetHandleInformation(h, &flags) ? "open" : "closed");
  }
  return 0;
}

int helper_signals(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "blocked:\nignored:\n");
  return 0;
}

int helper_group(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_attributes(int argc, char **argv)
{
  static const struct {
    DWORD class;
    int nice;
  } classes[] = {{IDLE_PRIORITY_CLASS, 19},
                 {BELOW_NORMAL_PRIORITY_CLASS, 10},
                 {ABOVE_NORMAL_PRIORITY_CLASS, -5},
                 {HIGH_PRIORITY_CLASS, -10}};
  STARTUPINFOW info = {.cb = sizeof info};
  DWORD class = GetPriorityClass(GetCurrentProcess());
  DWORD_PTR mask = 0, all;
  int nice = 0, processors = 0;
  (void)argc;
  (void)argv;
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
    if (classes[i].class == class) nice = classes[i].nice;
  GetProcessAffinityMask(GetCurrentProcess(), &mask, &all);
  for (; mask; mask &= mask - 1) processors++;
  GetStartupInfoW(&info);
  helper_print(1, "%d %d %d\n", nice, processors,
               info.dwFlags & STARTF_USESHOWWINDOW ? 1 + info.wShowWindow : 0);
  return 0;
}

int64_t helper_fork(void)
{
  return -1;
}

/* ---- odd circumstances ---- */

int helper_without_streams(unsigned closed, int argc, char **argv)
{
  STARTUPINFOW info = {.cb = sizeof info, .dwFlags = STARTF_USESTDHANDLES};
  PROCESS_INFORMATION process;
  WCHAR line[2048];
  DWORD code = HELPER_NO_START;
  HANDLE streams[3];
  for (int i = 0; i < 3; i++) {
    streams[i] = closed & 1u << i ? NULL : stream_handle(i);
    if (streams[i]) SetHandleInformation(streams[i], HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  }
  info.hStdInput = streams[0];
  info.hStdOutput = streams[1];
  info.hStdError = streams[2];
  if (!command_line(argc, (const char *const *)argv, line, 2048)) return HELPER_NO_START;
  if (!CreateProcessW(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &info, &process)) return HELPER_NO_START;
  WaitForSingleObject(process.hProcess, INFINITE);
  GetExitCodeProcess(process.hProcess, &code);
  CloseHandle(process.hThread);
  CloseHandle(process.hProcess);
  return (int)code;
}

bool helper_limit_handles(int64_t most)
{
  (void)most;
  return false;
}

bool helper_become(int64_t user)
{
  (void)user;
  return false;
}

int helper_give_handles(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_read_out(int argc, char **argv)
{
  return helper_give_handles(argc, argv);
}

int helper_in_numbers_of_its_own(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

bool helper_next_number(int64_t pid)
{
  (void)pid;
  return false;
}

void helper_end(int64_t pid)
{
  (void)pid;
}

/* ---- a terminal ---- */

bool helper_terminal(void)
{
  static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
  for (int i = 0; i < 3; i++) {
    HANDLE console = CreateFileW(i ? L"CONOUT$" : L"CONIN$", GENERIC_READ | GENERIC_WRITE,
                                 FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    if (console == INVALID_HANDLE_VALUE) return false;
    SetStdHandle(names[i], console);
  }
  return true;
}

void helper_terminal_size(int *ret_rows, int *ret_columns)
{
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(stream_handle(1), &info)) return;
  *ret_rows = info.srWindow.Bottom - info.srWindow.Top + 1;
  *ret_columns = info.srWindow.Right - info.srWindow.Left + 1;
}

int helper_terminal_echo(void)
{
  DWORD mode;
  return GetConsoleMode(stream_handle(0), &mode) ? (mode & ENABLE_ECHO_INPUT) != 0 : -1;
}

int helper_terminal_own(void)
{
  DWORD pids[4];
  return GetConsoleProcessList(pids, 4) == 1;
}

/* Behind 16 bytes of sizes and flags: the console's handle, then its flags, of which the first is "CTRL_C is ignored". */
int helper_terminal_heard(void)
{
  PROCESS_BASIC_INFORMATION own;
  ULONG size;
  if (NtQueryInformationProcess(GetCurrentProcess(), ProcessBasicInformation, &own, sizeof own, &size) < 0)
    return -1;
  return !((uintptr_t)own.PebBaseAddress->ProcessParameters->Reserved2[1] & 1);
}

bool helper_terminal_resized(int64_t ms)
{
  static int rows, columns;
  int now_rows = rows, now_columns = columns;
  for (int64_t end = helper_now() + ms; helper_now() < end; helper_pause(10)) {
    helper_terminal_size(&now_rows, &now_columns);
    bool first = rows == 0, other = now_rows != rows || now_columns != columns;
    rows = now_rows;
    columns = now_columns;
    if (other && !first) return true;
  }
  return false;
}

int helper_terminal_front(void)
{
  return -1;
}

void helper_terminal_set_echo(void) {}

size_t helper_terminal_settings(void *ret, size_t capacity)
{
  DWORD modes[2];
  if (sizeof modes > capacity || !GetConsoleMode(stream_handle(0), &modes[0]) ||
      !GetConsoleMode(stream_handle(1), &modes[1]))
    return 0;
  memcpy(ret, modes, sizeof modes);
  return sizeof modes;
}

void helper_terminal_restore(const void *settings)
{
  DWORD modes[2];
  memcpy(modes, settings, sizeof modes);
  SetConsoleMode(stream_handle(0), modes[0]);
  SetConsoleMode(stream_handle(1), modes[1]);
}
