/* What a test has left behind: zombies, marked processes, control groups. */
#include "system.h"
#include "posix/detail/cgroup.h"
#include "posix/detail/system.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static bool no_zombie(void *pid)
{
  siginfo_t info = {0};
  bool one = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && cvos_says_ended(&info, info.si_pid);
  *(pid_t *)pid = one ? info.si_pid : 0;
  return *(pid_t *)pid == 0;
}

int test_system_left(int64_t ms, char *text, size_t capacity)
{
  pid_t pid = 0;
  size_t n = 0;
  int count = 0;
  text[0] = '\0';
  if (test_wait_until(no_zombie, &pid, ms)) return 0;
  while (!no_zombie(&pid) && waitpid(pid, NULL, 0) == pid) {
    count++;
    if (n + 1 < capacity) n += (size_t)snprintf(text + n, capacity - n, "%d ", (int)pid);
  }
  return count;
}

/* ---- the sweep: by the environment in /proc, Linux only ---- */

#if defined(__linux__)
static bool is_marked(const char *pid, const char *mark)
{
  char path[64], wanted[128], block[16384];
  size_t length = (size_t)snprintf(wanted, sizeof wanted, "COVEY_TEST_MARK=%s", mark), n = 0, size;
  FILE *f;
  snprintf(path, sizeof path, "/proc/%s/environ", pid);
  f = fopen(path, "re");
  if (!f) return false;
  size = fread(block, 1, sizeof block - 1, f);
  fclose(f);
  block[size] = '\0';
  for (; n < size; n += strlen(block + n) + 1)
    if (strncmp(block + n, wanted, length) == 0 && (block[n + length] == '\0' || block[n + length] == '.'))
      return true;
  return false;
}

static void describe(const char *pid, char *text, size_t capacity)
{
  char path[64], line[256] = "";
  FILE *f;
  size_t size = 0;
  snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
  f = fopen(path, "re");
  if (f) {
    size = fread(line, 1, sizeof line - 1, f);
    fclose(f);
  }
  for (size_t i = 0; i < size; i++)
    if (line[i] == '\0' || line[i] == '\n') line[i] = ' ';
  snprintf(text, capacity, "%s %s; ", pid, line);
}

typedef struct sweep {
  const char *mark;
  bool kills;
  int count;
  char *text;
  size_t capacity;
} sweep;

static bool nobody_left(void *arg)
{
  sweep *s = arg;
  DIR *dir = opendir("/proc");
  struct dirent *entry;
  size_t n = 0;
  s->count = 0;
  s->text[0] = '\0';
  while (dir && (entry = readdir(dir))) {
    long pid = strtol(entry->d_name, NULL, 10);
    if (pid <= 1 || pid == (long)getpid() || !is_marked(entry->d_name, s->mark)) continue;
    s->count++;
    if (n + 1 < s->capacity) {
      describe(entry->d_name, s->text + n, s->capacity - n);
      n = strlen(s->text);
    }
    if (s->kills) kill((pid_t)pid, SIGKILL);
  }
  if (dir) closedir(dir);
  return s->count == 0;
}

int test_system_sweep(const char *mark, int64_t ms, char *text, size_t capacity)
{
  sweep s = {mark, false, 0, text, capacity};
  char again[64];
  int count;
  if (test_wait_until(nobody_left, &s, ms)) return 0;
  count = s.count;
  s = (sweep){mark, true, 0, again, sizeof again};
  test_wait_until(nobody_left, &s, 5000);
  return count;
}
#else
int test_system_sweep(const char *mark, int64_t ms, char *text, size_t capacity)
{
  (void)mark;
  (void)ms;
  if (capacity) text[0] = '\0';
  return 0;
}
#endif

/* Folders are covey.NAMESPACE.PID.START, beside our own, or in the group of a program that runs in another's. */
static bool has_group(const char *path, const char *part)
{
  DIR *folder = opendir(path);
  bool found = false;
  if (!folder) return false;
  for (struct dirent *entry; !found && (entry = readdir(folder));) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    found = (strncmp(entry->d_name, "covey.", 6) == 0 && strstr(entry->d_name, part)) ||
            has_group(test_format("%s/%s", path, entry->d_name), part);
  }
  closedir(folder);
  return found;
}

static bool no_groups(void *arg)
{
  char beside[1100], part[32];
  snprintf(beside, sizeof beside, "%s", cvos_cgroup_base());
  snprintf(part, sizeof part, ".%lld.", (long long)*(int64_t *)arg);
  char *end = strrchr(beside, '/');
  if (!end) return true;
  *end = '\0';
  return !has_group(beside, part);
}

bool test_groups_gone(int64_t pid, int64_t ms)
{
  return test_wait_until(no_groups, &pid, ms);
}
