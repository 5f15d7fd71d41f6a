#include "win32/detail/windows.h"

#include "os/proclist.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/peb.h"
#include "win32/detail/text.h"

#include <sddl.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <winternl.h>

enum {
  INFO_PROCESSES = 5, /* SystemProcessInformation */
  SYSTEM_PID = 4,     /* the kernel's own process */
  MOST_BYTES = 1 << 28
};
#define INFO_LENGTH_MISMATCH ((NTSTATUS)0xC0000004)
#define ACCESS_DENIED        ((NTSTATUS)0xC0000022)

/* What NtQuerySystemInformation gives of one process, whole (winternl.h names half of it); the threads follow. */
typedef struct entry {
  ULONG next; /* bytes to the next one; 0: the last */
  ULONG threads;
  LARGE_INTEGER private_memory;
  ULONG hard_faults, most_threads;
  ULONGLONG cycles;
  LARGE_INTEGER start, user, kernel; /* 100 ns; start since 1601 */
  UNICODE_STRING name;
  LONG priority;
  HANDLE pid, parent;
  ULONG handles, session;
  ULONG_PTR key;
  SIZE_T most_virtual, virtual_size;
  ULONG page_faults;
  SIZE_T most_resident, resident;
} entry;

struct cvos_proclist {
  char *block;   /* owned: what the system wrote, which holds the names; wine aligns nothing in it */
  entry *sorted; /* owned: copies of the entries, by pid */
  size_t count, next;
  const entry *now; /* the current row's */
  HANDLE process;   /* of the current row, pinned; NULL: not asked for yet */
  DWORD refused;    /* why there is none; 0: not asked for yet */
  char *name, *exe, *cwd, *command;
  char sid[CVOS_SID_SIZE];
};

static int failed(DWORD error)
{
  SetLastError(error);
  return cvos_translate((int)error);
}

static int by_pid(const void *a, const void *b)
{
  ULONG_PTR x = (ULONG_PTR)((const entry *)a)->pid, y = (ULONG_PTR)((const entry *)b)->pid;
  return x < y ? -1 : x > y;
}

/* One call for all of them; again with more room as long as there are more than before. 0 or GetLastError. */
static DWORD snapshot(cvos_proclist *list)
{
  for (ULONG size = 1 << 16;;) {
    ULONG need = 0;
    list->block = cvy_alloc(size);
    if (!list->block) return ERROR_NOT_ENOUGH_MEMORY;
    NTSTATUS status = CVOS_CALL(
        PROCESS_LIST,
        NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)INFO_PROCESSES, list->block, size, &need),
        ACCESS_DENIED);
    if (status >= 0) return 0;
    cvy_free(list->block);
    list->block = NULL;
    if (status != INFO_LENGTH_MISMATCH || size > MOST_BYTES) return RtlNtStatusToDosError(status);
    size = need > size ? need + (need >> 3) : size * 2;
  }
}

/* Bytes to the next entry, 0: at is the last. */
static ULONG step(const char *at)
{
  ULONG next;
  memcpy(&next, at, sizeof next);
  return next;
}

int cvos_proclist_open(cvos_proclist **ret)
{
  cvos_proclist *list = cvy_alloc_zero(1, sizeof *list);
  if (!list) return failed(ERROR_NOT_ENOUGH_MEMORY);
  DWORD error = snapshot(list);
  if (!error) {
    size_t count = 1;
    for (const char *at = list->block; step(at); count++) at += step(at);
    list->sorted = cvy_alloc(count * sizeof *list->sorted);
    if (!list->sorted) error = ERROR_NOT_ENOUGH_MEMORY;
    const char *at = list->block;
    for (size_t i = 0; i < count && !error; i++) {
      entry *e = &list->sorted[list->count];
      memcpy(e, at, sizeof *e);
      at += e->next;
      /* number 0 is the idle loop of each processor; one without threads has ended, and somebody holds it still */
      if (e->pid && e->threads) list->count++;
    }
    if (!error) qsort(list->sorted, list->count, sizeof *list->sorted, by_pid);
  }
  if (error) {
    cvos_proclist_close(list);
    return failed(error);
  }
  *ret = list;
  return 0;
}

static const entry *find(const cvos_proclist *list, DWORD pid)
{
  entry key = {.pid = (HANDLE)(ULONG_PTR)pid};
  return bsearch(&key, list->sorted, list->count, sizeof key, by_pid);
}

static void let_go(cvos_proclist *list)
{
  if (list->process) (void)CloseHandle(list->process);
  list->process = NULL;
  list->refused = 0;
  cvy_free(list->name);
  cvy_free(list->exe);
  cvy_free(list->cwd);
  cvy_free(list->command);
  list->name = list->exe = list->cwd = list->command = NULL;
}

