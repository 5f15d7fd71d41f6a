#include "posix/detail/posix.h"

#include "os/process.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/signal.h"
#include "posix/detail/controllers.h"
#include "posix/detail/diagnose.h"
#include "posix/detail/guard.h"
#include "posix/detail/launch.h"
#include "posix/detail/system.h"
#include "posix/detail/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <crt_externs.h>
#define ENVIRONMENT (*_NSGetEnviron())
#else
extern char **environ;
#define ENVIRONMENT environ
#endif

enum {
  FEW_MOVES = 16,
  BUSY_MS = 100,   /* a program that is open for writing is tried again for so long */
  GUARD_TRIES = 3, /* a child that could not tell the guard is started again so often */
  LOOK_MS = 10,
  REAP_MS = 10
};

/* ---- the plan ---- */

/* Who goes where, and who must be moved out of another's way first. */
static void plan_moves(const cvos_spawn_request *request, cvos_launch *plan)
{
  size_t count = 0;
  plan->highest = 2;
  for (int i = 0; i < 3; i++) {
    plan->shut[i] = request->stdio[i] == CVOS_NONE;
    if (!plan->shut[i]) plan->moves[count++] = (cvos_move){.from = request->stdio[i], .to = i, .index = i};
  }
  for (size_t i = 0; i < request->pass_count; i++) {
    const cvos_pass *pass = &request->pass[i];
    plan->moves[count++] = (cvos_move){.from = pass->handle, .to = pass->target, .index = (int)i + 3};
    if (pass->target > plan->highest) plan->highest = pass->target;
  }
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < count && !plan->moves[i].park; j++)
      plan->moves[i].park =
          i != j && plan->moves[i].from == plan->moves[j].to && plan->moves[i].from != plan->moves[i].to;
  }
  plan->move_count = count;
}

/* What is said about the program, and that every descriptor is open: before anything of ours can get a number that is not. */
static int check_request(const cvos_spawn_request *request, cvos_launch *plan, covey_failure *ret_failure)
{
  if (!request->file || request->file[0] != '/' || !request->argv || !request->argv[0])
    return cvos_failed(ret_failure, COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, EINVAL, -1, request->file);
  for (size_t i = 0; i < plan->move_count; i++) {
    cvos_move *move = &plan->moves[i];
    int flags = fcntl(move->from, F_GETFD);
    if (flags < 0 || (move->index > 2 && move->to < 3)) {
      cvos_diagnose(request, COVEY_STAGE_STDIO, flags < 0 ? errno : EBADF, move->index, ret_failure);
      return ret_failure->code;
    }
    move->ready = move->from == move->to && move->to <= 2 && !(flags & FD_CLOEXEC);
  }
  return 0;
}

static void reap_failed(pid_t pid, int pidfd)
{
  cvos_take_away(pid);
  cvos_fd_close(pidfd);
}

/* A child that has a slot in the guard: it tells itself, where it can do so before its exec. */
static int launch_once(cvos_launch *plan, cvos_tree *tree, bool tied, pid_t *ret_pid, int *ret_pidfd)
{
  if (!tied) return cvos_launch_run(plan, ret_pid, ret_pidfd);
  if (tree->place.slot < 0) {
    int error = cvos_guard_take(&tree->place, &plan->guard);
    if (error) {
      plan->stage = COVEY_STAGE_SCOPE;
      plan->error = error;
      *ret_pid = 0;
      return 0;
    }
  }
  tree->place.cgroup = tree->cgroup.number;
  plan->place = &tree->place;
  plan->line_size =
      (size_t)snprintf(plan->line, sizeof plan->line, "%u %s", tree->place.cgroup, tree->grouped ? "-" : "");
  plan->guard_at = (int64_t)tree->place.slot * CVOS_GUARD_LINE;
  return cvos_launch_run(plan, ret_pid, ret_pidfd);
}

