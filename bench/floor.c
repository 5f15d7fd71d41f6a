#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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
    if (n <= 0) _exit(1);
    done += (size_t)n;
  }
}

static void write_all(int fd, const void *data, size_t size)
{
  for (size_t done = 0; done < size;) {
    ssize_t n = write(fd, (const char *)data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(1);
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

/* Each reader runs in a child; it says one byte when it is there, and one after the last message. */
static pid_t reader_start(size_t size, size_t count, int cpu, int *ret_fd)
{
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) bench_fail("socketpair", errno);
  pid_t pid = fork();
  if (pid < 0) bench_fail("fork", errno);
  if (pid == 0) {
    char *data = malloc(size);
    close(pair[0]);
    if (cpu >= 0) bench_pin(cpu);
    if (!data) _exit(1);
    write_all(pair[1], "", 1);
    for (size_t i = 0; i < count; i++)
      read_all(pair[1], data, size); /* one message a read, as a receiver of messages does */
    write_all(pair[1], "", 1);
    _exit(0);
  }
  close(pair[1]);
  *ret_fd = pair[0];
  return pid;
}

double floor_stream(size_t size, size_t count, size_t readers, int cpu)
{
  int fds[8];
  pid_t pids[8];
  char *data = calloc(1, size), c;
  if (!data || readers > 8) bench_fail("memory", 0);
  for (size_t k = 0; k < readers; k++) {
    pids[k] = reader_start(size, count, cpu, &fds[k]);
    read_all(fds[k], &c, 1);
  }
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < readers; k++) write_all(fds[k], data, size);
  for (size_t k = 0; k < readers; k++) read_all(fds[k], &c, 1);
  double taken = (double)(bench_ns() - start);
  for (size_t k = 0; k < readers; k++) {
    close(fds[k]);
    waitpid(pids[k], NULL, 0);
  }
  free(data);
  return taken;
}

static struct sockaddr_un address_of(const char *path)
{
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  return a;
}

void floor_contact_open(char *path, size_t capacity, int64_t *ret_pid)
{
  snprintf(path, capacity, "/tmp/covey-bench-%ld", (long)getpid());
  struct sockaddr_un a = address_of(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  unlink(path);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 16)) bench_fail("listen", errno);
  pid_t pid = fork();
  if (pid < 0) bench_fail("fork", errno);
  if (pid == 0) {
    char data[64];
    for (;;) {
      int with = accept(fd, NULL, NULL);
      if (with < 0) _exit(1);
      read_all(with, data, sizeof data);
      write_all(with, data, sizeof data);
      close(with);
    }
  }
  close(fd);
  *ret_pid = pid;
}

uint64_t floor_contact_round(const char *path)
{
  char data[64] = {0};
  struct sockaddr_un a = address_of(path);
  uint64_t start = bench_ns();
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) bench_fail("connect", errno);
  write_all(fd, data, sizeof data);
  read_all(fd, data, sizeof data);
  uint64_t taken = bench_ns() - start;
  close(fd);
  return taken;
}

void floor_contact_close(const char *path, int64_t pid)
{
  kill((pid_t)pid, SIGKILL);
  waitpid((pid_t)pid, NULL, 0);
  unlink(path);
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
