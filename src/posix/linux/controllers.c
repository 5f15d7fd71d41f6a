#include "posix/detail/controllers.h"

#include "os/fault.h"
#include "posix/linux/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TREE_MEMORY, TREE_PROCESSES, TREE_CPU, CONTROLLERS, CPU_PERIOD = 100000 };

static const struct controller {
  const char *name, *field;
  uint32_t cap;
} controllers[CONTROLLERS] = {{"memory", "launch.tree_memory", COVEY_CAP_LIMIT_MEMORY},
                              {"pids", "launch.tree_processes", COVEY_CAP_LIMIT_PROCESSES},
                              {"cpu", "launch.tree_cpu", COVEY_CAP_LIMIT_CPU}};

static uint64_t value_of(const covey_launch *l, int which)
{
  return which == TREE_MEMORY ? l->tree_memory : which == TREE_PROCESSES ? l->tree_processes : l->tree_cpu;
}

static bool has_word(const char *text, const char *word)
{
  size_t size = strlen(word);
  for (const char *at = text; *at;) {
    size_t n = strcspn(at, " \n");
    if (n == size && memcmp(at, word, n) == 0) return true;
    at += n + (at[n] != '\0');
  }
  return false;
}

/* Writes sign and name to the list of what folder hands out. */
static int change(const char *folder, char sign, const char *name)
{
  char path[1200], text[32];
  (void)snprintf(path, sizeof path, "%s/cgroup.subtree_control", folder);
  int fd = CVOS_CALL(OPEN, open(path, O_WRONLY | O_CLOEXEC), -1);
  if (fd < 0) return errno;
  int n = snprintf(text, sizeof text, "%c%s", sign, name);
  int error = CVOS_CALL(WRITE, write(fd, text, (size_t)n), -1) < 0 ? errno : 0;
  cvos_fd_close(fd);
  return error;
}

/* Whether a list of folder (cgroup.controllers, cgroup.subtree_control) names it. */
static bool names(const char *folder, const char *list, const char *name)
{
  char path[1200], text[512];
  (void)snprintf(path, sizeof path, "%s/%s", folder, list);
  return cvos_procfs_text(AT_FDCWD, path, text, sizeof text) >= 0 && has_word(text, name);
}

static int hand_out(const char *folder, const char *name)
{
  if (!*folder || !names(folder, "cgroup.controllers", name)) return ENOTSUP;
  if (names(folder, "cgroup.subtree_control", name)) return 0;
  return change(folder, '+', name) ? ENOTSUP : 0;
}

uint32_t cvos_controllers_caps(void)
{
  const char *own = cvos_cgroup_possible() ? cvos_cgroup_own() : "";
  uint32_t caps = 0;
  for (int i = 0; *own && i < CONTROLLERS; i++) {
    bool already = names(own, "cgroup.subtree_control", controllers[i].name);
    if (!already && hand_out(own, controllers[i].name) != 0) continue;
    caps |= controllers[i].cap;
    if (!already) (void)change(own, '-', controllers[i].name);
  }
  return caps;
}

const char *cvos_controllers_wanted(const covey_launch *launch)
{
  for (int i = 0; launch && i < CONTROLLERS; i++) {
    if (value_of(launch, i)) return controllers[i].field;
  }
  return NULL;
}

static int put(const cvos_cgroup *group, const char *file, const char *text)
{
  int fd = CVOS_CALL(OPEN, openat(group->folder, file, O_WRONLY | O_CLOEXEC), -1);
  if (fd < 0) return errno;
  int error = CVOS_CALL(WRITE, write(fd, text, strlen(text)), -1) < 0 ? errno : 0;
  cvos_fd_close(fd);
  return error;
}

static int put_limit(const cvos_cgroup *group, int which, uint64_t value)
{
  char text[64];
  (void)snprintf(text, sizeof text, "%" PRIu64, value);
  if (which == TREE_PROCESSES) return put(group, "pids.max", text);
  if (which == TREE_MEMORY) {
    int error = put(group, "memory.swap.max", "0");
    return error && error != ENOENT ? error : put(group, "memory.max", text); /* without swap no such file */
  }
  (void)snprintf(text, sizeof text, "%" PRIu64 " %d", value * (CPU_PERIOD / 1000), (int)CPU_PERIOD);
  return put(group, "cpu.max", text);
}

int cvos_controllers_set(cvos_cgroup *group, const covey_launch *l, const char **ret_field)
{
  group->limited = true;
  for (int i = 0; i < CONTROLLERS; i++) {
    if (!value_of(l, i)) continue;
    *ret_field = controllers[i].field;
    int error = hand_out(cvos_cgroup_own(), controllers[i].name);
    if (!error) error = hand_out(cvos_cgroup_base(), controllers[i].name);
    if (!error) error = put_limit(group, i, value_of(l, i));
    if (error) return error;
  }
  return 0;
}