/* The control group that the child is born into, with its limits. */
static int enclose(const cvos_spawn_request *request, cvos_launch *plan, cvos_tree *tree, bool tied,
                   covey_failure *ret_failure)
{
  const char *field = cvos_controllers_wanted(request->launch);
  if (tied && tree->grouped && (request->flags & CVOS_SPAWN_ENCLOSED)) cvos_cgroup_take(&tree->cgroup);
  plan->cgroup = tree->cgroup.folder;
  plan->must_enclose = field != NULL;
  if (!field) return 0;
  int error = ENOTSUP;
  if (tree->cgroup.number) error = cvos_controllers_set(&tree->cgroup, request->launch, &field);
  if (!error) return 0;
  bool missing = error == ENOTSUP;
  return cvos_failed(ret_failure, missing ? COVEY_ENOTSUP : cvos_translate(error),
                     missing ? COVEY_STAGE_ARGUMENTS : COVEY_STAGE_LIMITS, error, -1, field);
}

/* Starts the planned child, again where a second try is due. 0, or the failure is in *ret_failure. */
static int launch(const cvos_spawn_request *request, cvos_launch *plan, cvos_tree *tree, pid_t *ret_pid,
                  int *ret_pidfd, covey_failure *ret_failure)
{
  bool tied = (request->flags & CVOS_SPAWN_TIED) && request->scope != CVOS_SCOPE_DETACHED;
  if (enclose(request, plan, tree, tied, ret_failure) < 0) return ret_failure->code;
  for (int64_t pause = 1, spent = 0, guard_tries = 0;;) {
    int error = launch_once(plan, tree, tied, ret_pid, ret_pidfd);
    if (error) {
      bool handles = error == EMFILE || error == ENFILE;
      cvos_guard_free(&tree->place);
      cvos_diagnose(request, handles ? COVEY_STAGE_STDIO : COVEY_STAGE_LIMITS, error, -1, ret_failure);
      return ret_failure->code;
    }
    if (*ret_pid > 0 && plan->guarded) cvos_guard_told(&tree->place, tree->grouped ? -*ret_pid : *ret_pid);
    if (plan->stage == 0) return 0;
    bool guard_failed = tied && plan->unheard && *ret_pid > 0;
    int stage = plan->stage;
    error = plan->error;
    if (!guard_failed) cvos_guard_free(&tree->place);
    if (*ret_pid > 0) reap_failed(*ret_pid, *ret_pidfd);
    if (guard_failed && guard_tries++ < GUARD_TRIES && cvos_guard_failed(&plan->guard) == 0) continue;
    cvos_guard_free(&tree->place);
    if (stage == COVEY_STAGE_EXEC && error == ETXTBSY && spent < BUSY_MS) {
      cvos_sleep_ms(pause);
      spent += pause;
      if (pause < 16) pause *= 2;
      continue;
    }
    cvos_diagnose(request, stage, error, plan->index, ret_failure);
    return ret_failure->code;
  }
}

/* The stamp by the clock when both ends of the start fall into one tick, else by asking. */
static uint64_t stamp_of(pid_t pid, uint64_t before)
{
  cvos_entry entry;
  if (before && cvos_launch_stamp() == before) return before;
  return cvos_system_entry(pid, &entry) == 0 ? entry.start : 0;
}

static int own_of(const cvos_spawn_request *request)
{
  if (request->pty) return CVOS_OWN_SESSION;
  switch (request->scope) {
  case CVOS_SCOPE_TREE: return CVOS_OWN_GROUP;
  case CVOS_SCOPE_SHARED: return CVOS_OWN_NOTHING;
  default: return CVOS_OWN_SESSION;
  }
}

