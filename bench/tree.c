#include "bench.h"

#include <covey/process.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every process of a tree holds the writing end of a pipe, so its end of file says that all of them are gone. */
enum { CROWD = 1000, LIFE = 120 }; /* seconds after which they end by themselves, whatever became of us */

/* One byte, then nothing until somebody kills it. */
static void stay(int fd)
{
  alarm(LIFE);
  if (write(fd, "x", 1) != 1) _exit(1);
  for (;;) pause();
}

/* A third stays in our group, a third goes into sessions of its own, a third forks twice besides and so is nobody's child. */
int child_tree(uint64_t count)
{
  for (uint64_t i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) {
      if (i % 3 != 0) setsid();
      if (i % 3 == 2 && fork() != 0) _exit(0);
      stay(1);
    }
    if (i % 3 == 2) waitpid(pid, NULL, 0);
  }
  stay(1);
  return 0;
}

/* Reads until count bytes came, or, with 0, until the end. */
static void await(int fd, size_t count)
{
  char data[CROWD + 1];
  for (size_t got = 0; count == 0 || got < count;) {
    if (poll(&(struct pollfd){fd, POLLIN, 0}, 1, 30000) != 1) bench_fail("tree: somebody is left", 0);
    ssize_t n = read(fd, data, sizeof data);
    if (n < 0) bench_fail("read", errno);
    if (n == 0) {
      if (count) bench_fail("tree: somebody is missing", 0);
      return;
    }
    got += (size_t)n;
  }
}

static void open_pipe(int ends[2])
{
  if (pipe(ends) || fcntl(ends[0], F_SETFD, FD_CLOEXEC) || fcntl(ends[1], F_SETFD, FD_CLOEXEC))
    bench_fail("pipe", errno);
}

/* From the call until nobody holds the pipe and the handle is closed. */
static uint64_t kill_tree(void)
{
  char number[16];
  snprintf(number, sizeof number, "%d", CROWD);
  const char *const argv[] = {bench_self, "--child", "tree", number, NULL};
  int ends[2];
  covey_process *process;
  open_pipe(ends);
  int r = covey_spawn(&(covey_process_options){.argv = argv, .out = {COVEY_STDIO_NATIVE, .native = ends[1]}},
                      &process);
  if (r) bench_fail("covey_spawn", r);
  close(ends[1]);
  await(ends[0], CROWD + 1);
  uint64_t start = bench_ns();
  r = covey_process_kill(process);
  if (r) bench_fail("covey_process_kill", r);
  await(ends[0], 0);
  r = covey_process_wait(process, 30000, NULL);
  if (r) bench_fail("covey_process_wait", r);
  covey_process_close(process);
  uint64_t taken = bench_ns() - start;
  close(ends[0]);
  return taken;
}

/* As many children of which each number is known: a signal and a wait for each. */
static uint64_t kill_each(void)
{
  static pid_t pids[CROWD + 1];
  int ends[2];
  open_pipe(ends);
  for (size_t i = 0; i <= CROWD; i++) {
    pids[i] = fork();
    if (pids[i] < 0) bench_fail("fork", errno);
    if (pids[i] == 0) stay(ends[1]);
  }
  close(ends[1]);
  await(ends[0], CROWD + 1);
  uint64_t start = bench_ns();
  for (size_t i = 0; i <= CROWD; i++) kill(pids[i], SIGKILL);
  await(ends[0], 0);
  for (size_t i = 0; i <= CROWD; i++) waitpid(pids[i], NULL, 0);
  uint64_t taken = bench_ns() - start;
  close(ends[0]);
  return taken;
}

void bench_tree(void)
{
  enum { ROUNDS = 11 };
  size_t rounds = bench_quick ? 3 : ROUNDS;
  uint64_t ours[ROUNDS], raw[ROUNDS];
  for (size_t i = 0; i < rounds; i++) {
    raw[i] = kill_each();
    ours[i] = kill_tree();
  }
  bench_report("tree", "kill of 1,000, escapees too", (double)bench_median(ours, rounds) / 1e6,
               (double)bench_median(raw, rounds) / 1e6, "ms", "kill, wait of each child", 0, true);
}
