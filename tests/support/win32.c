#include "system.h"
#include "win32_abort.h"

#include <winternl.h>

enum { PATH = 1024 };

static bool wide(const char *text, WCHAR *out, int capacity)
{
  return MultiByteToWideChar(CP_UTF8, 0, text, -1, out, capacity) > 0;
}

static bool narrow(const WCHAR *text, char *out, size_t capacity)
{
  return WideCharToMultiByte(CP_UTF8, 0, text, -1, out, (int)capacity, NULL, NULL) > 0;
}

bool test_is_wine(void)
{
  HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
  return ntdll && GetProcAddress(ntdll, "wine_get_version");
}

bool test_is_newer_wine(void)
{
  HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
  FARPROC version = ntdll ? GetProcAddress(ntdll, "wine_get_version") : NULL;
  return version && atoi(((const char *(__cdecl *)(void))(void (*)(void))version)()) > 8;
}

int64_t test_pid(void)
{
  return (int64_t)GetCurrentProcessId();
}

void test_system_exit(int code)
{
  fflush(stderr);
  TerminateProcess(GetCurrentProcess(), (UINT)code);
}

void test_system_exit_saying(int code, const char *text)
{
  DWORD n;
  WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)strlen(text), &n, NULL);
  TerminateProcess(GetCurrentProcess(), (UINT)code);
}

void test_system_block_signals(void) {}

void test_pause(int64_t ms)
{
  Sleep((DWORD)ms);
}

void test_set_env(const char *name, const char *value)
{
  WCHAR n[256], v[8192];
  char both[8448];
  if (!wide(name, n, 256) || (value && !wide(value, v, 8192))) return;
  SetEnvironmentVariableW(n, value ? v : NULL);
  snprintf(both, sizeof both, "%s=%s", name, value ? value : "");
  _putenv(both); /* the C runtime's own copy, which getenv reads */
}

/* ---- processes ---- */

bool test_process_alive(int64_t pid)
{
  HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
  bool alive = process && WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
  if (process) CloseHandle(process);
  return alive;
}

void test_process_kill(int64_t pid)
{
  HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, (DWORD)pid);
  if (!process) return;
  TerminateProcess(process, 137);
  CloseHandle(process);
}

void test_process_reap(int64_t pid)
{
  HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
  if (!process) return;
  WaitForSingleObject(process, INFINITE);
  CloseHandle(process);
}

bool test_reap_anybody(void)
{
  return false;
}

int64_t test_stream_flags(int stream, int nonblocking)
{
  (void)stream;
  (void)nonblocking;
  return 0;
}

int64_t test_allow_handles(void)
{
  return 0;
}

void test_interrupt(bool on)
{
  (void)on;
}

void test_interrupt_calls(void (*function)(void))
{
  (void)function;
}

void test_ignore_interrupts(bool on)
{
  SetConsoleCtrlHandler(NULL, on);
}

const char *test_dispositions(void)
{
  return "";
}

typedef struct session {
  DWORD pid;
  HWND window;
} session;

static BOOL CALLBACK is_session(HWND window, LPARAM arg)
{
  session *s = (session *)arg;
  WCHAR name[32];
  DWORD owner = 0;
  GetWindowThreadProcessId(window, &owner);
  if (owner != s->pid || !GetClassNameW(window, name, 32) || wcscmp(name, L"covey.session") != 0) return TRUE;
  s->window = window;
  return FALSE;
}

/* EnumWindows has a list of its own: a search from window to window ends at one that another test has closed meanwhile. */
bool test_session(int64_t pid, int what)
{
  session s = {(DWORD)pid, NULL};
  DWORD_PTR answer = 0;
  EnumWindows(is_session, (LPARAM)&s);
  if (!s.window) return false;
  if (what == TEST_CLOSE) return PostMessageW(s.window, WM_CLOSE, 0, 0);
  LPARAM reason = what == TEST_LOGOFF ? (LPARAM)0x80000000 : 0;
  return SendMessageTimeoutW(s.window, WM_QUERYENDSESSION, 0, reason, SMTO_ABORTIFHUNG, 10000, &answer) &&
         answer && SendNotifyMessageW(s.window, WM_ENDSESSION, TRUE, reason);
}

