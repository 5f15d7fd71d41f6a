#include "win32/detail/attempt.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/attributes.h"
#include "win32/detail/pty.h"
#include "win32/detail/text.h"
#include "win32/detail/tree.h"

#include <string.h>
#include <winternl.h>

#ifndef PROC_THREAD_ATTRIBUTE_JOB_LIST
#define PROC_THREAD_ATTRIBUTE_JOB_LIST ((DWORD_PTR)0x0002000D)
#endif

#ifndef PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE
#define PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE ((DWORD_PTR)0x00020016)
#endif

enum {
  MOST_ATTRIBUTES = 3,
  MOST_LINE = 32766, /* units of a command line, without the NUL */
  MOST_FILE = 259,
  MOST_CWD = 258 /* Windows adds a backslash */
};

/* Inheritable handles exist only while this is held: another child of ours does not get them. (The handle list keeps them from it anyway; the
 * lock keeps the values that we pass on from being made twice.) */
static SRWLOCK inherit_lock = SRWLOCK_INIT;

static int failed(covey_failure *ret, int code, int stage, DWORD system, int64_t index, const char *what)
{
  *ret = (covey_failure){.code = code, .stage = stage, .system = (int)system, .offset = -1, .index = index};
  size_t n = what ? strlen(what) : 0;
  if (n >= sizeof ret->what) {
    n = sizeof ret->what - 1;
    while (n > 0 && ((unsigned char)what[n] & 0xC0) == 0x80) n--;
  }
  if (n) memcpy(ret->what, what, n);
  return code;
}

/* On a terminal of its own it would not hear ctrl-C, which is typed into its console, if it led a group. */
bool cvos_attempt_leads(const cvos_spawn_request *request)
{
  return request->scope != CVOS_SCOPE_SHARED && !request->pty;
}

/* Everything that one attempt needs; attempt_free takes it half-made. */
typedef struct attempt {
  const cvos_spawn_request *request;
  WCHAR *file, *line, *cwd;
  HANDLE copies[3]; /* inheritable duplicates of the streams */
  HANDLE *list;     /* what is inherited, each once */
  DWORD list_count;
  bool *ours; /* which of request->pass are inheritable because we made them so */
  STARTUPINFOEXW info;
  bool attributes;
  const char *field; /* of launch that could not be given */
  cvos_tree *tree;
} attempt;

static int convert(attempt *s, covey_failure *ret)
{
  const cvos_spawn_request *q = s->request;
  size_t file = 0, line = 0, cwd = 0;
  int r;
  const char *unknown = cvos_attributes_unknown(q->launch);
  if (unknown) return failed(ret, COVEY_ENOTSUP, COVEY_STAGE_ARGUMENTS, ERROR_NOT_SUPPORTED, -1, unknown);
  if (!q->file || !q->command_line)
    return failed(ret, COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, ERROR_INVALID_PARAMETER, -1, q->file);
  if ((r = cvos_text_wide(q->file, &s->file, &file)) < 0)
    return failed(ret, r, COVEY_STAGE_LOOKUP, GetLastError(), -1, q->file);
  if ((r = cvos_text_wide(q->command_line, &s->line, &line)) < 0)
    return failed(ret, r, COVEY_STAGE_ARGUMENTS, GetLastError(), -1, "command line");
  if (q->cwd && (r = cvos_text_wide(q->cwd, &s->cwd, &cwd)) < 0)
    return failed(ret, r, COVEY_STAGE_CWD, GetLastError(), -1, q->cwd);
  if (line > MOST_LINE || file > MOST_FILE || cwd > MOST_CWD)
    return failed(ret, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, ERROR_FILENAME_EXCED_RANGE, -1,
                  line > MOST_LINE   ? "command line"
                  : file > MOST_FILE ? q->file
                                     : q->cwd);
  return 0;
}

