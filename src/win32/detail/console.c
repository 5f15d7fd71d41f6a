#include "win32/detail/windows.h"

#include "core/mem.h"
#include "os/fault.h"
#include "win32/detail/tree.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <winternl.h>

enum { MOST_PATH = 32768, IMAGE_INFORMATION = 37, SUBSYSTEM_GUI = 2 };

/* SECTION_IMAGE_INFORMATION of the kernel, which takes no other size: 64 bytes, 48 where an address has 4 */
typedef struct image_information {
  void *start;
  ULONG zero_bits;
  SIZE_T stack, committed;
  ULONG subsystem;
  ULONG rest[7];
} image_information;

/* False only when it is known to be a program with windows: no console hears for it. */
static bool may_have_console(DWORD pid)
{
  image_information image = {.subsystem = 0};
  ULONG size;
  /* for which class the lesser right is enough is not written anywhere; ours give us both */
  HANDLE process = OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, pid);
  if (!process) process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
  if (!process) return false;
  NTSTATUS status =
      NtQueryInformationProcess(process, (PROCESSINFOCLASS)IMAGE_INFORMATION, &image, sizeof image, &size);
  (void)CloseHandle(process);
  return status < 0 || image.subsystem != SUBSYSTEM_GUI;
}

/* covey.exe beside that module, if it is there. */
static bool beside(HMODULE module, WCHAR *path)
{
  DWORD n = GetModuleFileNameW(module, path, MOST_PATH - 16);
  if (n == 0 || n >= MOST_PATH - 16) return false;
  while (n && path[n - 1] != L'\\' && path[n - 1] != L'/') n--;
  memcpy(path + n, L"covey.exe", sizeof L"covey.exe");
  DWORD is = GetFileAttributesW(path);
  return is != INVALID_FILE_ATTRIBUTES && !(is & FILE_ATTRIBUTE_DIRECTORY);
}

static const char find_tool_anchor = 0; /* an address in the library */

/* Beside the program, or beside the library. Owned; NULL: nowhere. Wine has no CTRL_BREAK that the tool could send: nowhere. */
static WCHAR *find_tool(void)
{
  HMODULE system = GetModuleHandleW(L"ntdll.dll");
  if (system && GetProcAddress(system, "wine_get_version")) return NULL;
  WCHAR *path = cvy_alloc(MOST_PATH * sizeof *path);
  HMODULE ours = NULL;
  if (!path || beside(NULL, path)) return path;
  DWORD how = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (GetModuleHandleExW(how, (LPCWSTR)(const void *)&find_tool_anchor, &ours) && beside(ours, path))
    return path;
  cvy_free(path);
  return NULL;
}

bool cvos_console_tool(void)
{
  DWORD saved = GetLastError();
  WCHAR *path = find_tool();
  bool found = path != NULL;
  cvy_free(path);
  SetLastError(saved);
  return found;
}

DWORD cvos_console_ask(DWORD pid)
{
  STARTUPINFOW info = {.cb = sizeof info};
  PROCESS_INFORMATION made;
  WCHAR line[40];
  if (!may_have_console(pid)) return ERROR_NOT_SUPPORTED;
  WCHAR *tool = find_tool();
  if (!tool) return ERROR_FILE_NOT_FOUND;
  (void)swprintf(line, sizeof line / sizeof line[0], L"covey.exe --ask %lu", (unsigned long)pid);
  BOOL done = CVOS_CALL(
      CREATE_PROCESS,
      CreateProcessW(tool, line, NULL, NULL, FALSE, DETACHED_PROCESS, NULL, NULL, &info, &made), FALSE);
  DWORD error = done ? 0 : GetLastError();
  cvy_free(tool);
  if (done) {
    (void)CloseHandle(made.hThread);
    (void)CloseHandle(made.hProcess);
  }
  return error;
}
