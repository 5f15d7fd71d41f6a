#include "helper.h"
#include "os/path.h"

#include <covey/base.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#if defined(__linux__)
#include <sys/mount.h>
#endif
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
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

const char *helper_command_line(void)
{
  return NULL;
}

void helper_exit(uint32_t code)
{
  _exit((int)(code & 0xff));
}

void helper_die(void)
{
  kill(getpid(), SIGKILL);
  for (;;) helper_pause(1000); /* another thread may take it */
}

/* The default action, also where a sanitizer has a handler of its own. */
void helper_signal(int number)
{
  signal(number, SIG_DFL);
  kill(getpid(), number);
  helper_pause(1000); /* it comes before kill returns, unless another thread takes it */
}

bool helper_interrupt(void)
{
  return kill(getpid(), SIGINT) == 0;
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
  /* whoever is told its pid may rely on its session */
  for (int i = 0; i < 10000 && pid > 0 && (flags & HELPER_SESSION) && getsid(pid) != pid; i++)
    helper_pause(1);
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

int helper_attributes(int argc, char **argv)
{
  int processors = 0;
  (void)argc;
  (void)argv;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) processors = CPU_COUNT(&set);
#endif
  helper_print(1, "%d %d 0\n", getpriority(PRIO_PROCESS, 0), processors);
  return 0;
}

int64_t helper_fork(void)
{
  return fork();
}

/* ---- sockets as streams ---- */

int helper_give_handles(int argc, char **argv)
{
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  int fd = 0;
  for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
    char byte = 'x';
    struct iovec v = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memset(&control, 0, sizeof control);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(1, &m, 0) != 1) return HELPER_NO_OUTPUT;
  }
  return 0;
}

int helper_read_out(int argc, char **argv)
{
  char byte;
  (void)argc;
  (void)argv;
  ssize_t n = read(1, &byte, 1);
  helper_print(1, n == 0 ? "end\n" : n > 0 ? "more\n" : "error\n");
  return 0;
}

/* ---- odd circumstances ---- */

int helper_without_streams(unsigned closed, int argc, char **argv)
{
  char *self, **child = calloc((size_t)argc + 2, sizeof *child);
  if (!child || cvos_path_self(&self) < 0) return HELPER_NO_START;
  child[0] = self;
  memcpy(child + 1, argv, (size_t)argc * sizeof *child);
  for (int i = 0; i < 3; i++)
    if (closed & 1u << i) close(i);
  execv(self, child);
  return HELPER_NO_START;
}

bool helper_limit_handles(int64_t most)
{
  static struct rlimit first;
  if (!first.rlim_max && getrlimit(RLIMIT_NOFILE, &first) != 0) return false;
  struct rlimit now = {most ? (rlim_t)most : first.rlim_cur, first.rlim_max};
  return setrlimit(RLIMIT_NOFILE, &now) == 0;
}

bool helper_become(int64_t user)
{
  return setgroups(0, NULL) == 0 && setgid((gid_t)user) == 0 && setuid((uid_t)user) == 0;
}

/* In a namespace of its own, whose /proc is its own, so that numbers there are nobody else's. A process between enters it: whoever has lost his namespace's
 * first process starts nothing any more, and a leak checker wants to. */
int helper_in_numbers_of_its_own(int argc, char **argv)
{
#if defined(__linux__)
  int status;
  (void)signal(SIGCHLD, SIG_DFL);
  pid_t between = fork();
  if (between == 0) {
    pid_t first = unshare(CLONE_NEWPID | CLONE_NEWNS) == 0 ? fork() : -1;
    if (first == 0) {
      bool done = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                  mount("proc", "/proc", "proc", 0, NULL) == 0 && helper_next_number(100);
      _exit(done ? helper_run(argc, argv) : HELPER_NOT_HERE);
    }
    if (first < 0 || waitpid(first, &status, 0) != first) _exit(HELPER_NOT_HERE);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : HELPER_NO_START);
  }
  if (between < 0 || waitpid(between, &status, 0) != between) return HELPER_NOT_HERE;
  return WIFEXITED(status) ? WEXITSTATUS(status) : HELPER_NO_START;
#else
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
#endif
}

bool helper_next_number(int64_t pid)
{
  char text[32];
  int size = snprintf(text, sizeof text, "%lld", (long long)pid - 1);
  int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, text, (size_t)size) == size;
  if (fd >= 0) close(fd);
  return done;
}

void helper_end(int64_t pid)
{
  kill((pid_t)pid, SIGKILL);
  waitpid((pid_t)pid, NULL, 0);
}

/* ---- a terminal ---- */

static void heard(int number)
{
  (void)number;
}

bool helper_terminal(void)
{
  sigset_t resized;
  sigemptyset(&resized);
  sigaddset(&resized, SIGWINCH);
  sigprocmask(SIG_BLOCK, &resized, NULL);
  struct sigaction action = {.sa_handler = heard};
  sigaction(SIGWINCH, &action, NULL); /* by default it is dropped, blocked or not */
  return isatty(0) && isatty(1) && isatty(2);
}

void helper_terminal_size(int *ret_rows, int *ret_columns)
{
  struct winsize size;
  if (ioctl(0, TIOCGWINSZ, &size) < 0) return;
  *ret_rows = size.ws_row;
  *ret_columns = size.ws_col;
}

int helper_terminal_echo(void)
{
  struct termios settings;
  return tcgetattr(0, &settings) == 0 ? (settings.c_lflag & ECHO) != 0 : -1;
}

int helper_terminal_own(void)
{
  int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
  bool own = fd >= 0 && tcgetsid(fd) == getpid() && tcgetpgrp(fd) == getpgrp() && getsid(0) == getpid();
  if (fd >= 0) close(fd);
  return own;
}

int helper_terminal_heard(void)
{
  struct sigaction now;
  return sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler != SIG_IGN;
}

bool helper_terminal_resized(int64_t ms)
{
  sigset_t resized;
  int number;
  (void)ms;
  sigemptyset(&resized);
  sigaddset(&resized, SIGWINCH);
  return sigwait(&resized, &number) == 0;
}

int helper_terminal_front(void)
{
  return tcgetpgrp(0) == getpgrp();
}

void helper_terminal_set_echo(void)
{
  struct termios settings;
  if (tcgetattr(0, &settings) < 0) return;
  settings.c_lflag |= ECHO;
  tcsetattr(0, TCSANOW, &settings);
}

size_t helper_terminal_settings(void *ret, size_t capacity)
{
  struct termios settings;
  memset(&settings, 0, sizeof settings);
  if (sizeof settings > capacity || tcgetattr(0, &settings) < 0) return 0;
  memcpy(ret, &settings, sizeof settings);
  return sizeof settings;
}

void helper_terminal_restore(const void *settings)
{
  struct termios all;
  memcpy(&all, settings, sizeof all);
  tcsetattr(0, TCSANOW, &all);
}
