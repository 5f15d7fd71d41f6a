#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/fault.h"
#include "posix/detail/cgroup.h"
#include "posix/detail/guard.h"
#include "posix/detail/launch.h"
#include "posix/detail/system.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  LINES_A_NUDGE =
      256, /* lines that may wait unread: a few milliseconds of reading after our end, and 5 KiB of the pipe */
  STUCK_MS = 1000,
  START_MS = 10000
};

/* Descriptors 0 lines, 3 life, 1 where it says its pid; $1 the folder of our control groups or "". The loop runs in the background of a shell that
 * ends at once: so it is nobody's child. An asynchronous list has /dev/null as stdin, hence the detour by 4. One variable a slot: a string as list
 * would be quadratic. At the end folders may still be emptying; the system's rmdir and sleep wait for that, where they are there. */
static const char script[] =
    "exec 4<&0\n"
    "{ m=0\n"
    "note() { eval \"t$1=$3 g$1=${2:-0}\"; [ \"$1\" -gt \"$m\" ] && m=$1; }\n"
    "while read -r k <&3; do\n"
    "while [ \"$k\" -gt 0 ] && read -r n g t; do k=$((k-1)); note \"$n\" \"$g\" \"$t\"; done\n"
    "done\n"
    "while read -r n g t; do note \"$n\" \"$g\" \"$t\"; done\n"
    "i=0; while [ \"$i\" -le \"$m\" ]; do eval \"t=\\$t$i g=\\$g$i\"\n"
    "[ \"${g:-0}\" -gt 0 ] && echo 1 >\"$1/$g/cgroup.kill\"\n"
    "[ -n \"$t\" ] && kill -9 \"$t\"; i=$((i+1)); done\n"
    "i=0; while [ -d \"$1\" ] && [ \"$i\" -lt 100 ]; do rmdir \"$1\"/*/ \"$1\"; [ -d \"$1\" ] && sleep 0.02; "
    "i=$((i+1)); done\n"
    "} <&4 4<&- >/dev/null 2>&1 &\n"
    "echo $!\n";

/* What the guard has in a slot. */
typedef struct guarded {
  int64_t target; /* 0: free or not told yet */
  uint32_t cgroup;
} guarded;

static const char *shell_file = "/bin/sh";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int lines = -1, life = -1; /* our ends; the numbers stay the same when a guard is replaced */
static uint32_t generation;
static pid_t pid;
static int pin = -1;    /* its pidfd */
static uint64_t start;  /* its stamp, where there is no pidfd */
static uint32_t births; /* forks since the program's start */
static int untold;      /* lines since the last nudge */
static guarded *slots;
static int *unused; /* stack of free slots */
static int slot_count, unused_count;

/* In a child of fork(): the guard, its slots and the lock are the parent's. The memory is left alone. */
static void after_fork(void)
{
  cvos_fd_close(lines);
  cvos_fd_close(life);
  cvos_fd_close(pin);
  lines = life = pin = -1;
  births++;
  generation = 0;
  pid = 0;
  untold = slot_count = unused_count = 0;
  slots = NULL;
  unused = NULL;
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  lock = fresh;
}

static void install_fork_handler(void)
{
  (void)pthread_atfork(NULL, NULL, after_fork);
}

/* Writes all of a short text, waiting for room no longer than STUCK_MS. */
static int write_patiently(int fd, const char *text, size_t size)
{
  for (int64_t deadline = cvos_clock_ms() + STUCK_MS;;) {
    int error = cvos_fd_write_quiet(fd, text, size);
    int64_t left = deadline - cvos_clock_ms();
    if (error != EAGAIN || left <= 0) return error;
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    (void)poll(&room, 1, (int)left);
  }
}

/* Lets the guard read what it was told. */
static int nudge(void)
{
  char text[16];
  int n = snprintf(text, sizeof text, "%d\n", untold);
  int error = write_patiently(life, text, (size_t)n);
  if (!error) untold = 0;
  return error;
}

static int say(int slot)
{
  char text[48];
  const guarded *is = &slots[slot];
  int n = is->target ? snprintf(text, sizeof text, "%d %u %lld\n", slot, is->cgroup, (long long)is->target)
                     : snprintf(text, sizeof text, "%d\n", slot);
  int error = cvos_fd_write_quiet(lines, text, (size_t)n);
  if (error == EAGAIN) {
    error = nudge();
    if (!error) error = write_patiently(lines, text, (size_t)n);
  }
  if (!error && ++untold >= LINES_A_NUDGE) error = nudge();
  return error;
}