static int make_job(attempt *s, covey_failure *ret)
{
  if (s->request->scope == CVOS_SCOPE_DETACHED) return 0;
  s->tree = cvy_alloc_zero(1, sizeof *s->tree);
  if (!s->tree) return failed(ret, COVEY_ENOMEM, COVEY_STAGE_LIMITS, ERROR_NOT_ENOUGH_MEMORY, -1, NULL);
  s->tree->job = CVOS_CALL(JOB, CreateJobObjectW(NULL, NULL), NULL);
  if (!s->tree->job) {
    DWORD error = GetLastError();
    cvy_free(s->tree);
    s->tree = NULL;
    return failed(ret, cvos_translate((int)error), COVEY_STAGE_SCOPE, error, -1, "job");
  }
  s->tree->group = cvos_attempt_leads(s->request);
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
  memset(&limits, 0, sizeof limits);
  s->tree->tied = (s->request->flags & CVOS_SPAWN_TIED) != 0;
  if (s->tree->tied) limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
  const char *field;
  DWORD error = cvos_attributes_job(s->request->launch, s->tree->job, &limits, &field);
  if (!error) return 0;
  int code = cvos_translate((int)error);
  if (!field) return failed(ret, code, COVEY_STAGE_SCOPE, error, -1, "job");
  return failed(ret, code, code == COVEY_ENOTSUP ? COVEY_STAGE_ARGUMENTS : COVEY_STAGE_LIMITS, error, -1,
                field);
}

static void list_once(attempt *s, HANDLE handle)
{
  for (DWORD i = 0; i < s->list_count; i++) {
    if (s->list[i] == handle) return;
  }
  s->list[s->list_count++] = handle;
}

/* Lock held: the streams as inheritable duplicates, the passed ones made inheritable as they are, so that their values stay. */
static int make_inheritable(attempt *s, covey_failure *ret)
{
  static const char *const streams[] = {"stdin", "stdout", "stderr"};
  const cvos_spawn_request *q = s->request;
  HANDLE self = GetCurrentProcess();
  for (int i = 0; i < 3; i++) {
    if (q->stdio[i] == CVOS_NONE || !q->stdio[i] || q->pty) continue;
    if (!CVOS_CALL(DUPLICATE,
                   DuplicateHandle(self, q->stdio[i], self, &s->copies[i], 0, TRUE, DUPLICATE_SAME_ACCESS),
                   FALSE)) {
      DWORD error = GetLastError();
      s->copies[i] = NULL;
      return failed(ret, cvos_translate((int)error), COVEY_STAGE_STDIO, error, i, streams[i]);
    }
    list_once(s, s->copies[i]);
  }
  for (size_t i = 0; i < q->pass_count; i++) {
    DWORD flags = 0;
    BOOL done = CVOS_CALL(PLACE, GetHandleInformation(q->pass[i].handle, &flags), FALSE);
    if (done && !(flags & HANDLE_FLAG_INHERIT)) {
      done = SetHandleInformation(q->pass[i].handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
      s->ours[i] = done != 0;
    }
    if (!done) {
      DWORD error = GetLastError();
      return failed(ret, cvos_translate((int)error), COVEY_STAGE_STDIO, error, (int64_t)i + 3,
                    "passed handle");
    }
    list_once(s, q->pass[i].handle);
  }
  return 0;
}

static void end_inheritable(attempt *s)
{
  for (int i = 0; i < 3; i++) {
    if (s->copies[i]) (void)CloseHandle(s->copies[i]);
    s->copies[i] = NULL;
  }
  for (size_t i = 0; s->ours && i < s->request->pass_count; i++) {
    if (s->ours[i]) (void)SetHandleInformation(s->request->pass[i].handle, HANDLE_FLAG_INHERIT, 0);
  }
}

static int make_attributes(attempt *s, covey_failure *ret)
{
  SIZE_T size = 0;
  s->info.StartupInfo.cb = sizeof s->info;
  (void)InitializeProcThreadAttributeList(NULL, MOST_ATTRIBUTES, 0, &size);
  LPPROC_THREAD_ATTRIBUTE_LIST list = cvy_alloc(size);
  if (!list) return failed(ret, COVEY_ENOMEM, COVEY_STAGE_LIMITS, ERROR_NOT_ENOUGH_MEMORY, -1, NULL);
  s->info.lpAttributeList = list;
  BOOL done =
      CVOS_CALL(ATTRIBUTES, InitializeProcThreadAttributeList(list, MOST_ATTRIBUTES, 0, &size), FALSE);
  s->attributes = done != 0;
  if (done && s->list_count)
    done = CVOS_CALL(ATTRIBUTES,
                     UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, s->list,
                                               s->list_count * sizeof *s->list, NULL, NULL),
                     FALSE);
  if (!done) {
    DWORD error = GetLastError();
    return failed(ret, cvos_translate((int)error), COVEY_STAGE_STDIO, error, -1, "handle list");
  }
  if (!s->request->pty) return 0;
  /* the attribute's value is the handle itself, not a place that holds it */
  done = CVOS_CALL(ATTRIBUTES,
                   UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE,
                                             cvos_pty_console(s->request->pty), sizeof(void *), NULL, NULL),
                   FALSE);
  if (done) return 0;
  DWORD error = GetLastError();
  return failed(ret, cvos_translate((int)error), COVEY_STAGE_PTY, error, -1, "pseudo-console");
}

