#include "posix/detail/posix.h"

#include "os/path.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char cvos_path_separator(void)
{
  return '/';
}
char cvos_path_list_separator(void)
{
  return ':';
}

const char *cvos_path_extensions(void)
{
  return "";
}

static int owned(const char *text, char **ret)
{
  char *copy = cvy_strdup(text);
  if (!copy) {
    errno = ENOMEM;
    return COVEY_ENOMEM;
  }
  *ret = copy;
  return 0;
}

int cvos_path_search_default(char **ret)
{
  char text[512];
  size_t size = confstr(_CS_PATH, text, sizeof text);
  return owned(size && size <= sizeof text ? text : "/usr/bin:/bin", ret);
}

bool cvos_path_is_absolute(const char *path)
{
  return path[0] == '/';
}
bool cvos_path_has_folder(const char *name)
{
  return strchr(name, '/') != NULL;
}

int cvos_path_absolute(const char *path, char **ret)
{
  if (cvos_path_is_absolute(path)) return owned(path, ret);
  char *folder = NULL;
  int r = cvos_path_current(&folder);
  if (r < 0) return r;
  size_t n = strlen(folder), m = strlen(path);
  bool slash = n > 0 && folder[n - 1] != '/';
  char *joined = cvy_realloc(folder, n + slash + m + 1);
  if (!joined) {
    cvy_free(folder);
    errno = ENOMEM;
    return COVEY_ENOMEM;
  }
  if (slash) joined[n] = '/';
  memcpy(joined + n + slash, path, m + 1);
  *ret = joined;
  return 0;
}

int cvos_path_program(const char *path)
{
  struct stat about;
  if (CVOS_CALL(STAT, stat(path, &about), -1) < 0) return cvos_translate(errno);
  if (!S_ISREG(about.st_mode)) {
    errno = EACCES;
    return COVEY_EACCES;
  }
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0) return cvos_translate(errno);
  return 0;
}

int cvos_path_current(char **ret)
{
  for (size_t size = 1024; size <= (size_t)1 << 24; size *= 2) {
    char *text = cvy_alloc(size);
    if (!text) break;
    if (CVOS_CALL(STAT, getcwd(text, size), NULL)) {
      *ret = text;
      return 0;
    }
    cvy_free(text);
    if (errno != ERANGE) return cvos_translate(errno);
  }
  errno = ENOMEM;
  return COVEY_ENOMEM;
}

int cvos_path_self(char **ret)
{
  return cvos_system_self(ret);
}

int cvos_path_temporary(char **ret)
{
  const char *text = getenv("TMPDIR");
  if (!text || text[0] != '/') text = "/tmp";
  int r = owned(text, ret);
  if (r == 0) {
    size_t n = strlen(*ret);
    while (n > 1 && (*ret)[n - 1] == '/') (*ret)[--n] = '\0';
  }
  return r;
}

int cvos_path_system(char **ret)
{
  (void)ret;
  errno = ENOTSUP;
  return COVEY_ENOTSUP;
}
