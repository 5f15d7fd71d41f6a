#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

enum { DESCRIPTORS = 1024 }; /* the highest that is looked at */

void helper_begin(int *argc, char ***argv)
{
  struct rlimit none = {0, 0};
  (void)argc;
  (void)argv;
  setrlimit(RLIMIT_CORE, &none);
}

int64_t helper_system_read(void *data, size_t size)
{
  ssize_t n;
  while ((n = read(0, data, size)) == -1 && errno == EINTR) continue;
  return n > 0 ? n : 0;
}

int64_t helper_system_write(int stream, const void *data, size_t size)
{
  ssize_t n;
  while ((n = write(stream, data, size)) == -1 && errno == EINTR) continue;
  return n;
}

void helper_close(int stream)
{
  close(stream);
}

bool helper_is_terminal(int stream)
{
  return isatty(stream);
}

void helper_pause(int64_t ms)
{
  struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
}

int64_t helper_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t helper_cpu(void)
{
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (int64_t)usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000;
}

int64_t helper_pid(void)
{
  return getpid();
}

int64_t helper_parent(void)
{
  return getppid();
}

const char *helper_variable(size_t n)
{
  return environ && environ[n] ? environ[n] : NULL;
}

const char *helper_value(const char *name)
{
  return getenv(name);
}

const char *helper_cwd(void)
{
  static char path[8192];
  return getcwd(path, sizeof path);
}

void helper_exit(uint32_t code)
{
  _exit((int)(code & 0xff));
}

/* The default action, also where a sanitizer has a handler of its own. */
void helper_signal(int number)
{
  signal(number, SIG_DFL);
  kill(getpid(), number);
  helper_pause(1000); /* it comes before kill returns, unless another thread takes it */
}

void helper_crash(void)
{
  volatile uintptr_t nowhere = 8; /* volatile: the compiler must not see the address */
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
  *(volatile int *)nowhere = 1;
}

static const int requests[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static void set_requests(void (*handler)(int))
{
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  sigfillset(&action.sa_mask);
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) sigaction(requests[i], &action, NULL);
}

void helper_ignore_requests(void)
{
  set_requests(SIG_IGN);
}

static struct {
  const char *text;
  int64_t ms;
  int code;
} answer;

static void on_request(int number)
{
  (void)number;
  if (answer.text && write(1, answer.text, strlen(answer.text)) < 0) _exit(HELPER_NO_OUTPUT);
  helper_pause(answer.ms);
  _exit(answer.code);
}

void helper_answer_requests(const char *text, int64_t ms, int code)
{
  answer.text = text;
  answer.ms = ms;
  answer.code = code;
  set_requests(on_request);
}

/* ---- families ---- */

static void become(int argc, const char *const *argv, unsigned flags)
{
  char *copy[8];
  int null;
  if (flags & HELPER_SESSION) setsid();
  if (flags & HELPER_QUIET && (null = open("/dev/null", O_RDWR)) >= 0) {
    for (int i = 0; i < 3; i++) dup2(null, i);
    if (null > 2) close(null);
  }
  for (int i = 0; i < argc; i++) copy[i] = strdup(argv[i]);
  copy[argc] = NULL;
  _exit(helper_run(argc, copy));
}

/* The middle process tells the pid of its child through a pipe and goes. */
static int64_t escape(int argc, const char *const *argv, unsigned flags)
{
  int ends[2];
  int64_t pid = -1;
  pid_t middle;
  if (pipe(ends) != 0) return -1;
  middle = fork();
  if (middle == 0) {
    pid_t child;
    close(ends[0]);
    setsid();
    child = fork();
    if (child == 0) {
      close(ends[1]);
      become(argc, argv, flags);
    }
    pid = child;
    _exit(write(ends[1], &pid, sizeof pid) == (ssize_t)sizeof pid ? 0 : 1);
  }
  close(ends[1]);
  if (read(ends[0], &pid, sizeof pid) != (ssize_t)sizeof pid) pid = -1;
  close(ends[0]);
  waitpid(middle, NULL, 0);
  return pid;
}

int64_t helper_start(int argc, const char *const *argv, unsigned flags)
{
  pid_t pid;
  if (argc > 7) return -1;
  if (flags & HELPER_ESCAPE) return escape(argc, argv, flags);
  pid = fork();
  if (pid == 0) become(argc, argv, flags);
  return pid;
}

/* ---- what is inherited ---- */

int helper_handles(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    helper_print(1, "%s %s\n", argv[i], fcntl(atoi(argv[i]), F_GETFD) == -1 ? "closed" : "open");
  for (int fd = 3; argc == 1 && fd < DESCRIPTORS; fd++)
    if (fcntl(fd, F_GETFD) != -1) helper_print(1, "%d\n", fd);
  return 0;
}

int helper_signals(int argc, char **argv)
{
  sigset_t blocked;
  (void)argc;
  (void)argv;
  sigprocmask(SIG_BLOCK, NULL, &blocked);
  helper_print(1, "blocked:");
  for (int i = 1; i < NSIG; i++)
    if (sigismember(&blocked, i) == 1) helper_print(1, " %d", i);
  helper_print(1, "\nignored:");
  for (int i = 1; i < NSIG; i++) {
    struct sigaction action;
    if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN) helper_print(1, " %d", i);
  }
  helper_print(1, "\n");
  return 0;
}

int helper_group(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "%d %d\n", (int)getpgrp(), (int)getsid(0));
  return 0;
}
