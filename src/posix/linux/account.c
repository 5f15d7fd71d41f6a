/* What a control group counts, and its suspension. */
#include "posix/detail/cgroup.h"

#include "os/fault.h"
#include "posix/detail/account.h"
#include "posix/detail/system.h"
#include "posix/linux/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FREEZE_MS = 1000 };

/* The number behind a word at the beginning of a line; -1: it is not there. */
static int64_t value_of(const char *text, const char *word)
{
  size_t size = strlen(word);
  for (const char *at = text; at; at = strchr(at, '\n')) {
    if (at != text) at++;
    if (strncmp(at, word, size) == 0 && at[size] == ' ') return strtoll(at + size, NULL, 10);
  }
  return -1;
}

static bool read_file(int folder, const char *name, char *text, size_t size)
{
  return cvos_procfs_text(folder, name, text, size) >= 0;
}

static int64_t read_number(int folder, const char *name)
{
  char text[64];
  return read_file(folder, name, text, sizeof text) ? strtoll(text, NULL, 10) : -1;
}

void cvos_account_times(int folder, int64_t *ret_user, int64_t *ret_system)
{
  char text[1024];
  *ret_user = *ret_system = -1;
  if (!read_file(folder, "cpu.stat", text, sizeof text)) return;
  *ret_user = value_of(text, "user_usec");
  *ret_system = value_of(text, "system_usec");
}

void cvos_account_memory(int folder, int64_t *ret_now, int64_t *ret_peak)
{
  *ret_now = read_number(folder, "memory.current");
  *ret_peak = read_number(folder, "memory.peak");
}

/* Whether everybody in it stands still already. */
static bool is_frozen(int folder)
{
  char text[128];
  return !read_file(folder, "cgroup.events", text, sizeof text) || value_of(text, "frozen") != 0;
}

int cvos_account_freeze(int folder, bool frozen)
{
  int fd = CVOS_CALL(OPEN, openat(folder, "cgroup.freeze", O_WRONLY | O_CLOEXEC), -1);
  if (fd < 0) return errno;
  int error = CVOS_CALL(SIGNAL, write(fd, frozen ? "1" : "0", 1), -1) < 0 ? errno : 0;
  cvos_fd_close(fd);
  for (int64_t until = cvos_clock_ms() + FREEZE_MS; !error && frozen && !is_frozen(folder);) {
    if (cvos_clock_ms() >= until)
      break; /* one is in the middle of something long: it stands still behind it */
    cvos_sleep_ms(1);
  }
  return error;
}