static void turn_to(cvos_proclist *list, const entry *e, cvos_proc *ret)
{
  let_go(list);
  list->now = e;
  *ret = (cvos_proc){.pid = (int64_t)(ULONG_PTR)e->pid, .start = (uint64_t)e->start.QuadPart};
  /* the number of a parent that has ended stays, and may be another's: a younger one's */
  const entry *parent = find(list, (DWORD)(ULONG_PTR)e->parent);
  if (parent && parent != e && parent->start.QuadPart <= e->start.QuadPart)
    ret->parent = (int64_t)(ULONG_PTR)e->parent;
  if (ret->pid == SYSTEM_PID) ret->flags |= CVOS_PROC_KERNEL;
}

int cvos_proclist_next(cvos_proclist *list, cvos_proc *ret)
{
  if (list->next == list->count) return 0;
  turn_to(list, &list->sorted[list->next++], ret);
  return 1;
}

int cvos_proclist_seek(cvos_proclist *list, int64_t pid, uint64_t start, cvos_proc *ret)
{
  const entry *e = pid > 0 && pid <= UINT32_MAX ? find(list, (DWORD)pid) : NULL;
  if (!e || (start && (uint64_t)e->start.QuadPart != start)) {
    SetLastError(ERROR_NOT_FOUND);
    return COVEY_ENOTFOUND;
  }
  turn_to(list, e, ret);
  return 0;
}

/* ---- reading: 0 or GetLastError ---- */

/* Holds the current process, and is sure that it is the one of the row. */
static DWORD hold(cvos_proclist *list)
{
  FILETIME made, ended, kernel, user;
  DWORD pid = (DWORD)(ULONG_PTR)list->now->pid;
  if (list->process || list->refused) return list->refused;
  /* its memory for its command line and directory; less must do where that is refused */
  HANDLE process =
      CVOS_CALL(PIDFD, OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, FALSE, pid), NULL);
  if (!process && GetLastError() == ERROR_ACCESS_DENIED)
    process = CVOS_CALL(PIDFD, OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid), NULL);
  DWORD error = process ? 0 : GetLastError();
  if (error == ERROR_INVALID_PARAMETER) error = ERROR_NOT_FOUND; /* nobody has the number */
  if (process &&
      (!CVOS_CALL(IDENTITY, GetProcessTimes(process, &made, &ended, &kernel, &user), FALSE) ||
       ((uint64_t)made.dwHighDateTime << 32 | made.dwLowDateTime) != (uint64_t)list->now->start.QuadPart)) {
    (void)CloseHandle(process);
    process = NULL;
    error = ERROR_NOT_FOUND;
  }
  list->process = process;
  list->refused = error;
  return error;
}

static DWORD narrow(const WCHAR *text, size_t count, char **ret)
{
  return cvos_text_narrow(text, count, ret) < 0 ? ERROR_NOT_ENOUGH_MEMORY : 0;
}

static DWORD read_name(cvos_proclist *list)
{
  const UNICODE_STRING *name = &list->now->name;
  size_t first = 0, count = name->Length / sizeof(WCHAR);
  if (list->name) return 0;
  for (size_t i = 0; i < count; i++)
    if (name->Buffer[i] == L'\\') first = i + 1;
  return narrow(name->Buffer ? name->Buffer + first : L"", name->Buffer ? count - first : 0, &list->name);
}

static DWORD image_path(WCHAR *buffer, DWORD capacity, const WCHAR *process)
{
  DWORD size = capacity;
  if (CVOS_CALL(READ, QueryFullProcessImageNameW((HANDLE)(uintptr_t)process, 0, buffer, &size), FALSE))
    return size;
  return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? capacity : 0;
}

static DWORD read_exe(cvos_proclist *list)
{
  DWORD error = list->exe ? 0 : hold(list);
  if (error || list->exe) return error;
  return cvos_text_get(image_path, (const WCHAR *)list->process, &list->exe) < 0 ? GetLastError() : 0;
}

static DWORD read_memory(cvos_proclist *list, int what, char **ret)
{
  WCHAR *text;
  size_t count;
  DWORD error = *ret ? 0 : hold(list);
  if (error || *ret) return error;
  error = cvos_peb_text(list->process, what, &text, &count);
  if (error) return error;
  /* a folder ends with its separator there, a drive's top keeps it */
  if (what == CVOS_PEB_CWD && count > 3 && text[count - 1] == L'\\') count--;
  error = narrow(text, count, ret);
  cvy_free(text);
  return error;
}

static DWORD read_user(cvos_proclist *list)
{
  union {
    TOKEN_USER user;
    char bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
  } who;
  WCHAR *text;
  DWORD size, error = hold(list);
  HANDLE token;
  if (error) return error;
  if (!CVOS_CALL(TOKEN, OpenProcessToken(list->process, TOKEN_QUERY, &token), FALSE)) return GetLastError();
  BOOL known = CVOS_CALL(TOKEN, GetTokenInformation(token, TokenUser, &who, sizeof who, &size), FALSE);
  error = known ? 0 : GetLastError();
  (void)CloseHandle(token);
  if (!error && !ConvertSidToStringSidW(who.user.User.Sid, &text)) error = GetLastError();
  if (error) return error;
  size_t i = 0;
  for (; text[i] && i + 1 < sizeof list->sid; i++) list->sid[i] = (char)text[i];
  list->sid[i] = '\0';
  (void)LocalFree(text);
  return 0;
}