int cvos_spawn(const cvos_spawn_request *request, cvos_process *ret_process, cvos_tree **ret_tree,
               covey_failure *ret_failure)
{
  int r;
  cvos_move few[FEW_MOVES];
  bool detached = request->scope == CVOS_SCOPE_DETACHED;
  cvos_attributes attributes;
  memset(&attributes, 0, sizeof attributes);
  cvos_tree *tree = cvy_alloc_zero(1, sizeof *tree);
  cvos_move *moves =
      request->pass_count + 3 <= FEW_MOVES ? few : cvy_alloc((request->pass_count + 3) * sizeof *moves);
  if (!tree || !moves) {
    r = cvos_failed(ret_failure, COVEY_ENOMEM, COVEY_STAGE_LIMITS, ENOMEM, -1, NULL);
    goto done;
  }
  tree->place.slot = tree->cgroup.folder = -1;
  tree->grouped = request->scope != CVOS_SCOPE_SHARED;
  tree->session = request->scope == CVOS_SCOPE_SESSION || request->pty;
  cvos_launch plan = {.file = request->file,
                      .argv = (char *const *)(uintptr_t)request->argv,
                      .env = request->env ? (char *const *)(uintptr_t)request->env : ENVIRONMENT,
                      .cwd = request->cwd,
                      .moves = moves,
                      .own = own_of(request),
                      .terminal = request->pty ? request->stdio[0] : -1,
                      .front = request->front ? cvos_front_handle(request->front) : -1,
                      .guard = -1,
                      .index = -1};
  plan_moves(request, &plan);
  r = check_request(request, &plan, ret_failure);
  if (r == 0) r = cvos_attributes_make(request->launch, &attributes, ret_failure);
  if (r < 0) goto done;
  plan.attributes = request->launch ? &attributes : NULL;
  pid_t pid = 0;
  int pidfd = -1;
  uint64_t before = cvos_launch_stamp();
  r = launch(request, &plan, tree, &pid, &pidfd, ret_failure);
  if (r < 0) goto done;
  if (plan.enclosed)
    cvos_cgroup_started(&tree->cgroup);
  else
    cvos_cgroup_put(&tree->cgroup);
  tree->leader = pid;
  tree->start = stamp_of(pid, before);
  *ret_process = (cvos_process){.pid = pid, .start = tree->start, .handle = pidfd, .child = true};
  *ret_tree = detached ? NULL : tree;
  if (!detached) tree = NULL;
done:
  cvos_attributes_fini(&attributes);
  if (moves != few) cvy_free(moves);
  if (tree) cvos_cgroup_put(&tree->cgroup);
  cvy_free(tree);
  return r;
}

int cvos_process_force_path(int path)
{
  return cvos_launch_force(path);
}

/* ---- the end ---- */

