#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/fault.h"
#include "os/path.h"
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
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

enum {
  TAKES_A_PROBE = 256, /* children after which the guard is asked for a sign of life */
  STUCK_MS = 1000,
  START_MS = 10000,
  SHELL_FILES = 16 /* descriptors that a shell needs: it puts aside what it redirects, from 10 on */
};

/* Descriptors 0 table, 3 life, 1 where it says its pid; $1 the folder of our control groups or "". The loop runs in the background of a shell that
 * ends at once: so it is nobody's child. posix_spawn (macOS) can let nobody ignore signals, hence the trap. An asynchronous list has /dev/null as
 * stdin, hence the detour by 4. At the end folders may still be emptying; the system's rmdir and sleep wait for that, where they are there. */
static const char script[] =
    "trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2 TSTP TTIN TTOU\n"
    "exec 4<&0\n"
    "{ while read -r k <&3; do :; done\n"
    "while read -r g t; do [ -n \"$t\" ] || continue\n"
    "[ \"$g\" -gt 0 ] && echo 1 >\"$1/$g/cgroup.kill\"\n"
    "kill -9 \"$t\"; done\n"
    "i=0; while [ -d \"$1\" ] && [ \"$i\" -lt 100 ]; do rmdir \"$1\"/*/ \"$1\"; [ -d \"$1\" ] && sleep 0.02; "
    "i=$((i+1)); done\n"
    "} <&4 4<&- >/dev/null 2>&1 &\n"
    "echo $!\n";

/* What stands in a slot's line. */
typedef struct guarded {
  int64_t target; /* 0: free or not told yet */
  uint32_t cgroup;
} guarded;

static const char *shell_file = "/bin/sh";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int table = -1;                /* the file of all slots, a line each; stays when a guard is replaced */
static int life = -1;                 /* our end */
static struct stat table_is, life_is; /* which files these are */
static pid_t pid;
static int pin = -1;    /* its pidfd */
static uint64_t start;  /* its stamp, where there is no pidfd */
static uint32_t births; /* forks since the program's start */
static int takes;       /* since the last probe */
static guarded *slots;
static int *unused; /* stack of free slots */
static int slot_count, unused_count;

/* In a child of fork(): the guard, its slots and the lock are the parent's. The memory is left alone. */
static void after_fork(void)
{
  cvos_fd_close(table);
  cvos_fd_close(life);
  cvos_fd_close(pin);
  table = life = pin = -1;
  births++;
  pid = 0;
  takes = slot_count = unused_count = 0;
  slots = NULL;
  unused = NULL;
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  lock = fresh;
}

CVOS_AT_START guard_watch_forks(void)
{
  (void)pthread_atfork(NULL, NULL, after_fork);
}

/* ---- the table ---- */

