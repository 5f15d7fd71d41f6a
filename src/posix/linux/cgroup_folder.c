#include "posix/linux/cgroup_folder.h"

#include "os/fault.h"
#include "posix/detail/posix.h"
#include "posix/detail/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  PATH_MOST = 1024,
  NESTED = 16 /* groups below one that are taken away with it: two for each program in a program */
};

static uint64_t space; /* our pid namespace */

/* ---- where ---- */

/* "\040" stands for a blank in mountinfo. */
static void unescape(char *text)
{
  char *to = text;
  for (const char *from = text; *from; to++) {
    if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
      *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
      from += 4;
    } else {
      *to = *from++;
    }
  }
  *to = '\0';
}

/* Our group's path inside the hierarchy of v2: the line "0::/path". */
static bool read_group(char *ret, size_t size)
{
  FILE *file = fopen("/proc/self/cgroup", "re");
  char line[PATH_MOST];
  bool found = false;
  while (file && !found && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    found = strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < size;
    if (found) memcpy(ret, line + 3, strlen(line + 3) + 1);
  }
  if (file) (void)fclose(file);
  return found;
}

/* The part of group below root, the folder of the hierarchy that is mounted; NULL when it is not below it. */
static const char *below(const char *root, const char *group)
{
  size_t n = strlen(root);
  if (n == 1) return group;
  if (strncmp(root, group, n) != 0 || (group[n] != '\0' && group[n] != '/')) return NULL;
  return group + n;
}

bool cvos_cgroup_find_own(char *ret, size_t size)
{
  char group[PATH_MOST], line[2 * PATH_MOST], root[PATH_MOST], mount[PATH_MOST];
  bool found = false;
  if (!read_group(group, sizeof group)) return false;
  FILE *file = fopen("/proc/self/mountinfo", "re");
  while (file && !found && fgets(line, sizeof line, file)) {
    if (!strstr(line, " - cgroup2 ") || sscanf(line, "%*d %*d %*s %1023s %1023s", root, mount) != 2) continue;
    unescape(root);
    unescape(mount);
    const char *rest = below(root, group);
    if (!rest) continue;
    int n = snprintf(ret, size, "%s%s", mount, strcmp(rest, "/") == 0 ? "" : rest);
    found = n > 0 && (size_t)n < size && access(ret, W_OK) == 0;
  }
  if (file) (void)fclose(file);
  return found;
}

/* ---- programs' folders ---- */

/* Is this a program's folder, and is the program gone? Nobody knows of those in another pid namespace. */
enum { NO_OWNER, OWNER_GONE, OWNER_LIVES };

static int owner_of(const char *name)
{
  unsigned long long where, start;
  int pid;
  cvos_entry now;
  if (sscanf(name, "covey.%llu.%d.%llu", &where, &pid, &start) != 3) return NO_OWNER;
  if (where != space) return OWNER_LIVES;
  int error = cvos_system_entry(pid, &now);
  return error == ESRCH || (!error && now.start != start) ? OWNER_GONE : OWNER_LIVES;
}

/* True when nobody lives in the group of this folder, nor below it. */
static bool is_deserted(int folder)
{
  char text[64];
  ssize_t n = -1;
  int fd = openat(folder, "cgroup.events", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) n = read(fd, text, sizeof text - 1);
  cvos_fd_close(fd);
  text[n > 0 ? n : 0] = '\0';
  return strstr(text, "populated 0") != NULL;
}

/* Takes a group away, and what a program that lived in it left there when it was killed together with its guard: as far as nobody lives in
 * it, and it is of nobody who lives elsewhere by now. 0 or -1. */
static int remove_group(int at, const char *name, int depth)
{
  if (CVOS_CALL(REMOVE, unlinkat(at, name, AT_REMOVEDIR), -1) == 0) return 0;
  if (errno != EBUSY || depth == 0) return -1;
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = fd >= 0 && is_deserted(fd) ? fdopendir(fd) : NULL;
  if (!folder) {
    cvos_fd_close(fd);
    return -1;
  }
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && owner_of(entry->d_name) != OWNER_LIVES)
      (void)remove_group(dirfd(folder), entry->d_name, depth - 1);
  }
  (void)closedir(folder);
  return unlinkat(at, name, AT_REMOVEDIR);
}

void cvos_cgroup_clean(const char *own)
{
  DIR *folder = opendir(own);
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (owner_of(entry->d_name) == OWNER_GONE) (void)remove_group(dirfd(folder), entry->d_name, NESTED);
  }
  (void)closedir(folder);
}

int cvos_cgroup_remove(int at, const char *name)
{
  return remove_group(at, name, NESTED);
}

int cvos_cgroup_name(const char *own, char *ret, size_t size)
{
  cvos_entry self;
  int error = cvos_system_entry(getpid(), &self);
  space = cvos_system_namespace();
  if (error) return error;
  (void)snprintf(ret, size, "%s/covey.%llu.%d.%llu", own, (unsigned long long)space, (int)getpid(),
                 (unsigned long long)self.start);
  return 0;
}
