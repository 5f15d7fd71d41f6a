/* What behaviours that use the seam are built of (seam.c). */
#include "helper.h"
#include "os/handle.h"
#include "os/path.h"
#include "os/process.h"
#include "posix/detail/guard.h"
#include "posix/detail/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/ptrace.h>
#endif

enum { DESCRIPTORS = 1024 }; /* the highest that is looked at */

/* Takes and frees slots, at some of which the guard is asked for a sign of life. Whether another guard has come for pid. */
static bool take_until_another(pid_t pid, int most)
{
  for (int i = 0; i < most && cvos_guard_pid() == pid; i++) {
    cvos_guard_place place;
    int fd;
    if (cvos_guard_take(&place, &fd) != 0 || cvos_guard_tell(&place, 1 << 30) != 0) return false;
    cvos_guard_free(&place);
  }
  return cvos_guard_pid() != pid;
}

int helper_guard(const char *what, const char *arg)
{
  if (strcmp(what, "shell") == 0) {
    cvos_guard_use_shell(arg);
    return access(arg, X_OK) == 0 ? 0 : -1;
  }
  static pid_t noted;
  if (strcmp(what, "none") == 0) return 0;
  pid_t pid = cvos_guard_pid();
  if (pid <= 0) return -1;
  if (strcmp(what, "note") == 0) noted = pid;
  if (strcmp(what, "note") == 0 || strcmp(what, "same") == 0) return noted == pid ? 0 : -1;
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
  if (strcmp(what, "signals") == 0) {
    static const int each[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM, SIGTERM,
                               SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
      if (kill(pid, each[i]) != 0) return -1;
    /* until it has read a line that was written after them */
    return take_until_another(pid, 1000) ? -1 : 0;
  }
  /* until it is noticed as stuck and replaced */
  return strcmp(what, "stop") == 0 && kill(pid, SIGSTOP) == 0 && take_until_another(pid, 100000) ? 0 : -1;
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

int helper_ask_graphical(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
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
  const char *child[] = {self, "signals", NULL}, *lasting[] = {self, "sleep", "600000", NULL};
  cvos_spawn_request q = {.file = self, .argv = lasting, .stdio = {0, 1, 2}};
  cvos_process other, process;
  cvos_tree *others, *tree;
  cvos_status status;
  covey_failure failure;
  /* the guard's shell is waited for while another child lives */
  int r = cvos_spawn(&q, &other, &others, &failure);
  q.argv = child;
  q.flags = CVOS_SPAWN_TIED;
  if (r == 0) r = cvos_spawn(&q, &process, &tree, &failure);
  covey_free(self);
  if (r < 0 || cvos_tree_kill(others) < 0) return HELPER_NO_START;
  cvos_tree_release(others);
  cvos_process_close(&other);
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

int helper_trace(int argc, char **argv)
{
  char *hang[] = {"hang", NULL};
  bool traced = false;
#if defined(__linux__)
  traced = argc == 2 && ptrace(PTRACE_SEIZE, (pid_t)strtoll(argv[1], NULL, 10), NULL, NULL) == 0;
#endif
  (void)argc;
  (void)argv;
  helper_print(1, traced ? "traced\n" : "no tracing\n");
  return traced ? helper_run(1, hang) : HELPER_NOT_HERE;
}

int helper_window(int argc, char **argv)
{
  char *stop[] = {"stop", NULL};
  (void)argc;
  (void)argv;
  return helper_run(1, stop);
}