static void attempt_free(attempt *s)
{
  if (s->attributes) DeleteProcThreadAttributeList(s->info.lpAttributeList);
  cvy_free(s->info.lpAttributeList);
  cvy_free(s->file);
  cvy_free(s->line);
  cvy_free(s->cwd);
  cvy_free(s->list);
  cvy_free(s->ours);
  if (s->tree) {
    (void)CloseHandle(s->tree->job);
    cvy_free(s->tree);
  }
}

static DWORD creation_flags(const cvos_spawn_request *q)
{
  DWORD flags = EXTENDED_STARTUPINFO_PRESENT | cvos_attributes_flags(q->launch);
  if (q->env_block) flags |= CREATE_UNICODE_ENVIRONMENT;
  if (cvos_attempt_leads(q)) flags |= CREATE_NEW_PROCESS_GROUP;
  if (q->pty) return flags;
  if (q->flags & CVOS_SPAWN_NEW_CONSOLE)
    flags |= CREATE_NEW_CONSOLE;
  else if (q->scope == CVOS_SCOPE_DETACHED)
    flags |= DETACHED_PROCESS;
  else if (q->flags & CVOS_SPAWN_NO_WINDOW)
    flags |= CREATE_NO_WINDOW;
  return flags;
}

/* Whether we ignore CTRL_C: no call tells it, but our parameters do, where the console's flags follow its handle. */
static bool is_deaf(void)
{
  PROCESS_BASIC_INFORMATION own;
  ULONG size;
  if (NtQueryInformationProcess(GetCurrentProcess(), ProcessBasicInformation, &own, sizeof own, &size) < 0)
    return false;
  return (uintptr_t)own.PebBaseAddress->ProcessParameters->Reserved2[1] & 1;
}

static SRWLOCK hearing = SRWLOCK_INIT;

static BOOL WINAPI swallow(DWORD event)
{
  return event == CTRL_C_EVENT;
}

/* A process is born ignoring CTRL_C where its parent does, as whoever leads a console group and all below it do. On a terminal of its own it is to hear
 * what is typed there (microsoft/terminal issue 5460), so we hear for a moment too, and do nothing. */
static bool begin_hearing(const cvos_spawn_request *q)
{
  if (!q->pty) return false;
  AcquireSRWLockExclusive(
      &hearing); /* one start at a time: the end of another's moment would be in the middle of ours */
  return is_deaf() && SetConsoleCtrlHandler(swallow, TRUE) && SetConsoleCtrlHandler(NULL, FALSE);
}

static void end_hearing(const cvos_spawn_request *q, bool begun)
{
  DWORD saved = GetLastError();
  if (begun) {
    (void)SetConsoleCtrlHandler(NULL, TRUE);
    (void)SetConsoleCtrlHandler(swallow, FALSE);
  }
  if (q->pty) ReleaseSRWLockExclusive(&hearing);
  SetLastError(saved);
}

