#include "bench.h"

#include <covey/find.h>
#include <covey/process.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CROWD = 1000 };

/* Processes that do nothing until the pipe ends. */
static void crowd_begin(pid_t *pids, size_t count, int ends[2])
{
  if (pipe(ends)) bench_fail("pipe", 0);
  for (size_t i = 0; i < count; i++) {
    pids[i] = fork();
    if (pids[i] < 0) bench_fail("fork", 0);
    if (pids[i] > 0) continue;
    char c;
    close(ends[1]);
    while (read(ends[0], &c, 1) > 0) continue;
    _exit(0);
  }
}

static void crowd_end(const pid_t *pids, size_t count, const int ends[2])
{
  close(ends[0]);
  close(ends[1]);
  for (size_t i = 0; i < count; i++) waitpid(pids[i], NULL, 0);
}

static uint64_t find_once(size_t least)
{
  uint64_t start = bench_ns();
  covey_find_result found;
  int r = covey_find(&(covey_find_options){.pattern = "covey_b[e]nch( |$)",
                                           .fields = COVEY_FIELD_NAME | COVEY_FIELD_COMMAND},
                     &found);
  if (r < (int)least) bench_fail("covey_find", r);
  covey_find_free(&found);
  return bench_ns() - start;
}

/* A program with its output thrown away: 0 when it is not here. */
static uint64_t run_once(const char *const *argv)
{
  uint64_t start = bench_ns();
  int r = covey_run(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_NULL}, NULL);
  return r < 0 ? 0 : bench_ns() - start;
}

static void read_file(int folder, const char *pid, const char *name)
{
  char path[300], text[8192];
  snprintf(path, sizeof path, "%s/%s", pid, name);
  int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, text, sizeof text) < 0) bench_fail("read", 0);
  close(fd);
}

/* The same files by nothing but system calls: no look at what they say. */
static uint64_t pass_once(void)
{
  uint64_t start = bench_ns();
  DIR *folder = opendir("/proc");
  if (!folder) return 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    read_file(dirfd(folder), entry->d_name, "stat");
    read_file(dirfd(folder), entry->d_name, "cmdline");
  }
  closedir(folder);
  return bench_ns() - start;
}

void bench_find(void)
{
  enum { ROUNDS = 41 };
  static const char *const ps[] = {"ps", "-eo", "pid,args", NULL}, *const pgrep[] = {"pgrep", "-f",
                                                                                     "covey_b[e]nch", NULL};
  static pid_t pids[CROWD];
  int ends[2];
  size_t rounds = bench_quick ? 11 : ROUNDS;
  uint64_t ours[ROUNDS], listed[ROUNDS], searched[ROUNDS], plain[ROUNDS];
  crowd_begin(pids, CROWD, ends);
  (void)find_once(CROWD);
  for (size_t i = 0; i < rounds; i++) {
    ours[i] = find_once(CROWD);
    listed[i] = run_once(ps);
    searched[i] = run_once(pgrep);
    plain[i] = pass_once();
  }
  crowd_end(pids, CROWD, ends);
  double found = (double)bench_median(ours, rounds) / 1000000;
  double other = (double)bench_median(listed, rounds) / 1000000;
  if (other > 0)
    bench_report("find", "regex over 1,000 processes", found, other, "ms", "ps -eo pid,args", 1, true);
  other = (double)bench_median(searched, rounds) / 1000000;
  if (other > 0) bench_report("find", "the same", found, other, "ms", "pgrep -f", 1, true);
  other = (double)bench_median(plain, rounds) / 1000000;
  if (other > 0) bench_report("find", "the same", found, other, "ms", "open, read, close", 0, true);
}
