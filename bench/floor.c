#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <unistd.h>

extern char **environ;

int64_t floor_vfork(const char *program)
{
  char *argv[] = {(char *)program, NULL};
  uint64_t start = bench_ns();
  pid_t pid = vfork();
  if (pid == 0) {
    execve(program, argv, environ);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) bench_fail("vfork", errno);
  return (int64_t)(bench_ns() - start);
}

/* What a caller needs who has more than one child to wait for: a pidfd of each. */
static pid_t start_with_pidfd(const char *program, int *ret_pidfd)
{
  char *argv[] = {(char *)program, NULL};
  *ret_pidfd = -1;
  pid_t pid = vfork();
  if (pid == 0) {
    execve(program, argv, environ);
    _exit(127);
  }
  if (pid < 0) bench_fail("vfork", errno);
#if defined(SYS_pidfd_open)
  *ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
#endif
  return pid;
}

int64_t floor_many(const char *program, size_t count)
{
  struct pollfd *list = calloc(count, sizeof *list);
  pid_t *pids = calloc(count, sizeof *pids);
  if (!list || !pids) bench_fail("memory", 0);
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count; i++) {
    pids[i] = start_with_pidfd(program, &list[i].fd);
    list[i].events = POLLIN;
  }
  for (size_t i = 0; i < count; i++) {
    int status = 0;
    if (list[i].fd >= 0 && poll(&list[i], 1, -1) != 1) bench_fail("poll", errno);
    if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) bench_fail("waitpid", errno);
    if (list[i].fd >= 0) close(list[i].fd);
  }
  int64_t taken = (int64_t)(bench_ns() - start);
  free(list);
  free(pids);
  return taken;
}

static void read_all(int fd, void *data, size_t size)
{
  for (size_t done = 0; done < size;) {
    ssize_t n = read(fd, (char *)data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(0);
    done += (size_t)n;
  }
}

static void write_all(int fd, const void *data, size_t size)
{
  for (size_t done = 0; done < size;) {
    ssize_t n = write(fd, (const char *)data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(0);
    done += (size_t)n;
  }
}

void floor_echo_open(int cpu, int ret_fd[1], int64_t *ret_pid)
{
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) bench_fail("socketpair", errno);
  pid_t pid = fork();
  if (pid < 0) bench_fail("fork", errno);
  if (pid == 0) {
    char data[64];
    close(pair[0]);
    if (cpu >= 0) bench_pin(cpu);
    for (;;) {
      read_all(pair[1], data, sizeof data);
      write_all(pair[1], data, sizeof data);
    }
  }
  close(pair[1]);
  ret_fd[0] = pair[0];
  *ret_pid = pid;
}

void floor_echo_round(int fd)
{
  char data[64] = {0};
  write_all(fd, data, sizeof data);
  read_all(fd, data, sizeof data);
}

void floor_echo_close(int fd, int64_t pid)
{
  close(fd);
  waitpid((pid_t)pid, NULL, 0);
}

/* The reader runs in a child; it says one byte when it is there, and one after the last message. */
double floor_stream(size_t size, size_t count, int cpu)
{
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) bench_fail("socketpair", errno);
  char *data = calloc(1, size);
  if (!data) bench_fail("memory", 0);
  pid_t pid = fork();
  if (pid < 0) bench_fail("fork", errno);
  if (pid == 0) {
    close(pair[0]);
    if (cpu >= 0) bench_pin(cpu);
    write_all(pair[1], "", 1);
    for (size_t i = 0; i < count; i++)
      read_all(pair[1], data, size); /* one message a read, as a receiver of messages does */
    write_all(pair[1], "", 1);
    _exit(0);
  }
  close(pair[1]);
  read_all(pair[0], data, 1);
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count; i++) write_all(pair[0], data, size);
  read_all(pair[0], data, 1);
  double taken = (double)(bench_ns() - start);
  close(pair[0]);
  waitpid(pid, NULL, 0);
  free(data);
  return taken;
}

/* The child's bytes, counted, over ends, whose second is the child's. */
static double floor_capture(const int ends[2], uint64_t start, uint64_t bytes)
{
  static char data[BENCH_READ];
  char number[32];
  snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
  char *argv[] = {(char *)bench_self, "--child", "write", number, NULL};
  pid_t pid = vfork();
  if (pid == 0) {
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    execv(bench_self, argv);
    _exit(127);
  }
  if (pid < 0) bench_fail("vfork", errno);
  close(ends[1]);
  uint64_t got = 0;
  for (ssize_t n; (n = read(ends[0], data, sizeof data)) > 0;) got += (uint64_t)n;
  double taken = (double)(bench_ns() - start);
  if (got != bytes) bench_fail("raw capture: bytes missing", 0);
  close(ends[0]);
  waitpid(pid, NULL, 0);
  return taken;
}

double floor_pipe(uint64_t bytes)
{
  int ends[2];
  uint64_t start = bench_ns();
  if (pipe(ends)) bench_fail("pipe", errno);
  return floor_capture(ends, start, bytes);
}

double floor_socket(uint64_t bytes)
{
  int ends[2];
  uint64_t start = bench_ns();
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) bench_fail("socketpair", errno);
  return floor_capture(ends, start, bytes);
}
