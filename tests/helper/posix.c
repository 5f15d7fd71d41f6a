#include "helper.h"
#include "os/handle.h"
#include "os/path.h"
#include "os/process.h"
#include "posix/detail/guard.h"
#include "posix/detail/tree.h"

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

/* ---- the seam ---- */

int helper_guard(const char *what, const char *arg)
{
  if (strcmp(what, "shell") == 0) {
    cvos_guard_use_shell(arg);
    return access(arg, X_OK) == 0 ? 0 : -1;
  }
  if (strcmp(what, "none") == 0) return 0;
  pid_t pid = cvos_guard_pid();
  if (pid <= 0) return -1;
  if (strcmp(what, "files") == 0) {
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
      char name[64], target[256];
      snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)pid, fd);
      ssize_t n = readlink(name, target, sizeof target - 1);
      if (n < 0) continue;
      target[n] = '\0';
      if (strncmp(target, "pipe:", 5) != 0 && strcmp(target, "/dev/null") != 0 && !strstr(target, "covey-"))
        return -1;
    }
    return 0;
  }
  if (strcmp(what, "close") == 0) {
    for (int fd = 3; fd < DESCRIPTORS; fd++) close(fd);
    return 0;
  }
  if (strcmp(what, "kill") == 0) {
    covey_identity about;
    if (kill(pid, SIGKILL) != 0) return -1;
    while (cvos_identity(pid, &about, NULL) == 0) helper_pause(1); /* until it has let go of its pipe */
    return 0;
  }
  if (strcmp(what, "stop") != 0 || kill(pid, SIGSTOP) != 0) return -1;
  /* slots are taken and freed until it is noticed as stuck and replaced */
  for (int i = 0; i < 100000 && cvos_guard_pid() == pid; i++) {
    cvos_guard_place place;
    int fd;
    if (cvos_guard_take(&place, &fd) != 0 || cvos_guard_tell(&place, 1 << 30) != 0) return -1;
    cvos_guard_free(&place);
  }
  return cvos_guard_pid() != pid ? 0 : -1;
}

bool helper_tree_of_another(cvos_tree *tree)
{
  tree->start--;
  return true;
}

int helper_files_are(int argc, char **argv)
{
  struct stat about;
  for (int i = 1; i < argc; i++) {
    bool open = fstat(i - 1, &about) == 0;
    if (strcmp(argv[i], "-") == 0 ? open : !open || about.st_ino != (ino_t)strtoull(argv[i], NULL, 10))
      return i;
    if (open && (fcntl(i - 1, F_GETFL) & O_NONBLOCK)) return 100 + i;
  }
  for (int fd = argc - 1; fd < DESCRIPTORS; fd++)
    if (fcntl(fd, F_GETFD) != -1) return 50;
  return 0;
}

/* Starts files-are with these descriptors as 0-2 and passed to 3 and on; -1: none. */
static int hand_on(const char *self, const int *from, int count)
{
  char inodes[16][24];
  const char *argv[20] = {self, "files-are"};
  cvos_pass pass[16];
  size_t passed = 0;
  cvos_spawn_request q = {.file = self, .argv = argv, .pass = pass};
  for (int i = 0; i < count; i++) {
    struct stat about;
    argv[2 + i] = inodes[i];
    if (from[i] < 0)
      strcpy(inodes[i], "-");
    else if (fstat(from[i], &about) == 0)
      snprintf(inodes[i], sizeof inodes[i], "%llu", (unsigned long long)about.st_ino);
    if (i < 3)
      q.stdio[i] = from[i];
    else
      pass[passed++] = (cvos_pass){from[i], i};
  }
  argv[2 + count] = NULL;
  q.pass_count = passed;
  cvos_process process;
  cvos_tree *tree;
  cvos_status status;
  covey_failure failure;
  if (cvos_spawn(&q, &process, &tree, &failure) < 0) return 90;
  if (cvos_process_wait(&process, 30000) != 0 || cvos_process_reap(&process, tree, &status) != 0) return 91;
  cvos_tree_release(tree);
  cvos_process_close(&process);
  return status.how == CVOS_END_EXITED ? (int)status.code : 92;
}

