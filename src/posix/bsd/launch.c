#include "posix/detail/posix.h"

#include "os/fault.h"
#include "posix/detail/launch.h"
#include "posix/detail/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* No clock that the processes' stamps are read from. */
uint64_t cvos_launch_stamp(void)
{
  return 0;
}

/* A child with a memory of its own, made by fork: what it reports, and our word that it may go on. */
typedef struct birth {
  int report, go; /* our ends; -1 none */
  pid_t pid;      /* 0: none was made */
} birth;

/* Never returns; report_to and go: the child's ends. arg: what the caller of give_birth has for it. */
typedef void (*birth_child)(cvos_launch *plan, const void *arg, int report_to, int go);

/* Makes it, with all signals blocked. 0, or errno: there is no child then. ret: to be ended with end_birth in any case. */
static int give_birth(cvos_launch *plan, birth_child child, const void *arg, birth *ret)
{
  int report_ends[2], go_ends[2];
  *ret = (birth){-1, -1, 0};
  if (cvos_fd_pipe(report_ends) < 0) return errno;
  if (cvos_fd_pipe(go_ends) < 0) {
    int error = errno;
    cvos_fd_close(report_ends[0]);
    cvos_fd_close(report_ends[1]);
    return error;
  }
  ret->report = report_ends[0];
  ret->go = go_ends[1];
  int high = CVOS_CALL(DUPLICATE, fcntl(report_ends[1], F_DUPFD_CLOEXEC, plan->highest + 1), -1);
  int error = high < 0 ? errno : 0;
  cvos_fd_close(report_ends[1]);
  if (!error) {
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = CVOS_CALL(FORK, fork(), -1);
    if (pid < 0) error = errno;
    if (pid == 0) {
      (void)close(go_ends[1]);
      child(plan, arg, high, go_ends[0]);
    }
    if (pid > 0) ret->pid = pid;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    cvos_fd_close(high);
  }
  cvos_fd_close(go_ends[0]);
  return error;
}

/* Tells the guard of group (a pid: of that process alone), lets the child go on, and waits until it is its program, or has reported why not: then true. A
 * guard that cannot be told: *ret says so, and the child is killed. */
static bool raise_child(const cvos_launch *plan, const birth *b, pid_t group, cvos_report *ret)
{
  int error = plan->place ? cvos_guard_tell(plan->place, group) : 0;
  if (error) {
    (void)kill(b->pid, SIGKILL);
    *ret = (cvos_report){.stage = COVEY_STAGE_SCOPE, .error = error, .index = -1};
    return true;
  }
  if (plan->place) (void)cvos_fd_write_quiet(b->go, "g", 1);
  return cvos_fd_read_all(b->report, ret, sizeof *ret) == (int64_t)sizeof *ret;
}

static void end_birth(const birth *b)
{
  cvos_fd_close(b->report);
  cvos_fd_close(b->go);
}

#if defined(__APPLE__)

#include <spawn.h>

bool cvos_launch_flat(void)
{
  return true;
}

int cvos_launch_force(int path)
{
  return path == CVOS_PATH_BEST || path == CVOS_PATH_SPAWN ? 0 : COVEY_ENOTSUP;
}

/* Who is in another's way gets a number above all targets, and who has one that posix_spawn's actions do not take (OPEN_MAX and more, however high
 * the limit is: Libsyscall, posix_spawn.c) a smaller one; the duplicates are closed again by the caller. */
static int park(cvos_launch *plan)
{
  for (size_t i = 0; i < plan->move_count; i++) plan->moves[i].now = plan->moves[i].from;
  for (size_t i = 0; i < plan->move_count; i++) {
    cvos_move *move = &plan->moves[i];
    plan->index = move->index;
    if (move->to >= OPEN_MAX) return EMFILE;
    if (!move->park && move->from < OPEN_MAX) continue;
    move->now = CVOS_CALL(PLACE, fcntl(move->from, F_DUPFD_CLOEXEC, plan->highest + 1), -1);
    if (move->now < 0) return errno == EINVAL ? EMFILE : errno;
    if (move->now >= OPEN_MAX) return EMFILE;
  }
  plan->index = -1;
  return 0;
}

static void unpark(const cvos_launch *plan)
{
  for (size_t i = 0; i < plan->move_count; i++) {
    if (plan->moves[i].now != plan->moves[i].from) cvos_fd_close(plan->moves[i].now);
  }
}

/* macOS 26 has the name of POSIX, and warns of the old one. */
static int add_chdir(posix_spawn_file_actions_t *actions, const char *path)
{
#if defined(__MAC_OS_X_VERSION_MIN_REQUIRED) && __MAC_OS_X_VERSION_MIN_REQUIRED >= 260000
  return posix_spawn_file_actions_addchdir(actions, path);
#else
  return posix_spawn_file_actions_addchdir_np(actions, path);
#endif
}