bool test_system_leaks(void)
{
  return false;
}

/* The job that ends what a test started when the test's process ends: its only handle lives in that process. */
static HANDLE make_job(void)
{
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
  HANDLE job = CreateJobObjectW(NULL, NULL);
  if (!job) return NULL;
  memset(&limits, 0, sizeof limits);
  limits.BasicLimitInformation.LimitFlags =
      JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK;
  SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
  return job;
}

static HANDLE own_job;

void test_system_begin(void)
{
  SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
  test_abort_quietly();
  own_job = make_job();
  if (own_job && !AssignProcessToJobObject(own_job, GetCurrentProcess())) {
    CloseHandle(own_job);
    own_job = NULL;
  }
}

/* A console's host belongs to the system, though it counts as a member. */
static bool is_ours(DWORD pid, char *name, size_t capacity)
{
  HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, pid);
  WCHAR path[PATH];
  DWORD size = PATH;
  bool runs = process && WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
  name[0] = '\0';
  if (runs && QueryFullProcessImageNameW(process, 0, path, &size)) narrow(path, name, capacity);
  if (process) CloseHandle(process);
  return runs && !strstr(name, "conhost.exe") && !strstr(name, "explorer.exe"); /* wine starts them unasked */
}

typedef struct members {
  int count;
  char *text;
  size_t capacity;
} members;

static bool nobody_else(void *arg)
{
  members *m = arg;
  struct {
    JOBOBJECT_BASIC_PROCESS_ID_LIST list;
    ULONG_PTR more[63];
  } ids;
  size_t n = 0;
  m->count = 0;
  m->text[0] = '\0';
  if (!QueryInformationJobObject(own_job, JobObjectBasicProcessIdList, &ids, sizeof ids, NULL)) return true;
  for (DWORD i = 0; i < ids.list.NumberOfProcessIdsInList && i < 64; i++) {
    DWORD pid = (DWORD)ids.list.ProcessIdList[i];
    char name[512];
    if (pid == GetCurrentProcessId() || !is_ours(pid, name, sizeof name)) continue;
    m->count++;
    if (n + 1 < m->capacity) n += (size_t)snprintf(m->text + n, m->capacity - n, "%lu %s; ", pid, name);
  }
  return m->count == 0;
}

int test_system_left(int64_t ms, char *text, size_t capacity)
{
  members m = {0, text, capacity};
  text[0] = '\0';
  if (!own_job || test_wait_until(nobody_else, &m, ms)) return 0;
  return m.count;
}

bool test_has_leak_checker(void)
{
  return false;
}

bool test_has_thread_checker(void)
{
  return false;
}

bool test_once_outlives_fork(void)
{
  return false;
}

bool test_terminal_outlives_its_leader(void)
{
  return false;
}

int64_t test_fork(void)
{
  return -1;
}

int test_fork_join(int64_t pid, int64_t ms)
{
  (void)pid;
  (void)ms;
  return -1;
}

bool test_handle_ready(covey_native handle, int64_t ms)
{
  return WaitForSingleObject(handle, (DWORD)ms) == WAIT_OBJECT_0;
}

/* The job has ended them already. */
int test_system_sweep(const char *mark, int64_t ms, char *text, size_t capacity)
{
  (void)mark;
  (void)ms;
  if (capacity) text[0] = '\0';
  return 0;
}

/* ---- running a program ---- */

/* One command line from argv, by the rules of the C runtime: quotes around each argument, backslashes before a quote doubled. */
static char *command_line(const char *const *argv)
{
  size_t size = 1, n = 0;
  char *line;
  for (size_t i = 0; argv[i]; i++) size += 2 * strlen(argv[i]) + 3;
  line = malloc(size);
  if (!line) abort();
  for (size_t i = 0; argv[i]; i++) {
    size_t backslashes = 0;
    if (i) line[n++] = ' ';
    line[n++] = '"';
    for (const char *c = argv[i]; *c; c++) {
      backslashes = *c == '\\' ? backslashes + 1 : backslashes;
      if (*c == '"')
        for (size_t k = 0; k <= backslashes; k++) line[n++] = '\\';
      if (*c != '\\') backslashes = 0;
      line[n++] = *c;
    }
    while (backslashes--) line[n++] = '\\';
    line[n++] = '"';
  }
  line[n] = '\0';
  return line;
}