static int64_t microseconds(struct timeval t)
{
  return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void fill_status(const cvos_ended *ended, cvos_status *ret)
{
  bool by_itself = ended->how == CLD_EXITED;
  *ret = (cvos_status){.how = by_itself ? CVOS_END_EXITED : CVOS_END_SIGNALLED,
                       .code = by_itself ? (uint32_t)ended->status & 0xFF : 0,
                       .signal = by_itself ? 0 : cvos_signal_from_system(ended->status),
                       .core = ended->how == CLD_DUMPED,
                       .user_us = -1,
                       .system_us = -1,
                       .peak_bytes = -1};
  if (ended->has_usage) {
    ret->user_us = microseconds(ended->usage.ru_utime);
    ret->system_us = microseconds(ended->usage.ru_stime);
    ret->peak_bytes = cvos_system_peak(&ended->usage);
  }
}

static const cvos_status lost = {.how = CVOS_END_LOST, .user_us = -1, .system_us = -1, .peak_bytes = -1};

/* No status by waiting: has it ended, and does the kernel still tell how? *ret_unreaped: it may yet. */
static int note_lost(const cvos_process *process, cvos_status *ret, bool *ret_unreaped)
{
  cvos_ended ended;
  cvos_entry entry;
  int r = cvos_system_await(process, 0);
  if (r == 0) return COVEY_EAGAIN;
  if (r < 0) {
    int error = cvos_system_entry((pid_t)process->pid, &entry);
    if (!error && entry.start == process->start && !entry.zombie) return COVEY_EAGAIN;
  }
  /* an adopted one that is a child of the program, and not reaped by it: by waiting, for it alone */
  bool there =
      !process->child && !cvos_system_entry((pid_t)process->pid, &entry) && entry.start == process->start;
  int waited = there ? cvos_system_wait(process->handle, (pid_t)process->pid, WNOWAIT, &ended) : -1;
  /* a tracer has it; macOS tells of an end a moment before it can be waited for (XNU, kern_exit.c: proc_exit) */
  if (waited == 0) return COVEY_EAGAIN;
  if (waited > 0) {
    fill_status(&ended, ret);
    return 0;
  }
  int error = cvos_system_lost(process->handle, &ended);
  *ret_unreaped = error == EAGAIN;
  if (error)
    *ret = lost;
  else
    fill_status(&ended, ret);
  return 0;
}

static int note(const cvos_process *process, cvos_status *ret, bool *ret_unreaped)
{
  cvos_ended ended;
  cvos_status status;
  int r = -1;
  if (process->child && !process->reaped)
    r = cvos_system_wait(process->handle, (pid_t)process->pid, WNOWAIT, &ended);
  if (r == 0) return COVEY_EAGAIN;
  if (r > 0) {
    fill_status(&ended, ret);
    return 0;
  }
  r = note_lost(process, &status, ret_unreaped);
  if (r == 0) *ret = status;
  return r;
}

int64_t cvos_process_peak(const cvos_process *process)
{
  return cvos_system_peak_of((pid_t)process->pid);
}

int cvos_process_wait(const cvos_process *process, int64_t timeout)
{
  int64_t deadline = timeout < 0 ? INT64_MAX : cvos_clock_ms() + timeout;
  bool unreaped;
  for (;;) {
    int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline - cvos_clock_ms();
    if (left < 0) left = 0;
    cvos_status status;
    int r = cvos_system_await(process, left > INT32_MAX ? timeout < 0 ? -1 : INT32_MAX : (int)left);
    if (r > 0 && (!process->child || process->reaped)) return 0;
    if (r > 0 ||
        (r < 0 && errno == ENOSYS)) { /* the pidfd of a child tells of its end while a tracer still has it */
      r = note(process, &status, &unreaped);
      if (r != COVEY_EAGAIN) return r;
      if (left > 0) cvos_sleep_ms(left < LOOK_MS ? left : LOOK_MS);
    } else if (r < 0 && errno != EINTR) {
      return cvos_translate(errno);
    }
    if (left == 0) return COVEY_ETIMEDOUT;
  }
}

int cvos_process_note(cvos_process *process, cvos_status *ret)
{
  bool unreaped = false;
  cvos_status status;
  int r = note(process, &status, &unreaped);
  if (r == 0 && unreaped) {
    int64_t now = cvos_clock_ms();
    if (!process->unreaped) process->unreaped = now;
    if (now - process->unreaped < REAP_MS) return COVEY_EAGAIN;
  }
  if (r < 0) return r;
  process->ended = true;
  *ret = status;
  return 0;
}

bool cvos_process_stopped(const cvos_process *process)
{
  siginfo_t info = {0};
  if (!process->child || process->ended) return false;
  int r = waitid(P_PID, (id_t)process->pid, &info, WSTOPPED | WNOHANG | WNOWAIT);
  return r == 0 && info.si_pid == (pid_t)process->pid && info.si_code == CLD_STOPPED;
}

static int take(const cvos_process *process, cvos_ended *ret)
{
  int r = cvos_system_wait(process->handle, (pid_t)process->pid, 0, ret);
  return r < 0 && errno != ECHILD ? cvos_system_wait(process->handle, (pid_t)process->pid, 0, ret) : r;
}

int cvos_process_reap(cvos_process *process, cvos_tree *tree, cvos_status *ret)
{
  cvos_status status = lost;
  cvos_ended ended;
  bool unreaped;
  int taken = -1;
  /* a tied one is out of the guard before its number is free */
  bool tied = tree && tree->place.slot >= 0;
  int r = tied && !process->ended ? note(process, &status, &unreaped) : 0;
  if (r < 0) return r;
  if (tied) cvos_tree_untie(tree);
  if (process->child && !process->reaped) {
    taken = take(process, &ended);
    if (taken < 0 && errno != ECHILD) return cvos_translate(errno);
  }
  if (taken == 0) return COVEY_EAGAIN;
  if (taken < 0)
    r = note(process, &status, &unreaped);
  else if (ret)
    fill_status(&ended, &status);
  if (r < 0) return r;
  if (tree) tree->ended = true;
  process->ended = process->reaped = true;
  if (ret) *ret = status;
  return 0;
}

void cvos_process_close(cvos_process *process)
{
  if (!process) return;
  cvos_fd_close(process->handle);
  process->handle = CVOS_NONE;
}

/* ---- identity ---- */

int cvos_identity(int64_t pid, covey_identity *ret, int64_t *ret_parent)
{
  cvos_entry entry;
  uid_t uid = geteuid();
  gid_t gid = getegid();
  pid_t number = pid ? (pid_t)pid : getpid();
  int error = number == pid || pid == 0 ? cvos_system_entry(number, &entry) : ESRCH;
  if (!error && entry.zombie) error = ESRCH;
  if (!error && number != getpid()) error = cvos_system_user(number, &uid, &gid);
  if (error) {
    errno = error;
    return cvos_translate(error);
  }
  *ret = (covey_identity){.pid = number, .start = entry.start, .uid = uid, .gid = gid};
  if (uid == geteuid()) ret->flags |= COVEY_ID_SAME_USER;
  if (uid == 0) ret->flags |= COVEY_ID_ELEVATED;
  if (ret_parent) *ret_parent = entry.parent;
  return 0;
}

int64_t cvos_start_time(uint64_t start)
{
  return start ? cvos_system_start_time(start) : -1;
}

int cvos_process_open(int64_t pid, uint64_t start, cvos_process *ret)
{
  cvos_entry entry;
  pid_t number = (pid_t)pid;
  if (pid <= 0 || number != pid) {
    errno = ESRCH;
    return COVEY_ENOTFOUND;
  }
  int pidfd = cvos_system_pidfd(number);
  if (pidfd < 0 && errno != ENOSYS) return errno == EINVAL ? COVEY_ENOTFOUND : cvos_translate(errno);
  if (pidfd >= 0) {
    pidfd = cvos_fd_high(pidfd);
    if (pidfd < 0) return cvos_translate(errno);
  }
  int error = cvos_system_entry(number, &entry);
  if (!error && entry.zombie) error = ESRCH;
  if (!error && (!start || entry.start == start)) {
    *ret = (cvos_process){.pid = pid, .start = entry.start, .handle = pidfd};
    return 0;
  }
  cvos_fd_close(pidfd);
  errno = error ? error : ESRCH;
  return error ? cvos_translate(error) : COVEY_EPEERCHANGED;
}

/* ---- this process ---- */

int64_t cvos_self_pid(void)
{
  return getpid();
}

int64_t cvos_self_parent(void)
{
  return getppid();
}

int cvos_environment(char ***ret, size_t *ret_count)
{
  char **source = ENVIRONMENT;
  size_t count = 0, size = 0;
  for (; source && source[count]; count++) size += strlen(source[count]) + 1;
  char **list = cvy_alloc((count + 1) * sizeof *list + size);
  if (!list) {
    errno = ENOMEM;
    return COVEY_ENOMEM;
  }
  char *text = (char *)(list + count + 1);
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(source[i]) + 1;
    memcpy(text, source[i], n);
    list[i] = text;
    text += n;
  }
  list[count] = NULL;
  *ret = list;
  if (ret_count) *ret_count = count;
  return 0;
}

int cvos_command_line(char **ret)
{
  (void)ret;
  errno = ENOTSUP;
  return COVEY_ENOTSUP;
}

bool cvos_console_present(void)
{
  return true;
}