static BOOL create(attempt *s, DWORD flags, PROCESS_INFORMATION *ret)
{
  const cvos_spawn_request *q = s->request;
  BOOL done = FALSE;
  bool heard = begin_hearing(q);
  /* wine 8: one start in some thousands fails so, before anything of the process has run */
  for (int i = 0; i < 3 && !done && (i == 0 || GetLastError() == ERROR_INTERNAL_ERROR); i++)
    done = CVOS_CALL(CREATE_PROCESS,
                     CreateProcessW(s->file, s->line, NULL, NULL, s->list_count > 0, flags,
                                    (void *)(uintptr_t)q->env_block, s->cwd, &s->info.StartupInfo, ret),
                     FALSE);
  end_hearing(q, heard);
  return done;
}

/* Lets a suspended process begin, with all that it could not be given by CreateProcess; or ends it. As create_in_job. */
static DWORD begin(attempt *s, HANDLE job, PROCESS_INFORMATION *ret, int *ret_stage)
{
  DWORD error = 0;
  *ret_stage = COVEY_STAGE_SCOPE;
  if (job && !CVOS_CALL(JOB, AssignProcessToJobObject(job, ret->hProcess), FALSE)) error = GetLastError();
  if (!error) {
    error = cvos_attributes_give(s->request->launch, ret->hProcess, &s->field);
    if (error) *ret_stage = COVEY_STAGE_LIMITS;
  }
  if (!error && CVOS_CALL(RESUME, ResumeThread(ret->hThread), (DWORD)-1) == (DWORD)-1) error = GetLastError();
  if (!error) return 0;
  (void)TerminateProcess(ret->hProcess, CVOS_KILLED_CODE);
  (void)CloseHandle(ret->hThread);
  (void)CloseHandle(ret->hProcess);
  return error;
}

/* The process is in its job before its first instruction: by the attribute, or suspended until it is assigned. 0 or a GetLastError number;
 * *ret_stage says where. */
static DWORD create_in_job(attempt *s, PROCESS_INFORMATION *ret, int *ret_stage)
{
  DWORD flags = creation_flags(s->request);
  HANDLE job = s->tree ? s->tree->job : NULL;
  *ret_stage = COVEY_STAGE_EXEC;
  if (!job) {
    if (!create(s, flags | CREATE_BREAKAWAY_FROM_JOB, ret)) {
      if (GetLastError() != ERROR_ACCESS_DENIED) return GetLastError();
      if (!create(s, flags, ret)) return GetLastError();
    }
  } else if (CVOS_CALL(ATTRIBUTES,
                       UpdateProcThreadAttribute(s->info.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_JOB_LIST,
                                                 &job, sizeof job, NULL, NULL),
                       FALSE)) {
    if (!create(s, flags, ret)) return GetLastError();
    job = NULL; /* it is in it */
  } else {
    flags |= CREATE_SUSPENDED;
    if (!create(s, flags, ret)) return GetLastError();
  }
  return flags & CREATE_SUSPENDED ? begin(s, job, ret, ret_stage) : 0;
}

