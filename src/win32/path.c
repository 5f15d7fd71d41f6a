#include "win32/detail/windows.h"

#include "os/path.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/text.h"

#include <string.h>

char cvos_path_separator(void)
{
  return '\\';
}
char cvos_path_list_separator(void)
{
  return ';';
}

const char *cvos_path_extensions(void)
{
  return ".COM;.EXE;.BAT;.CMD";
}

static DWORD get_system(WCHAR *buffer, DWORD capacity, const WCHAR *arg)
{
  (void)arg;
  return CVOS_CALL(STAT, GetSystemDirectoryW(buffer, capacity), 0);
}

static DWORD get_windows(WCHAR *buffer, DWORD capacity, const WCHAR *arg)
{
  (void)arg;
  return CVOS_CALL(STAT, GetWindowsDirectoryW(buffer, capacity), 0);
}

int cvos_path_search_default(char **ret)
{
  char *system, *windows;
  int r = cvos_text_get(get_system, NULL, &system);
  if (r < 0) return r;
  r = cvos_text_get(get_windows, NULL, &windows);
  if (r == 0) {
    size_t n = strlen(system), m = strlen(windows);
    char *both = cvy_alloc(n + m + 2);
    if (both) {
      memcpy(both, system, n);
      both[n] = ';';
      memcpy(both + n + 1, windows, m + 1);
      *ret = both;
    } else {
      SetLastError(ERROR_NOT_ENOUGH_MEMORY);
      r = COVEY_ENOMEM;
    }
    cvy_free(windows);
  }
  cvy_free(system);
  return r;
}

static bool is_separator(char c)
{
  return c == '\\' || c == '/';
}
static bool has_drive(const char *path)
{
  return ((path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z')) && path[1] == ':';
}

bool cvos_path_is_absolute(const char *path)
{
  return (has_drive(path) && is_separator(path[2])) || (is_separator(path[0]) && is_separator(path[1]));
}

bool cvos_path_has_folder(const char *name)
{
  return has_drive(name) || strpbrk(name, "\\/") != NULL;
}

static DWORD get_full(WCHAR *buffer, DWORD capacity, const WCHAR *arg)
{
  return CVOS_CALL(STAT, GetFullPathNameW(arg, capacity, buffer, NULL), 0);
}

int cvos_path_absolute(const char *path, char **ret)
{
  WCHAR *name;
  int r = cvos_text_wide(path, &name, NULL);
  if (r < 0) return r;
  r = cvos_text_get(get_full, name, ret);
  cvy_free(name);
  return r;
}

int cvos_path_program(const char *path)
{
  WCHAR *name;
  int r = cvos_text_path(path, &name);
  if (r < 0) return r;
  DWORD attributes = CVOS_CALL(STAT, GetFileAttributesW(name), INVALID_FILE_ATTRIBUTES);
  DWORD error = attributes == INVALID_FILE_ATTRIBUTES     ? GetLastError()
                : (attributes & FILE_ATTRIBUTE_DIRECTORY) ? ERROR_ACCESS_DENIED
                                                          : 0;
  cvy_free(name);
  if (!error) return 0;
  /* a name that cannot be one is not there */
  if (error == ERROR_INVALID_NAME || error == ERROR_BAD_PATHNAME || error == ERROR_DIRECTORY)
    error = ERROR_FILE_NOT_FOUND;
  SetLastError(error);
  return cvos_translate((int)error);
}

static DWORD get_current(WCHAR *buffer, DWORD capacity, const WCHAR *arg)
{
  (void)arg;
  return CVOS_CALL(STAT, GetCurrentDirectoryW(capacity, buffer), 0);
}

int cvos_path_current(char **ret)
{
  return cvos_text_get(get_current, NULL, ret);
}

static DWORD get_self(WCHAR *buffer, DWORD capacity, const WCHAR *arg)
{
  (void)arg;
  return CVOS_CALL(STAT, GetModuleFileNameW(NULL, buffer, capacity), 0);
}

int cvos_path_self(char **ret)
{
  return cvos_text_get(get_self, NULL, ret);
}

static DWORD get_temporary(WCHAR *buffer, DWORD capacity, const WCHAR *arg)
{
  (void)arg;
  return CVOS_CALL(STAT, GetTempPathW(capacity, buffer), 0);
}

int cvos_path_temporary(char **ret)
{
  int r = cvos_text_get(get_temporary, NULL, ret);
  if (r < 0) return r;
  size_t n = strlen(*ret);
  while (n > 3 && is_separator((*ret)[n - 1])) (*ret)[--n] = '\0';
  return 0;
}

int cvos_path_system(char **ret)
{
  return cvos_text_get(get_system, NULL, ret);
}