/* A file without a name. -1 with errno. */
static int open_table(void)
{
#if defined(SYS_memfd_create)
  /* close-on-exec and never executable, which some systems insist on and old ones do not know */
  int fd = -1;
  errno = ENOSYS;
  if (!CVOS_LACKS("memfd")) fd = CVOS_CALL(OPEN, (int)syscall(SYS_memfd_create, "covey-guard", 9U), -1);
  if (fd < 0 && errno == EINVAL) fd = (int)syscall(SYS_memfd_create, "covey-guard", 1U);
  if (fd >= 0 || errno == EMFILE || errno == ENFILE) return cvos_fd_high(fd);
#endif
  char *folder, path[1024];
  if (cvos_path_temporary(&folder) < 0) return -1;
  int n = snprintf(path, sizeof path, "%s/covey-XXXXXX", folder);
  cvy_free(folder);
  if (n < 0 || (size_t)n >= sizeof path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int file = CVOS_CALL(OPEN, mkstemp(path), -1);
  if (file < 0) return -1;
  (void)fcntl(file, F_SETFD, FD_CLOEXEC);
  (void)unlink(path);
  return cvos_fd_high(file);
}

/* Writes the line of a slot: in one call, so it is whole or not there. 0 or errno. */
static int say(int slot)
{
  char text[CVOS_GUARD_LINE + 12];
  const guarded *is = &slots[slot];
  int n = is->target ? snprintf(text, sizeof text, "%u %lld", is->cgroup, (long long)is->target) : 0;
  memset(text + n, ' ', (size_t)(CVOS_GUARD_LINE - 1 - n));
  text[CVOS_GUARD_LINE - 1] = '\n';
  ssize_t done;
  do done = CVOS_CALL(WRITE, pwrite(table, text, CVOS_GUARD_LINE, (off_t)slot * CVOS_GUARD_LINE), -1);
  while (done < 0 && errno == EINTR);
  return done == CVOS_GUARD_LINE ? 0 : done < 0 ? errno : EIO;
}

/* False where the program has closed our descriptors: the number may be another file's. */
static bool is_still(int fd, const struct stat *what)
{
  return cvos_fd_is(fd, (uint64_t)what->st_dev, (uint64_t)what->st_ino);
}

/* The table, with a line for each slot that there is. 0 or errno. */
static int make_table(void)
{
  int error = 0;
  table = open_table();
  if (table < 0) return errno;
  if (fstat(table, &table_is) < 0) error = errno;
  for (int slot = 0; slot < slot_count && !error; slot++) error = say(slot);
  if (!error) return 0;
  cvos_fd_close(table);
  table = -1;
  return error;
}

/* Twice the slots, with lines that say they are free. 0 or errno. */
static int grow_table(void)
{
  int more = slot_count ? slot_count * 2 : 16, error = 0;
  guarded *grown = cvy_realloc_array(slots, (size_t)more, sizeof *slots);
  if (!grown) return ENOMEM;
  slots = grown;
  memset(slots + slot_count, 0, (size_t)(more - slot_count) * sizeof *slots);
  int *stack = cvy_realloc_array(unused, (size_t)more, sizeof *unused);
  if (!stack) return ENOMEM;
  unused = stack;
  for (int slot = slot_count; slot < more && !error; slot++) error = say(slot);
  if (error) return error;
  for (int slot = more; slot > slot_count; slot--) unused[unused_count++] = slot - 1;
  slot_count = more;
  return 0;
}

/* ---- the shell ---- */

/* The line that the shell writes once it lives: the pid of its loop. 0 or errno. */
static int hear_number(int from, pid_t *ret_pid)
{
  char text[24] = "";
  size_t size = 0;
  long long number = 0;
  int64_t deadline = cvos_clock_ms() + START_MS;
  while (size < sizeof text - 1 && !memchr(text, '\n', size)) {
    struct pollfd look = {.fd = from, .events = POLLIN};
    int64_t left = deadline - cvos_clock_ms();
    int n = left > 0 ? poll(&look, 1, (int)left) : 0;
    if (n < 0 && errno == EINTR) continue;
    ssize_t got = n > 0 ? read(from, text + size, sizeof text - 1 - size) : 0;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : n > 0 ? ENOEXEC : ETIMEDOUT;
    size += (size_t)got;
  }
  if (sscanf(text, "%lld", &number) != 1 || number <= 1) return ENOEXEC;
  *ret_pid = (pid_t)number;
  return 0;
}

/* Starts the shell with the table and its end of life, and learns the pid of its loop. */
static int start_shell(int life_end, pid_t *ret_pid)
{
  int answer[2], null = -1, pidfd = -1;
  struct rlimit files;
  if (CVOS_LACKS("sh")) return ENOTSUP;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < SHELL_FILES) return EMFILE;
  if (cvos_fd_pipe(answer) < 0) return errno;
  int error = 0;
  null = cvos_fd_high(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null < 0) error = errno;
  char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, "covey-guard", (char *)(uintptr_t)cvos_cgroup_base(),
                  NULL};
  char *env[] = {NULL};
  cvos_move moves[] = {{.from = table, .to = 0, .park = table == 3},
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
                      .terminal = -1,
                      .front = -1,
                      .ignore_signals = true,
                      .cgroup = -1,
                      .guard = -1};
  pid_t shell = 0;
  if (!error) error = cvos_launch_run(&plan, &shell, &pidfd);
  if (!error && plan.stage)
    error = plan.stage == COVEY_STAGE_EXEC && plan.error == ENOENT ? ENOTSUP : plan.error;
  cvos_fd_close(answer[1]);
  cvos_fd_close(null);
  if (!error) error = hear_number(answer[0], ret_pid);
  cvos_fd_close(answer[0]);
  if (shell > 0) {
    if (error) (void)kill(shell, SIGKILL);
    cvos_take_away(shell);
  }
  cvos_fd_close(pidfd);
  return error;
}

/* Ends a guard that may still run. It must be gone before its pipe is closed: else it would kill what is in the slots. */
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