/* Starts the shell with these read ends and learns the pid of its loop. */
static int start_shell(int lines_end, int life_end, pid_t *ret_pid)
{
  int answer[2], null = -1, pidfd = -1;
  if (cvos_fd_pipe(answer) < 0) return errno;
  int error = 0;
  null = cvos_fd_high(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null < 0) error = errno;
  char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, "covey-guard", (char *)(uintptr_t)cvos_cgroup_base(),
                  NULL};
  char *env[] = {NULL};
  cvos_move moves[] = {{.from = lines_end, .to = 0, .park = lines_end == 3},
                       {.from = answer[1], .to = 1, .park = answer[1] == 3, .index = 1},
                       {.from = null, .to = 2, .park = null == 3, .index = 2},
                       {.from = life_end, .to = 3, .index = 3}};
  cvos_launch plan = {.file = shell_file,
                      .argv = argv,
                      .env = env,
                      .cwd = "/",
                      .moves = moves,
                      .move_count = 4,
                      .highest = 3,
                      .own = CVOS_OWN_SESSION,
                      .ignore_signals = true,
                      .cgroup = -1,
                      .guard = -1};
  pid_t shell = 0;
  if (!error) error = cvos_launch_run(&plan, &shell, &pidfd);
  if (!error && plan.stage)
    error = plan.stage == COVEY_STAGE_EXEC && plan.error == ENOENT ? ENOTSUP : plan.error;
  cvos_fd_close(answer[1]);
  cvos_fd_close(null);
  char text[24] = "";
  size_t size = 0;
  for (int64_t deadline = cvos_clock_ms() + START_MS; !error && size < sizeof text - 1;) {
    struct pollfd look = {.fd = answer[0], .events = POLLIN};
    int64_t left = deadline - cvos_clock_ms();
    int n = left > 0 ? poll(&look, 1, (int)left) : 0;
    if (n < 0 && errno == EINTR) continue;
    ssize_t got = n > 0 ? read(answer[0], text + size, sizeof text - 1 - size) : 0;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      error = got < 0 ? errno : n > 0 ? ENOEXEC : ETIMEDOUT;
    else
      size += (size_t)got;
    if (memchr(text, '\n', size)) break;
  }
  cvos_fd_close(answer[0]);
  if (shell > 0) {
    if (error) (void)kill(shell, SIGKILL);
    while (waitpid(shell, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  cvos_fd_close(pidfd);
  long long number = 0;
  if (!error && (sscanf(text, "%lld", &number) != 1 || number <= 1)) error = ENOEXEC;
  if (!error) *ret_pid = (pid_t)number;
  return error;
}

/* Ends a guard that may still run. It must be gone before its pipe is closed: else it would kill what it has in its slots. */
static void end_guard(void)
{
  if (pid <= 0) return;
  cvos_entry now;
  if (pin >= 0)
    (void)cvos_system_pidfd_signal(pin, SIGKILL);
  else if (cvos_system_entry(pid, &now) == 0 && now.start == start && !now.zombie)
    (void)kill(pid, SIGKILL);
  cvos_fd_close(pin);
  pin = -1;
  pid = 0;
}

/* Pins the loop, so that it can be ended without touching a stranger. It is alive: it waits for us. */
static int pin_guard(pid_t loop)
{
  cvos_entry about;
  pin = cvos_fd_high(cvos_system_pidfd(loop));
  if (pin < 0) {
    int error = cvos_system_entry(loop, &about);
    if (error) return error;
    start = about.start;
  }
  pid = loop;
  return 0;
}

/* Puts fd at the number *keep, or makes its number the one to keep. */
static int keep(int fd, int *kept)
{
  if (*kept < 0) {
    *kept = fd;
    return 0;
  }
#if defined(__APPLE__)
  int r = dup2(fd, *kept);
  if (r >= 0) (void)fcntl(*kept, F_SETFD, FD_CLOEXEC);
#else
  int r = dup3(fd, *kept, O_CLOEXEC);
#endif
  int error = r < 0 ? errno : 0;
  cvos_fd_close(fd);
  return error;
}

static int start_guard(void)
{
  int a[2], b[2];
  end_guard();
  if (cvos_fd_pipe(a) < 0) return errno;
  if (cvos_fd_pipe(b) < 0) {
    int error = errno;
    cvos_fd_close(a[0]);
    cvos_fd_close(a[1]);
    return error;
  }
  (void)fcntl(a[1], F_SETFL, O_NONBLOCK);
  (void)fcntl(b[1], F_SETFL, O_NONBLOCK);
  pid_t loop = 0;
  int error = start_shell(a[0], b[0], &loop);
  if (!error) error = pin_guard(loop);
  cvos_fd_close(a[0]);
  cvos_fd_close(b[0]);
  if (error) {
    cvos_fd_close(a[1]);
    cvos_fd_close(b[1]);
    return error;
  }
  generation++;
  untold = 0;
  error = keep(a[1], &lines);
  int second = keep(b[1], &life);
  if (!error) error = second;
  for (int i = 0; i < slot_count && !error; i++) {
    if (slots[i].target) error = say(i);
  }
  return error;
}

/* Starts another guard if the one of this generation is still the last. Lock held. */
static int replace(uint32_t seen)
{
  if (seen != generation) return 0;
  int error = start_guard();
  if (error) error = start_guard();
  return error;
}

static int take_slot(void)
{
  if (unused_count == 0) {
    int more = slot_count ? slot_count * 2 : 16;
    guarded *grown = cvy_realloc_array(slots, (size_t)more, sizeof *slots);
    if (!grown) return -1;
    slots = grown;
    int *stack = cvy_realloc_array(unused, (size_t)more, sizeof *unused);
    if (!stack) return -1;
    unused = stack;
    for (int i = more; i > slot_count; i--) unused[unused_count++] = i - 1;
    memset(slots + slot_count, 0, (size_t)(more - slot_count) * sizeof *slots);
    slot_count = more;
  }
  return unused[--unused_count];
}

int cvos_guard_take(cvos_guard_place *ret_place, int *ret_fd)
{
  int error = 0;
  (void)pthread_once(&fork_once, install_fork_handler);
  (void)pthread_mutex_lock(&lock);
  if (generation == 0 || pid == 0) error = start_guard();
  int slot = error ? -1 : take_slot();
  if (!error && slot < 0) error = ENOMEM;
  if (!error) {
    *ret_place = (cvos_guard_place){slot, generation, births, 0};
    *ret_fd = lines;
  }
  (void)pthread_mutex_unlock(&lock);
  return error;
}

void cvos_guard_told(const cvos_guard_place *place, int64_t target)
{
  (void)pthread_mutex_lock(&lock);
  slots[place->slot] = (guarded){target, place->cgroup};
  int error = 0;
  if (place->generation != generation)
    error = say(place->slot); /* it told a guard that is gone */
  else if (++untold >= LINES_A_NUDGE)
    error = nudge();
  if (error) (void)replace(generation);
  (void)pthread_mutex_unlock(&lock);
}

int cvos_guard_tell(cvos_guard_place *place, int64_t target)
{
  (void)pthread_mutex_lock(&lock);
  slots[place->slot] = (guarded){target, place->cgroup};
  int error = CVOS_CALL(GUARD, say(place->slot), errno);
  if (error) error = replace(generation);
  if (error) slots[place->slot].target = 0;
  (void)pthread_mutex_unlock(&lock);
  return error;
}

int cvos_guard_failed(cvos_guard_place *place)
{
  (void)pthread_mutex_lock(&lock);
  int error = 0;
  if (place->generation == generation) {
    /* perhaps it only lags behind */
    error = nudge();
    struct pollfd room = {.fd = lines, .events = POLLOUT};
    if (error || poll(&room, 1, STUCK_MS) <= 0 || (room.revents & POLLERR)) error = replace(generation);
  }
  place->generation = generation;
  (void)pthread_mutex_unlock(&lock);
  return error;
}

void cvos_guard_free(cvos_guard_place *place)
{
  if (place->slot < 0) return;
  (void)pthread_mutex_lock(&lock);
  if (place->births != births) { /* the parent's, not ours */
    place->slot = -1;
    (void)pthread_mutex_unlock(&lock);
    return;
  }
  if (slots[place->slot].target) {
    slots[place->slot].target = 0;
    if (say(place->slot)) {
      /* without anything to guard the next one is started at need */
      bool any = false;
      for (int i = 0; i < slot_count && !any; i++) any = slots[i].target != 0;
      if (any)
        (void)replace(generation);
      else
        end_guard();
    }
  }
  unused[unused_count++] = place->slot;
  place->slot = -1;
  (void)pthread_mutex_unlock(&lock);
}

pid_t cvos_guard_pid(void)
{
  (void)pthread_mutex_lock(&lock);
  pid_t answer = pid;
  (void)pthread_mutex_unlock(&lock);
  return answer;
}

void cvos_guard_use_shell(const char *path)
{
  shell_file = path;
}

bool cvos_guard_possible(void)
{
  return access(shell_file, X_OK) == 0;
}