static int make_actions(const cvos_launch *plan, posix_spawn_file_actions_t *actions)
{
  int error = 0;
  for (size_t i = 0; i < plan->move_count && !error; i++) {
    const cvos_move *move = &plan->moves[i];
    if (move->now == move->to)
      error = posix_spawn_file_actions_addinherit_np(actions, move->to);
    else
      error = posix_spawn_file_actions_adddup2(actions, move->now, move->to);
  }
  if (!error && plan->cwd) error = add_chdir(actions, plan->cwd);
  return error;
}

static bool nice_wanted(const cvos_launch *plan)
{
  return plan->attributes && plan->attributes->has_nice;
}

/* There is something that is done to the child by us, before it runs. */
static bool suspended(const cvos_launch *plan)
{
  return plan->terminal < 0 && (plan->place || nice_wanted(plan) || plan->front >= 0);
}

static int make_attributes(const cvos_launch *plan, posix_spawnattr_t *attributes)
{
  sigset_t none, all;
  int flags = POSIX_SPAWN_CLOEXEC_DEFAULT | POSIX_SPAWN_SETSIGMASK;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  int error = posix_spawnattr_setsigmask(attributes, &none);
  if (!plan->ignore_signals) { /* the guard's script ignores them itself */
    flags |= POSIX_SPAWN_SETSIGDEF;
    if (!error) error = posix_spawnattr_setsigdefault(attributes, &all);
  }
  if (plan->own == CVOS_OWN_GROUP) {
    flags |= POSIX_SPAWN_SETPGROUP;
    if (!error) error = posix_spawnattr_setpgroup(attributes, 0);
  }
  if (plan->terminal >= 0)
    flags |= POSIX_SPAWN_SETEXEC; /* fork_on_terminal */
  else if (plan->own == CVOS_OWN_SESSION)
    flags |= POSIX_SPAWN_SETSID;
  if (suspended(plan)) flags |= POSIX_SPAWN_START_SUSPENDED;
  if (!error) error = posix_spawnattr_setflags(attributes, (short)flags);
  return error;
}

/* posix_spawn says only that it failed: what stood in the way is looked for afterwards. */
static int stage_of(const cvos_launch *plan, int error)
{
  struct stat about;
  if (plan->cwd && (stat(plan->cwd, &about) < 0 || !S_ISDIR(about.st_mode) || access(plan->cwd, X_OK) < 0))
    return COVEY_STAGE_CWD;
  if (error == EBADF || error == EMFILE) return COVEY_STAGE_STDIO;
  return error == EAGAIN || error == ENOMEM ? COVEY_STAGE_LIMITS : COVEY_STAGE_EXEC;
}

typedef struct apple_spawn {
  const posix_spawn_file_actions_t *actions;
  const posix_spawnattr_t *attributes;
} apple_spawn;

/* What a child does that is to have a terminal: only system calls, and posix_spawn in its own place, which is one. */
static void terminal_child(cvos_launch *plan, const void *arg, int report_to, int go)
{
  const apple_spawn *how = arg;
  char word;
  cvos_report report = {.index = -1};
  if (raw_setsid() < 0) {
    report.stage = COVEY_STAGE_SCOPE;
  } else if (raw_take_terminal(plan->terminal) < 0) {
    report.stage = COVEY_STAGE_PTY;
  } else if (plan->place && cvos_fd_read_all(go, &word, 1) != 1) {
    raw_exit(127); /* we are gone */
  } else if (nice_wanted(plan) && setpriority(PRIO_PROCESS, 0, plan->attributes->nice) < 0) {
    report.stage = COVEY_STAGE_LIMITS;
    report.index = CVOS_AT_PRIORITY;
  } else {
    pid_t self;
    errno = posix_spawn(&self, plan->file, how->actions, how->attributes, plan->argv, plan->env);
    report.stage = COVEY_STAGE_EXEC;
  }
  report.error = errno;
  (void)raw_write(report_to, &report, sizeof report);
  raw_exit(127);
}

/* posix_spawn makes the session after it has opened what the child shall have, and cannot give it a terminal: such a child is forked, and becomes its
 * program by POSIX_SPAWN_SETEXEC. Returns errno; *ret_stage says where. */
static int fork_on_terminal(cvos_launch *plan, const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attributes, pid_t *ret_pid, int *ret_stage)
{
  apple_spawn how = {actions, attributes};
  birth b;
  cvos_report report;
  *ret_stage = COVEY_STAGE_STDIO;
  int error = give_birth(plan, terminal_child, &how, &b);
  if (error && b.report >= 0) *ret_stage = COVEY_STAGE_LIMITS; /* there were pipes */
  if (b.pid) {
    *ret_pid = b.pid;
    if (raise_child(plan, &b, -b.pid, &report)) {
      error = report.error;
      *ret_stage = report.stage;
      plan->index = report.index;
    }
  }
  end_birth(&b);
  return error;
}