static int diagnose(attempt *s, int stage, DWORD error, covey_failure *ret)
{
  const cvos_spawn_request *q = s->request;
  int code = cvos_translate((int)error);
  if (stage != COVEY_STAGE_EXEC)
    return failed(ret, code, stage, error, -1, stage == COVEY_STAGE_LIMITS ? s->field : "job");
  DWORD cwd = s->cwd ? GetFileAttributesW(s->cwd) : FILE_ATTRIBUTE_DIRECTORY;
  DWORD why = GetLastError();
  DWORD file = GetFileAttributesW(s->file);
  if (cwd == INVALID_FILE_ATTRIBUTES || !(cwd & FILE_ATTRIBUTE_DIRECTORY)) {
    if (cwd != INVALID_FILE_ATTRIBUTES)
      why = ERROR_DIRECTORY;
    else if (why == ERROR_INVALID_NAME)
      why = ERROR_PATH_NOT_FOUND;
    code = why == ERROR_DIRECTORY ? COVEY_ENOTFOUND : cvos_translate((int)why);
    return failed(ret, code, COVEY_STAGE_CWD, why, -1, q->cwd);
  }
  if (error == ERROR_DIRECTORY) return failed(ret, COVEY_EACCES, COVEY_STAGE_CWD, error, -1, q->cwd);
  if (file == INVALID_FILE_ATTRIBUTES)
    return failed(ret, COVEY_ENOTFOUND, COVEY_STAGE_LOOKUP, error, -1, q->file);
  switch (error) {
  case ERROR_FILENAME_EXCED_RANGE: return failed(ret, code, COVEY_STAGE_ARGUMENTS, error, -1, "command line");
  case ERROR_NOT_ENOUGH_QUOTA: return failed(ret, COVEY_ELIMIT, COVEY_STAGE_LIMITS, error, -1, "new process");
  case ERROR_NOT_ENOUGH_MEMORY:
  case ERROR_COMMITMENT_LIMIT:
  case ERROR_NO_SYSTEM_RESOURCES: return failed(ret, code, COVEY_STAGE_LIMITS, error, -1, "new process");
  case ERROR_ACCESS_DISABLED_BY_POLICY: /* AppLocker and its kin */
  case ERROR_CANT_ACCESS_FILE:          /* an alias of the Store whose program is gone */
  /* not in every SDK: ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED, ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION (Application Control) */
  case 225:
  case 226:
  case 4551: code = COVEY_EACCES; break;
  case ERROR_BAD_EXE_FORMAT:
  case ERROR_EXE_MACHINE_TYPE_MISMATCH: code = COVEY_EINVAL; break;
  case ERROR_FILE_NOT_FOUND:
  case ERROR_MOD_NOT_FOUND: return failed(ret, code, COVEY_STAGE_INTERPRETER, error, -1, q->file);
  default: break;
  }
  if (file & FILE_ATTRIBUTE_DIRECTORY) code = COVEY_EACCES;
  return failed(ret, code, COVEY_STAGE_EXEC, error, -1, q->file);
}

/* With the lock held: makes the handles, starts, and takes the inheritable ones away again. */
static int start_locked(attempt *s, PROCESS_INFORMATION *ret, covey_failure *ret_failure)
{
  int stage, r = make_inheritable(s, ret_failure);
  if (r == 0) r = make_attributes(s, ret_failure);
  if (r < 0) return r;
  /* On a console of its own: three times nothing, or the child would get our streams' numbers where ours are redirected. */
  if (s->copies[0] || s->copies[1] || s->copies[2] || s->request->pty) {
    s->info.StartupInfo.dwFlags |= STARTF_USESTDHANDLES;
    s->info.StartupInfo.hStdInput = s->copies[0];
    s->info.StartupInfo.hStdOutput = s->copies[1];
    s->info.StartupInfo.hStdError = s->copies[2];
  }
  if (s->request->flags & (CVOS_SPAWN_HIDDEN | CVOS_SPAWN_MINIMIZED)) {
    s->info.StartupInfo.dwFlags |= STARTF_USESHOWWINDOW;
    s->info.StartupInfo.wShowWindow = s->request->flags & CVOS_SPAWN_HIDDEN ? SW_HIDE : SW_SHOWMINNOACTIVE;
  }
  DWORD error = create_in_job(s, ret, &stage);
  return error ? diagnose(s, stage, error, ret_failure) : 0;
}

int cvos_attempt(const cvos_spawn_request *request, PROCESS_INFORMATION *ret, cvos_tree **ret_tree,
                 covey_failure *ret_failure)
{
  attempt s;
  memset(&s, 0, sizeof s);
  s.request = request;
  s.list = cvy_alloc((request->pass_count + 3) * sizeof *s.list);
  s.ours = cvy_alloc_zero(request->pass_count + 1, sizeof *s.ours);
  int r = s.list && s.ours
              ? convert(&s, ret_failure)
              : failed(ret_failure, COVEY_ENOMEM, COVEY_STAGE_LIMITS, ERROR_NOT_ENOUGH_MEMORY, -1, NULL);
  if (r == 0) r = make_job(&s, ret_failure);
  if (r == 0) {
    AcquireSRWLockExclusive(&inherit_lock);
    r = start_locked(&s, ret, ret_failure);
    end_inheritable(&s);
    ReleaseSRWLockExclusive(&inherit_lock);
  }
  if (r == 0) {
    *ret_tree = s.tree;
    if (s.tree) s.tree->leader = ret->dwProcessId;
    s.tree = NULL;
  }
  attempt_free(&s);
  return r;
}