static DWORD read_one(cvos_proclist *list, int what, cvos_proc *row)
{
  DWORD error = 0;
  const entry *e = list->now;
  switch (what) {
  case CVOS_PROC_NAME:
    error = read_name(list);
    row->name = list->name;
    break;
  case CVOS_PROC_EXE:
    error = read_exe(list);
    row->exe = list->exe;
    break;
  case CVOS_PROC_CWD:
    error = read_memory(list, CVOS_PEB_CWD, &list->cwd);
    row->cwd = list->cwd;
    break;
  case CVOS_PROC_COMMAND:
    error = read_memory(list, CVOS_PEB_COMMAND, &list->command);
    row->command = list->command;
    break;
  case CVOS_PROC_USER:
    error = read_user(list);
    row->uid = row->gid = -1;
    row->sid = list->sid;
    break;
  case CVOS_PROC_USAGE:
    row->user_us = e->user.QuadPart / 10;
    row->system_us = e->kernel.QuadPart / 10;
    row->memory = (int64_t)e->resident;
    break;
  default: error = ERROR_NOT_SUPPORTED;
  }
  return error;
}

int cvos_proclist_read(cvos_proclist *list, int what, cvos_proc *row)
{
  if ((row->flags & CVOS_PROC_KERNEL) && what != CVOS_PROC_NAME && what != CVOS_PROC_USAGE) {
    SetLastError(ERROR_NOT_SUPPORTED);
    return COVEY_ENOTSUP;
  }
  DWORD error = read_one(list, what, row);
  return error ? failed(error) : 0;
}

void cvos_proclist_close(cvos_proclist *list)
{
  if (!list) return;
  DWORD saved = GetLastError();
  let_go(list);
  cvy_free(list->sorted);
  cvy_free(list->block);
  cvy_free(list);
  SetLastError(saved);
}

/* ---- accounts ---- */

/* The SID (owned, LocalFree) that text is or names. 0 or GetLastError. */
static DWORD find_sid(const WCHAR *text, PSID *ret)
{
  DWORD sid_size = SECURITY_MAX_SID_SIZE, domain_size = 256;
  WCHAR domain[256];
  SID_NAME_USE kind;
  /* two letters alone are names of groups for that call ("BA"), and may be an account's here */
  if ((text[0] == L'S' || text[0] == L's') && text[1] == L'-' && ConvertStringSidToSidW(text, ret)) return 0;
  PSID sid = LocalAlloc(LMEM_FIXED, sid_size);
  if (!sid) return ERROR_NOT_ENOUGH_MEMORY;
  if (CVOS_CALL(TOKEN, LookupAccountNameW(NULL, text, sid, &sid_size, domain, &domain_size, &kind), FALSE)) {
    *ret = sid;
    return 0;
  }
  DWORD error = GetLastError();
  (void)LocalFree(sid);
  return error;
}

int cvos_account_find(const char *text, int64_t *ret_uid, char ret_sid[CVOS_SID_SIZE])
{
  WCHAR *wide, *sid_text;
  PSID sid;
  int r = cvos_text_wide(text, &wide, NULL);
  if (r < 0) return r;
  DWORD error = *wide ? find_sid(wide, &sid) : ERROR_NOT_FOUND;
  cvy_free(wide);
  if (error) return failed(error);
  if (!ConvertSidToStringSidW(sid, &sid_text)) error = GetLastError();
  (void)LocalFree(sid);
  if (error) return failed(error);
  size_t i = 0;
  for (; sid_text[i] && i + 1 < CVOS_SID_SIZE; i++) ret_sid[i] = (char)sid_text[i];
  ret_sid[i] = '\0';
  (void)LocalFree(sid_text);
  *ret_uid = -1;
  return 0;
}

int cvos_account_name(int64_t uid, const char *sid, char **ret)
{
  WCHAR name[257], domain[256];
  DWORD name_size = 257, domain_size = 256, error = 0;
  WCHAR *wide;
  SID_NAME_USE kind;
  PSID binary;
  (void)uid;
  int r = cvos_text_wide(sid, &wide, NULL);
  if (r < 0) return r;
  if (!ConvertStringSidToSidW(wide, &binary)) error = GetLastError();
  cvy_free(wide);
  if (error) return failed(error == ERROR_INVALID_SID ? ERROR_NONE_MAPPED : error);
  if (!CVOS_CALL(TOKEN, LookupAccountSidW(NULL, binary, name, &name_size, domain, &domain_size, &kind),
                 FALSE))
    error = GetLastError();
  (void)LocalFree(binary);
  if (error) return failed(error);
  return cvos_text_narrow(name, wcslen(name), ret);
}