int cvos_launch_run(cvos_launch *plan, pid_t *ret_pid, int *ret_pidfd)
{
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  pid_t pid = 0;
  plan->stage = 0;
  plan->guarded = plan->unheard = false;
  plan->index = -1;
  *ret_pid = 0;
  *ret_pidfd = -1;
  int stage = COVEY_STAGE_STDIO;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (error) {
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  error = park(plan);
  if (!error) error = make_actions(plan, &actions);
  if (!error) error = make_attributes(plan, &attributes);
  if (!error && plan->terminal >= 0) {
    error = fork_on_terminal(plan, &actions, &attributes, &pid, &stage);
    if (error && stage == COVEY_STAGE_EXEC) stage = stage_of(plan, error);
    *ret_pid = pid;
  } else if (!error) {
    error =
        CVOS_CALL(FORK, posix_spawn(&pid, plan->file, &actions, &attributes, plan->argv, plan->env), errno);
    if (error) stage = stage_of(plan, error);
  }
  unpark(plan);
  (void)posix_spawnattr_destroy(&attributes);
  (void)posix_spawn_file_actions_destroy(&actions);
  if (!error) {
    *ret_pid = pid;
    if (!suspended(plan)) return 0;
    stage = COVEY_STAGE_SCOPE;
    if (plan->place) error = cvos_guard_tell(plan->place, plan->own == CVOS_OWN_NOTHING ? pid : -pid);
    if (!error && nice_wanted(plan) &&
        CVOS_CALL(PRIORITY, setpriority(PRIO_PROCESS, (id_t)pid, plan->attributes->nice), -1) < 0) {
      error = errno;
      stage = COVEY_STAGE_LIMITS;
      plan->index = CVOS_AT_PRIORITY;
    }
    if (!error && plan->front >= 0 && CVOS_CALL(PTY, tcsetpgrp(plan->front, pid), -1) < 0) error = errno;
    (void)kill(pid, error ? SIGKILL : SIGCONT);
  }
  if (error) {
    plan->stage = stage;
    plan->error = error;
  }
  return 0;
}

int cvos_launch_fork(cvos_launch *plan, pid_t *ret_pid)
{
  (void)plan;
  (void)ret_pid;
  return ENOSYS;
}

int cvos_raw_close_on_exec(void)
{
  errno = ENOSYS;
  return -1;
}

#else

bool cvos_launch_flat(void)
{
  return false;
}

int cvos_launch_force(int path)
{
  return path == CVOS_PATH_BEST || path == CVOS_PATH_FORK ? 0 : COVEY_ENOTSUP;
}

int cvos_launch_run(cvos_launch *plan, pid_t *ret_pid, int *ret_pidfd)
{
  *ret_pidfd = -1;
  return cvos_launch_fork(plan, ret_pid);
}

/* The child makes its group, then waits until we have told the guard about it; our end closed without a word means that we are gone. */
static void guarded_child(cvos_launch *plan, const void *arg, int report_to, int go)
{
  char word;
  int own = plan->own;
  (void)arg;
  if (own == CVOS_OWN_SESSION ? setsid() < 0 : own == CVOS_OWN_GROUP && setpgid(0, 0) < 0)
    cvos_child(plan, report_to);
  plan->own = CVOS_OWN_NOTHING;
  if (plan->place && cvos_fd_read_all(go, &word, 1) != 1) _exit(127);
  cvos_child(plan, report_to);
}

int cvos_launch_fork(cvos_launch *plan, pid_t *ret_pid)
{
  birth b;
  cvos_report report;
  *ret_pid = 0;
  plan->stage = 0;
  plan->guard = -1;
  plan->guarded = plan->unheard = false;
  int error = give_birth(plan, guarded_child, NULL, &b);
  if (b.pid) {
    *ret_pid = b.pid;
    if (raise_child(plan, &b, plan->own == CVOS_OWN_NOTHING ? b.pid : -b.pid, &report)) {
      plan->stage = report.stage;
      plan->error = report.error;
      plan->index = report.index;
    }
  }
  end_birth(&b);
  return error;
}

int cvos_raw_close_on_exec(void)
{
#if defined(__FreeBSD__)
  return close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
#elif defined(F_MAXFD)
  for (int fd = fcntl(0, F_MAXFD); fd >= 3; fd--) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return 0;
#else
  int left = getdtablecount();
  for (int fd = 0; left > 0; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0) continue;
    left--;
    if (fd >= 3) (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
  }
  return 0;
#endif
}

#endif