/* The shell over the table that there is, waiting at a new pipe. 0 or errno. */
static int start_at_table(void)
{
  int ends[2];
  struct stat about;
  if (lseek(table, 0, SEEK_SET) < 0) return errno; /* where it begins to read */
  if (cvos_fd_pipe(ends) < 0) return errno;
  (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
  pid_t loop = 0;
  int error = fstat(ends[1], &about) < 0 ? errno : start_shell(ends[0], &loop);
  if (!error) error = pin_guard(loop);
  cvos_fd_close(ends[0]);
  if (error) {
    cvos_fd_close(ends[1]);
    return error;
  }
  cvos_fd_close(life);
  life = ends[1];
  life_is = about;
  takes = 0;
  return 0;
}

static int start_guard(void)
{
  if (life >= 0 && !is_still(life, &life_is)) { /* it has seen what it takes for our end */
    life = pin = -1;
    pid = 0;
  }
  end_guard();
  if (!is_still(table, &table_is)) table = -1;
  bool fresh = table < 0;
  int error = fresh ? make_table() : 0;
  if (!error && (error = start_at_table()) != 0 && fresh) {
    cvos_fd_close(table);
    table = -1;
  }
  return error;
}

static int replace(void)
{
  int error = start_guard();
  return error ? start_guard() : 0;
}

/* True while somebody holds the other end of life: the guard alone has it. */
static bool guard_lives(void)
{
  struct pollfd look = {.fd = life, .events = POLLOUT};
  return poll(&look, 1, 0) <= 0 || !(look.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* Writes the line, into another table where ours was closed. */
static int say_surely(int slot)
{
  int error = say(slot);
  if (error && (is_still(table, &table_is) || replace() == 0)) error = say(slot);
  return error;
}

/* Bytes that nobody has read, asked at the end where they are written. macOS' FIONREAD tells there what can be read, nothing; its fstat tells it (XNU,
 * sys_pipe.c: pipe_stat). */
static int64_t unread_of(int fd)
{
#if defined(__APPLE__)
  struct stat about;
  return fstat(fd, &about) < 0 ? 0 : (int64_t)about.st_size;
#else
  int unread = 0;
  return ioctl(fd, FIONREAD, &unread) < 0 ? 0 : unread;
#endif
}

/* Asks for a sign of life: a line that it has not read when the next one is due, and not within a second then, tells that it is stuck. */
static bool guard_stuck(void)
{
  for (int64_t deadline = cvos_clock_ms() + STUCK_MS;; cvos_sleep_ms(1)) {
    if (unread_of(life) == 0) break;
    if (cvos_clock_ms() >= deadline) return true;
  }
  takes = 0;
  return cvos_fd_write_quiet(life, "\n", 1) != 0;
}

/* ---- the calls ---- */

int cvos_guard_take(cvos_guard_place *ret_place, int *ret_fd)
{
  int error = 0;
  (void)pthread_mutex_lock(&lock);
  if (pid == 0)
    error = start_guard();
  else if (!guard_lives() || (++takes >= TAKES_A_PROBE && guard_stuck()))
    error = replace();
  if (!error && unused_count == 0) error = grow_table();
  if (!error) {
    *ret_place = (cvos_guard_place){unused[--unused_count], births, 0};
    *ret_fd = table;
  }
  (void)pthread_mutex_unlock(&lock);
  return error;
}

void cvos_guard_told(const cvos_guard_place *place, int64_t target)
{
  (void)pthread_mutex_lock(&lock);
  slots[place->slot] = (guarded){target, place->cgroup};
  (void)pthread_mutex_unlock(&lock);
}

int cvos_guard_tell(const cvos_guard_place *place, int64_t target)
{
  (void)pthread_mutex_lock(&lock);
  slots[place->slot] = (guarded){target, place->cgroup};
  int error = CVOS_CALL(GUARD, say_surely(place->slot), errno);
  if (error) slots[place->slot].target = 0;
  (void)pthread_mutex_unlock(&lock);
  return error;
}

int cvos_guard_failed(int *ret_fd)
{
  (void)pthread_mutex_lock(&lock);
  int error = is_still(table, &table_is) ? 0 : replace();
  *ret_fd = table;
  (void)pthread_mutex_unlock(&lock);
  return error;
}

void cvos_guard_free(cvos_guard_place *place)
{
  if (place->slot < 0) return;
  (void)pthread_mutex_lock(&lock);
  if (place->births == births) { /* else it is the parent's, not ours */
    slots[place->slot].target = 0;
    unused[unused_count++] = place->slot;
    if (say_surely(place->slot)) end_guard(); /* better nobody is guarded than a stranger killed */
  }
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
  return !CVOS_LACKS("sh") && access(shell_file, X_OK) == 0;
}
