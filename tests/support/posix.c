#include "system.h"
#include "posix/detail/cgroup.h"
#include "posix/detail/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <crt_externs.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <stdlib.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

#if defined(__linux__)
/* Present in a program built with the leak checker only. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
void __tsan_init(void) __attribute__((weak));
#endif

bool test_is_wine(void)
{
  return false;
}

bool test_is_newer_wine(void)
{
  return false;
}

int64_t test_pid(void)
{
  return getpid();
}

void test_system_exit(int code)
{
  fflush(stderr);
  _exit(code);
}

void test_system_exit_saying(int code, const char *text)
{
  if (write(2, text, strlen(text)) < 0) code = code ? code : 1;
  _exit(code);
}

void test_system_block_signals(void)
{
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
}

void test_pause(int64_t ms)
{
  struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
}

void test_set_env(const char *name, const char *value)
{
  if (value)
    setenv(name, value, 1);
  else
    unsetenv(name);
}

/* ---- processes ---- */

/* The letter of a process's state ('Z' for a zombie), 0 when there is no such process. */
static char state_of(int64_t pid)
{
  char line[512], state = 0;
  FILE *f;
#if defined(__linux__)
  const char *end;
  snprintf(line, sizeof line, "/proc/%" PRId64 "/stat", pid);
  f = fopen(line, "re");
  if (!f) return 0;
  if (fgets(line, sizeof line, f) && (end = strrchr(line, ')')) && end[1] == ' ') state = end[2];
  fclose(f);
#else
  snprintf(line, sizeof line, "ps -o state= -p %" PRId64, pid);
  f = popen(line, "r");
  if (!f) return 0;
  if (fgets(line, sizeof line, f)) {
    const char *p = line + strspn(line, " ");
    state = *p == '\n' ? 0 : *p;
  }
  pclose(f);
#endif
  return state;
}

bool test_process_alive(int64_t pid)
{
  char state;
  if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)) return false;
  state = state_of(pid);
  return state != 0 && state != 'Z' && state != 'X';
}

void test_process_kill(int64_t pid)
{
  if (pid > 1) kill((pid_t)pid, SIGKILL);
}

void test_process_reap(int64_t pid)
{
  while (waitpid((pid_t)pid, NULL, 0) == -1 && errno == EINTR) continue;
}

bool test_reap_anybody(void)
{
  return waitpid(-1, NULL, WNOHANG) > 0;
}

int64_t test_stream_flags(int stream, int nonblocking)
{
  int flags = fcntl(stream, F_GETFL);
  if (nonblocking >= 0) fcntl(stream, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
  return fcntl(stream, F_GETFL);
}

int64_t test_allow_handles(void)
{
  struct rlimit limit = {0}, more;
  char *most = test_read_file("/proc/sys/fs/nr_open", NULL);
  getrlimit(RLIMIT_NOFILE, &limit);
  more.rlim_cur = more.rlim_max = most ? (rlim_t)strtoll(most, NULL, 10) : limit.rlim_max;
  if (more.rlim_max < limit.rlim_max || setrlimit(RLIMIT_NOFILE, &more) != 0) { /* not root */
    more = (struct rlimit){limit.rlim_max, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &more);
  }
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > (rlim_t)INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

static void (*volatile interrupt_calls)(void);

static void interrupted(int signal)
{
  (void)signal;
  if (interrupt_calls) interrupt_calls();
}

void test_interrupt_calls(void (*function)(void))
{
  interrupt_calls = function;
}

const char *test_dispositions(void)
{
  char *text = test_format("%s", "");
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  for (int i = 1; i < NSIG; i++) {
    struct sigaction now;
    uint64_t mask = 0;
    if (sigaction(i, NULL, &now) != 0) continue;
    int flags = now.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_RESTART | (int)(SA_NODEFER | SA_RESETHAND));
    bool function = (flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
    for (int k = 1; function && k < NSIG && k <= 64; k++)
      if (sigismember(&now.sa_mask, k) == 1) mask |= UINT64_C(1) << (k - 1);
    if (now.sa_handler == SIG_IGN && !(flags & SA_SIGINFO)) text = test_format("%s%d ignored\n", text, i);
    if (function)
      text = test_format("%s%d: %p %x %" PRIx64 "\n", text, i, (void *)(uintptr_t)now.sa_handler,
                         (unsigned)flags, mask);
    if (sigismember(&blocked, i) == 1) text = test_format("%s%d blocked\n", text, i);
  }
  return text;
}

bool test_session(int64_t pid, int what)
{
  (void)pid;
  (void)what;
  return false;
}

void test_interrupt(bool on)
{
  struct sigaction action = {.sa_handler = interrupted}; /* without SA_RESTART */
  struct itimerval every = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};
  if (on) sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &every, NULL);
}

void test_ignore_interrupts(bool on)
{
  signal(SIGINT, on ? SIG_IGN : SIG_DFL);
}

bool test_has_leak_checker(void)
{
#if defined(__linux__)
  return __lsan_do_recoverable_leak_check != NULL;
#else
  return false;
#endif
}

bool test_has_thread_checker(void)
{
#if defined(__linux__)
  return __tsan_init != NULL;
#elif defined(__has_feature)
  return __has_feature(
      thread_sanitizer); /* clang's word for it: on macOS too, where the name above must not be missing */
#else
  return false;
#endif
}

bool test_once_outlives_fork(void)
{
#if defined(__GLIBC__)
  return !test_has_thread_checker();
#else
  return false;
#endif
}

bool test_terminal_outlives_its_leader(void)
{
#if defined(__APPLE__)
  return false;
#else
  return true;
#endif
}