int helper_permute(int argc, char **argv)
{
  char path[4096];
  char *self;
  int out = fcntl(1, F_DUPFD_CLOEXEC, 200), r = 0;
  if (argc < 2 || cvos_path_self(&self) < 0) return HELPER_USAGE;
  for (int i = 0; i < 7; i++) {
    snprintf(path, sizeof path, "%s/f%d", argv[1], i);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd != i) {
      dup2(fd, i);
      close(fd);
    }
  }
  int from[7], tries = 0;
  /* any of none, 0, 1, 2 for each of 0, 1, 2 */
  for (int n = 0; n < 64 && !r; n++, tries++) {
    from[0] = n % 4 - 1;
    from[1] = n / 4 % 4 - 1;
    from[2] = n / 16 - 1;
    r = hand_on(self, from, 3);
  }
  /* 3 to 6 in every order, with 0-2 turned round */
  for (int n = 0; n < 256 && !r; n++) {
    from[0] = 1;
    from[1] = 2;
    from[2] = 0;
    for (int i = 0, code = n; i < 4; i++, code /= 4) from[3 + i] = 3 + code % 4;
    if (from[3] == from[4] || from[3] == from[5] || from[3] == from[6] || from[4] == from[5] ||
        from[4] == from[6] || from[5] == from[6])
      continue;
    r = hand_on(self, from, 7);
    tries++;
  }
  /* streams taken from passed numbers and the other way */
  for (int n = 0; n < 64 && !r; n++, tries++) {
    for (int i = 0, code = n; i < 3; i++, code /= 4) {
      from[i] = 3 + code % 4;
      from[4 + i] = i;
    }
    from[3] = 6;
    r = hand_on(self, from, 7);
  }
  /* our own 0-2 closed, in all seven ways */
  for (int closed = 1; closed < 8 && !r; closed++, tries++) {
    int kept[3];
    for (int i = 0; i < 3; i++) {
      kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
      if (closed & 1 << i) close(i);
      from[i] = closed & 1 << i ? 3 + i : i;
    }
    r = hand_on(self, from, 3);
    for (int i = 0; i < 3; i++) {
      dup2(kept[i], i);
      close(kept[i]);
    }
  }
  dup2(out, 1);
  helper_print(1, "%d after %d\n", r, tries);
  covey_free(self);
  return r;
}

int helper_hostile_signals(int argc, char **argv)
{
  static const int ignored[] = {SIGPIPE, SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                SIGUSR2, SIGTTIN, SIGTTOU, SIGTSTP, SIGCHLD};
  sigset_t all;
  char *self;
  (void)argc;
  (void)argv;
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) signal(ignored[i], SIG_IGN);
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  if (cvos_path_self(&self) < 0) return HELPER_NO_START;
  const char *child[] = {self, "signals", NULL};
  cvos_spawn_request q = {.file = self, .argv = child, .stdio = {0, 1, 2}, .flags = CVOS_SPAWN_TIED};
  cvos_process process;
  cvos_tree *tree;
  cvos_status status;
  covey_failure failure;
  int r = cvos_spawn(&q, &process, &tree, &failure);
  covey_free(self);
  if (r < 0) return HELPER_NO_START;
  /* the mask is ours again */
  sigset_t now;
  sigprocmask(SIG_BLOCK, NULL, &now);
  if (sigismember(&now, SIGUSR1) != 1 || sigismember(&now, SIGTERM) != 1) return 2;
  /* SIGCHLD is ignored: the system reaps it, and nothing hangs */
  if (cvos_process_wait(&process, 30000) != 0) return 3;
  if (cvos_process_note(&process, &status) != 0) return 4;
  helper_print(1, "how %d code %u\n", status.how, status.code);
  if (cvos_tree_kill(tree) != 0) return 5;
  if (cvos_process_reap(&process, tree, &status) != 0) return 6;
  cvos_tree_release(tree);
  cvos_process_close(&process);
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

/* With every limit from too low to just enough: a start fails by it and says so, or works; nothing is left open. */
int helper_exhaust(int argc, char **argv)
{
  struct rlimit limit;
  char *self;
  int failed = 0, worked = 0;
  (void)argc;
  (void)argv;
  if (cvos_path_self(&self) < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return HELPER_NO_START;
  const char *child[] = {self, "nothing", NULL};
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int round = 0; round < 2; round++) {
    for (rlim_t most = 3; most < 24; most++) {
      cvos_spawn_request q = {
          .file = self, .argv = child, .stdio = {null, null, null}, .flags = round ? CVOS_SPAWN_TIED : 0};
      cvos_process process;
      cvos_tree *tree;
      cvos_status status;
      covey_failure failure;
      struct rlimit low = {most, limit.rlim_max};
      int64_t before = cvos_handle_count();
      if (setrlimit(RLIMIT_NOFILE, &low) != 0) return HELPER_NO_START;
      int r = cvos_spawn(&q, &process, &tree, &failure);
      if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return HELPER_NO_START;
      if (r < 0) {
        failed++;
        if (r != COVEY_ELIMIT || (failure.stage != COVEY_STAGE_STDIO && failure.stage != COVEY_STAGE_SCOPE)) {
          helper_print(1, "limit %d: code %d stage %d system %d %s\n", (int)most, r, failure.stage,
                       failure.system, failure.what);
          return 2;
        }
      } else {
        worked++;
        if (cvos_process_wait(&process, 30000) != 0) return 3;
        if (cvos_process_reap(&process, tree, &status) != 0 || status.how != CVOS_END_EXITED) return 4;
        /* it has the low limit too: its loader may give up */
        if (status.code != 0 && status.code != 127) return 4;
        cvos_tree_release(tree);
        cvos_process_close(&process);
      }
      /* the guard's three may have come, and the folder of our control groups */
      if (cvos_handle_count() > before + (r == 0 && round ? 4 : 0)) return 5;
    }
  }
  covey_free(self);
  helper_print(1, "%d failed, %d worked\n", failed, worked);
  return failed > 0 && worked > 0 ? 0 : 6;
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