/* Starts argv suspended, with the outputs into a file, inside job. */
static bool start(const char *const *argv, const char *output, HANDLE job, PROCESS_INFORMATION *ret)
{
  SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
  STARTUPINFOEXW info;
  HANDLE list[2];
  SIZE_T size = 0;
  WCHAR path[PATH], *line;
  char *text = command_line(argv);
  int count = (int)strlen(text) + 1;
  bool started = false;
  memset(&info, 0, sizeof info);
  line = malloc((size_t)count * sizeof *line);
  if (!line || !wide(text, line, count) || !wide(output, path, PATH)) abort();
  free(text);
  list[0] = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited, OPEN_EXISTING,
                        0, NULL);
  list[1] =
      CreateFileW(path, FILE_APPEND_DATA | SYNCHRONIZE,
                  FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, &inherited, CREATE_ALWAYS, 0, NULL);
  InitializeProcThreadAttributeList(NULL, 1, 0, &size);
  info.lpAttributeList = malloc(size);
  if (info.lpAttributeList && InitializeProcThreadAttributeList(info.lpAttributeList, 1, 0, &size)) {
    UpdateProcThreadAttribute(info.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, list, sizeof list,
                              NULL, NULL);
    info.StartupInfo.cb = sizeof info;
    info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    info.StartupInfo.hStdInput = list[0];
    info.StartupInfo.hStdOutput = info.StartupInfo.hStdError = list[1];
    /* wine: now and then a new process does not come up, before anything of it has run */
    for (int i = 0; i < 3 && !started && (i == 0 || GetLastError() == ERROR_INTERNAL_ERROR); i++)
      started = CreateProcessW(NULL, line, NULL, NULL, TRUE, CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT,
                               NULL, NULL, &info.StartupInfo, ret);
    DeleteProcThreadAttributeList(info.lpAttributeList);
  }
  if (!started) fprintf(stderr, "# cannot start %s: system error %lu\n", argv[0], GetLastError());
  if (started) {
    if (job) AssignProcessToJobObject(job, ret->hProcess);
    ResumeThread(ret->hThread);
    CloseHandle(ret->hThread);
  }
  free(info.lpAttributeList);
  free(line);
  if (list[0] != INVALID_HANDLE_VALUE) CloseHandle(list[0]);
  if (list[1] != INVALID_HANDLE_VALUE) CloseHandle(list[1]);
  return started;
}

int64_t test_start(const char *const *argv)
{
  PROCESS_INFORMATION process;
  memset(&process, 0, sizeof process);
  if (!start(argv, "NUL", NULL, &process)) test_fail(__FILE__, __LINE__, true, "cannot start %s", argv[0]);
  CloseHandle(process.hProcess);
  return (int64_t)process.dwProcessId;
}

bool test_process_ended(int64_t pid, int64_t ms)
{
  return test_process_gone(pid, ms);
}

bool test_system_run(const char *const *argv, const char *output, const char *mark, int64_t ms,
                     test_ended *ret)
{
  PROCESS_INFORMATION process;
  HANDLE job = make_job();
  DWORD code = 0;
  (void)mark;
  if (!job) return false;
  if (!start(argv, output, job, &process)) {
    CloseHandle(job);
    return false;
  }
  ret->timed_out = WaitForSingleObject(process.hProcess, (DWORD)ms) == WAIT_TIMEOUT;
  TerminateJobObject(job, 137);
  WaitForSingleObject(process.hProcess, INFINITE);
  GetExitCodeProcess(process.hProcess, &code);
  ret->code = ret->timed_out ? -1 : (int64_t)code;
  ret->signal = 0;
  CloseHandle(process.hProcess);
  CloseHandle(job);
  return true;
}