bool test_system_leaks(void)
{
#if defined(__linux__)
  return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0;
#else
  return false;
#endif
}

int64_t test_fork(void)
{
  return fork();
}

static bool has_ended(void *pid);

int test_fork_join(int64_t pid, int64_t ms)
{
  pid_t child = (pid_t)pid;
  int status = 0;
  if (!test_wait_until(has_ended, &child, ms)) kill(child, SIGKILL);
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

bool test_handle_ready(covey_native handle, int64_t ms)
{
  struct pollfd p = {.fd = handle, .events = POLLIN};
  int64_t end = test_now() + ms;
  int n;
  do n = poll(&p, 1, (int)(end > test_now() ? end - test_now() : 0));
  while (n < 0 && errno == EINTR);
  return n == 1 && (p.revents & POLLIN);
}

/* As many descriptors as programs have on Linux: 256 is the least on macOS, and what a terminal gives there. */
void test_system_begin(void)
{
  struct rlimit none = {0, 0}, files;
  setrlimit(RLIMIT_CORE, &none);
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= 1024 || files.rlim_max < 1024) return;
  files.rlim_cur = 1024;
  setrlimit(RLIMIT_NOFILE, &files);
}

/* ---- running a program ---- */

/* Our environment with another mark. Freed as one block. */
static char **environment(const char *mark)
{
  size_t count = 0, length = strlen("COVEY_TEST_MARK=");
  char **env, *own;
  while (environ[count]) count++;
  env = malloc((count + 2) * sizeof *env + length + strlen(mark) + 1);
  if (!env) abort();
  own = (char *)(env + count + 2);
  snprintf(own, length + strlen(mark) + 1, "COVEY_TEST_MARK=%s", mark);
  count = 0;
  for (char **e = environ; *e; e++)
    if (strncmp(*e, own, length) != 0) env[count++] = *e;
  env[count++] = own;
  env[count] = NULL;
  return env;
}

static bool start(const char *const *argv, const char *output, const char *mark, pid_t *ret_pid)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  char **env = mark ? environment(mark) : NULL;
  int r;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  r = posix_spawn(ret_pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv,
                  env ? env : environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  free(env);
  return r == 0;
}

int64_t test_start(const char *const *argv)
{
  pid_t pid = -1;
  if (!start(argv, "/dev/null", NULL, &pid)) test_fail(__FILE__, __LINE__, true, "cannot start %s", argv[0]);
  return pid;
}

static bool has_ended(void *pid)
{
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t) * (pid_t *)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return true;
  return cvos_says_ended(&info, *(pid_t *)pid);
}

bool test_process_ended(int64_t pid, int64_t ms)
{
  pid_t child = (pid_t)pid;
  if (!test_wait_until(has_ended, &child, ms)) return false;
  while (waitpid(child, NULL, 0) == -1 && errno == EINTR) continue;
  return true;
}

bool test_system_run(const char *const *argv, const char *output, const char *mark, int64_t ms,
                     test_ended *ret)
{
  pid_t pid = 0;
  int status = 0;
  if (!start(argv, output, mark, &pid)) return false;
  ret->timed_out = !test_wait_until(has_ended, &pid, ms);
  kill(-pid, SIGKILL); /* before it is reaped: the number of its group cannot be a stranger's */
  while (waitpid(pid, &status, 0) == -1 && errno == EINTR) continue;
  ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return true;
}

/* ---- files ---- */

bool test_system_temp(char *path, size_t capacity)
{
#if defined(__APPLE__)
  const char *tmp =
      "/private/tmp"; /* no link, and short: TMPDIR takes half of the 103 bytes of a socket's path */
#else
  const char *tmp = getenv("TMPDIR");
  if (!tmp || *tmp != '/') tmp = "/tmp";
#endif
  size_t n = strlen(tmp);
  while (n > 1 && tmp[n - 1] == '/') n--;
  if (n >= capacity) return false;
  memcpy(path, tmp, n);
  path[n] = '\0';
  return true;
}

bool test_system_program(char *path, size_t capacity)
{
#if defined(__APPLE__)
  char real[PATH_MAX];
  uint32_t size = (uint32_t)capacity;
  if (_NSGetExecutablePath(path, &size) != 0 || !realpath(path, real) || strlen(real) >= capacity)
    return false;
  memcpy(path, real, strlen(real) + 1);
  return true;
#elif defined(__FreeBSD__)
  ssize_t n = readlink("/proc/curproc/file", path, capacity - 1);
#else
  ssize_t n = readlink("/proc/self/exe", path, capacity - 1);
#endif
#if !defined(__APPLE__)
  if (n <= 0) return false;
  path[n] = '\0';
  return true;
#endif
}

bool test_system_make_dir(const char *path)
{
  return mkdir(path, 0700) == 0;
}

bool test_system_remove(const char *path)
{
  struct stat st;
  DIR *dir;
  struct dirent *entry;
  bool all = true;
  if (lstat(path, &st) != 0) return errno == ENOENT;
  if (!S_ISDIR(st.st_mode)) return unlink(path) == 0;
  chmod(path, 0700);
  dir = opendir(path);
  if (!dir) return false;
  while ((entry = readdir(dir))) {
    char inner[2048];
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner)
      all = false;
    else if (!test_system_remove(inner))
      all = false;
  }
  closedir(dir);
  return rmdir(path) == 0 && all;
}

FILE *test_system_open(const char *path, const char *mode)
{
  return fopen(path, mode);
}

int test_system_reads(const char *line, const char *const *argv, size_t count)
{
  (void)line;
  (void)argv;
  (void)count;
  return -1;
}

int test_system_upper(unsigned unit)
{
  (void)unit;
  return -1;
}