/* ---- files ---- */

bool test_system_temp(char *path, size_t capacity)
{
  WCHAR w[PATH];
  DWORD n = GetTempPathW(PATH, w);
  if (n == 0 || n >= PATH) return false;
  while (n > 3 && (w[n - 1] == '\\' || w[n - 1] == '/')) w[--n] = 0;
  return narrow(w, path, capacity);
}

bool test_system_program(char *path, size_t capacity)
{
  WCHAR w[PATH];
  DWORD n = GetModuleFileNameW(NULL, w, PATH);
  return n > 0 && n < PATH && narrow(w, path, capacity);
}

bool test_system_make_dir(const char *path)
{
  WCHAR w[PATH];
  return wide(path, w, PATH) && CreateDirectoryW(w, NULL);
}

static bool remove_wide(const WCHAR *path)
{
  DWORD attributes = GetFileAttributesW(path);
  WCHAR inner[PATH];
  WIN32_FIND_DATAW entry;
  HANDLE find;
  bool all = true;
  if (attributes == INVALID_FILE_ATTRIBUTES) return GetLastError() == ERROR_FILE_NOT_FOUND;
  if (attributes & FILE_ATTRIBUTE_READONLY) SetFileAttributesW(path, FILE_ATTRIBUTE_NORMAL);
  if (!(attributes & FILE_ATTRIBUTE_DIRECTORY)) return DeleteFileW(path);
  if (attributes & FILE_ATTRIBUTE_REPARSE_POINT) return RemoveDirectoryW(path);
  if (wcslen(path) + 3 >= PATH) return false;
  wcscat(wcscpy(inner, path), L"\\*");
  find = FindFirstFileW(inner, &entry);
  if (find == INVALID_HANDLE_VALUE) return false;
  do {
    if (wcscmp(entry.cFileName, L".") == 0 || wcscmp(entry.cFileName, L"..") == 0) continue;
    if (wcslen(path) + wcslen(entry.cFileName) + 2 >= PATH) {
      all = false;
      continue;
    }
    wcscat(wcscat(wcscpy(inner, path), L"\\"), entry.cFileName);
    if (!remove_wide(inner)) all = false;
  } while (FindNextFileW(find, &entry));
  FindClose(find);
  return RemoveDirectoryW(path) && all;
}

bool test_system_remove(const char *path)
{
  WCHAR w[PATH];
  return wide(path, w, PATH) && remove_wide(w);
}

FILE *test_system_open(const char *path, const char *mode)
{
  WCHAR w[PATH], m[8];
  if (!wide(path, w, PATH) || !wide(mode, m, 8)) return NULL;
  return _wfopen(w, m);
}

static FARPROC function_of(const WCHAR *library, const char *name)
{
  HMODULE module = LoadLibraryW(library);
  return module ? GetProcAddress(module, name) : NULL;
}

int test_system_reads(const char *line, const char *const *argv, size_t count)
{
  static WCHAR text[32768];
  LPWSTR *(WINAPI * read)(LPCWSTR, int *) = NULL;
  FARPROC found = function_of(L"shell32.dll", "CommandLineToArgvW");
  int words = 0;
  memcpy(&read, &found, sizeof read);
  if (!read || !wide(line, text, 32768)) return -1;
  LPWSTR *list = read(text, &words);
  bool same = list && (size_t)words == count;
  for (size_t i = 0; same && i < count; i++) same = wide(argv[i], text, 32768) && wcscmp(text, list[i]) == 0;
  LocalFree(list);
  return same;
}

int test_system_upper(unsigned unit)
{
  WCHAR(WINAPI * upper)(WCHAR) = NULL;
  FARPROC found = function_of(L"ntdll.dll", "RtlUpcaseUnicodeChar");
  memcpy(&upper, &found, sizeof upper);
  return upper ? upper((WCHAR)unit) : -1;
}

bool test_groups_gone(int64_t pid, int64_t ms)
{
  (void)pid;
  (void)ms;
  return true;
}
