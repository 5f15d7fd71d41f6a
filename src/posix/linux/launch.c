#include "posix/detail/posix.h"

#include "os/fault.h"
#include "posix/detail/launch.h"
#include "posix/detail/raw.h"
#include "posix/detail/system.h"

#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define CLOSE_RANGE_CLOEXEC_FLAG 4U

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* The kernel's struct clone_args (linux/sched.h is not everywhere new enough). Its first size, which older kernels take, ends before set_tid. */
struct clone3_args {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  uint64_t set_tid, set_tid_size, cgroup;
};
#define FIRST_SIZE offsetof(struct clone3_args, set_tid)

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
/* The child's frames never return: their red zones would stay in the memory that both share. */
#define forget_frames(stack) ASAN_UNPOISON_MEMORY_REGION((stack)->bytes, sizeof(stack)->bytes)
/* Elsewhere its newer versions keep what is local, which they take for no stack, and say so on that of the program. */
#define LOCALS_ON_STACK __attribute__((no_sanitize_address))
#else
#define forget_frames(stack) ((void)(stack))
#define LOCALS_ON_STACK
#endif

#if defined(__SANITIZE_THREAD__) || defined(THREAD_SANITIZER)
/* The thread sanitizer of gcc 13 and clang 15 takes each clone for a fork with memory of its own, and ends the program where that is shared: the same
 * function by the name that it does not know. */
int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* What runs on the child's stack. Its frames are small: 8 KiB leaves room for red zones of sanitizers. */
typedef struct child_stack {
  _Alignas(64) char bytes[8192];
} child_stack;

static int best_path, forced_path; /* best_path 0: not known yet */
static bool stamp_by_clock;

#if defined(__x86_64__) || defined(__aarch64__)
#define HAS_CLONE3 1
/* clone3 with a stack of its own, on which the child calls run(arg) and never returns: libc has no wrapper for it. */
__attribute__((noinline)) static long clone3_run(struct clone3_args *args, size_t size, int (*run)(void *),
                                                 void *arg)
{
#if defined(__x86_64__)
  long result;
  register int (*r8)(void *) __asm__("r8") = run;
  register void *r9 __asm__("r9") = arg;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "mov %%r9, %%rdi\n\t"
                   "call *%%r8\n\t"
                   "hlt\n"
                   "1:\n\t"
                   : "=a"(result)
                   : "0"((long)SYS_clone3), "D"(args), "S"(size), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory", "cc");
#else
  register long x8 __asm__("x8") = SYS_clone3;
  register struct clone3_args *x0 __asm__("x0") = args;
  register size_t x1 __asm__("x1") = size;
  register int (*x9)(void *) __asm__("x9") = run;
  register void *x10 __asm__("x10") = arg;
  __asm__ volatile("svc 0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "mov x30, xzr\n\t"
                   "mov x0, x10\n\t"
                   "blr x9\n\t"
                   "brk 1\n"
                   "1:\n\t"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
                   : "memory", "cc");
  long result = (long)(intptr_t)x0;
#endif
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
}
#else
#define HAS_CLONE3 0
#endif

LOCALS_ON_STACK __attribute__((noinline)) static int create(int path, int cgroup, int (*run)(void *),
                                                            void *arg, int exit_signal, int *ret_pidfd)
{
  child_stack stack;
  int pidfd = -1;
  long pid;
#if HAS_CLONE3
  if (path == CVOS_PATH_CLONE3) {
    struct clone3_args args = {.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                               .pidfd = (uint64_t)(uintptr_t)&pidfd,
                               .exit_signal = (uint64_t)exit_signal,
                               .stack = (uint64_t)(uintptr_t)stack.bytes,
                               .stack_size = sizeof stack.bytes};
    if (cgroup >= 0) {
      args.flags |= CLONE_INTO_CGROUP;
      args.cgroup = (uint64_t)cgroup;
    }
    pid = CVOS_CALL(FORK, clone3_run(&args, cgroup >= 0 ? sizeof args : FIRST_SIZE, run, arg), -1);
  } else
#else
  (void)cgroup;
#endif
  {
    int flags = CLONE_VM | CLONE_VFORK | exit_signal | (path == CVOS_PATH_CLONE ? CLONE_PIDFD : 0);
    pid = CVOS_CALL(FORK, clone(run, stack.bytes + sizeof stack.bytes, flags, arg, &pidfd), -1);
  }
  forget_frames(&stack);
  if (pid >= 0) *ret_pidfd = pidfd;
  return (int)pid;
}

static int run_child(void *arg)
{
  cvos_child(arg, -1);
}

/* ---- probing: is memory shared, are the calls allowed (qemu's user mode and some sandboxes say no), does the clock tell the stamp ---- */

typedef struct probe {
  volatile int shared;
} probe;

static int run_probe(void *arg)
{
  (void)syscall(SYS_getpid);
  ((probe *)arg)->shared = 1;
  raw_exit(0);
}

static uint64_t clock_stamp(void)
{
  struct timespec now;
  if (clock_gettime(CLOCK_BOOTTIME, &now) < 0) return 0;
  uint64_t hertz = (uint64_t)sysconf(_SC_CLK_TCK);
  return (uint64_t)now.tv_sec * hertz + (uint64_t)now.tv_nsec / (1000000000U / hertz);
}

/* 1: this way works; 0: not here; or the negative errno of something that may pass (no descriptor, no process, no memory left). */
static int probe_path(int path, int cgroup)
{
  probe shared = {0};
  int pidfd = -1;
  uint64_t mask, before = clock_stamp();
  raw_mask(UINT64_MAX, &mask);
  int pid = create(path, cgroup, run_probe, &shared, 0, &pidfd);
  int error = errno;
  raw_mask(mask, NULL);
  if (pid < 0) return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM ? -error : 0;
  bool works = shared.shared == 1;
  cvos_entry entry;
  uint64_t after = clock_stamp();
  if (cvos_system_entry(pid, &entry) == 0)
    __atomic_store_n(&stamp_by_clock, entry.start >= before && entry.start <= after, __ATOMIC_RELAXED);
  cvos_fd_close(pidfd);
  while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {
  }
  return works;
}

static bool lacks(int path)
{
  if (path == CVOS_PATH_VFORK) return CVOS_LACKS("vfork");
  return CVOS_LACKS("pidfd") || CVOS_LACKS("clone") || (path == CVOS_PATH_CLONE3 && CVOS_LACKS("clone3"));
}

/* The best way of this system, found by the first call that is not kept from it (threads that meet here find the same, and a fork finds no
 * lock held); or a negative errno. */
static int find_best(void)
{
  static const int paths[] = {
#if HAS_CLONE3
    CVOS_PATH_CLONE3,
#endif
    CVOS_PATH_CLONE,
    CVOS_PATH_VFORK,
    CVOS_PATH_FORK
  };
  int path = __atomic_load_n(&best_path, __ATOMIC_ACQUIRE);
  if (path) return path;
  int saved = errno;
  for (size_t i = 0; !path; i++) {
    int r = paths[i] == CVOS_PATH_FORK ? 1 : lacks(paths[i]) ? 0 : probe_path(paths[i], -1);
    if (r < 0)
      path = r;
    else if (r)
      path = paths[i];
  }
  if (path > 0) __atomic_store_n(&best_path, path, __ATOMIC_RELEASE);
  errno = saved;
  return path;
}

uint64_t cvos_launch_stamp(void)
{
  return find_best() > 0 && __atomic_load_n(&stamp_by_clock, __ATOMIC_RELAXED) ? clock_stamp() : 0;
}

bool cvos_launch_into(int cgroup)
{
  return find_best() == CVOS_PATH_CLONE3 && probe_path(CVOS_PATH_CLONE3, cgroup) > 0;
}

bool cvos_launch_flat(void)
{
  return find_best() != CVOS_PATH_FORK;
}

int cvos_launch_force(int path)
{
  int best = find_best();
  bool can = path == CVOS_PATH_BEST || path == CVOS_PATH_FORK ||
             (best > 0 && path >= best && path <= CVOS_PATH_FORK);
  if (can) __atomic_store_n(&forced_path, path, __ATOMIC_RELAXED);
  return can ? 0 : COVEY_ENOTSUP;
}

int cvos_launch_run(cvos_launch *plan, pid_t *ret_pid, int *ret_pidfd)
{
  int path = __atomic_load_n(&forced_path, __ATOMIC_RELAXED);
  if (path == CVOS_PATH_BEST) path = find_best();
  if (path < 0) return -path;
  plan->stage = 0;
  plan->guarded = plan->unheard = plan->enclosed = false;
  if (path != CVOS_PATH_CLONE3 && plan->cgroup >= 0) {
    if (plan->must_enclose) return ENOTSUP;
    plan->cgroup = -1;
  }
  /* a change of user that shares our memory would make all of us undumpable, or, undone, open us to processes of that user */
  if (path == CVOS_PATH_FORK || (plan->attributes && plan->attributes->credentials)) {
    int error = cvos_launch_fork(plan, ret_pid);
    if (!error) *ret_pidfd = cvos_fd_high(cvos_system_pidfd(*ret_pid));
    return error;
  }
  int pidfd = -1;
  uint64_t mask;
  raw_mask(UINT64_MAX, &mask);
  int cgroup = plan->cgroup;
  int pid = create(path, cgroup, run_child, plan, SIGCHLD, &pidfd);
  int error = errno;
  plan->enclosed = pid >= 0 && cgroup >= 0;
  /* a group that is full, frozen or taken away by somebody is no reason not to start */
  if (pid < 0 && cgroup >= 0 && !plan->must_enclose && error != EMFILE && error != ENFILE) {
    pid = create(path, -1, run_child, plan, SIGCHLD, &pidfd);
    error = errno;
  }
  raw_mask(mask, NULL);
  if (pid < 0) return error;
  if (path == CVOS_PATH_VFORK) pidfd = cvos_system_pidfd(pid);
  *ret_pid = pid;
  *ret_pidfd = cvos_fd_high(pidfd);
  return 0;
}

/* Not fork(): what the program wants done in its forks is not for a child that only starts another program. */
static long make_fork(cvos_launch *plan)
{
#if HAS_CLONE3
  if (plan->cgroup >= 0) {
    struct clone3_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)plan->cgroup};
    long pid = CVOS_CALL(FORK, syscall(SYS_clone3, &args, sizeof args), -1);
    if (pid > 0) plan->enclosed = true;
    if (pid >= 0 || plan->must_enclose || errno == EMFILE || errno == ENFILE) return pid;
  }
#else
  (void)plan;
#endif
  return CVOS_CALL(FORK, syscall(SYS_clone, (unsigned long)SIGCHLD, 0UL, 0UL, 0UL, 0UL), -1);
}

int cvos_launch_fork(cvos_launch *plan, pid_t *ret_pid)
{
  int ends[2];
  if (cvos_fd_pipe(ends) < 0) return errno;
  int high = CVOS_CALL(DUPLICATE, fcntl(ends[1], F_DUPFD_CLOEXEC, plan->highest + 1), -1);
  int error = high < 0 ? errno : 0;
  cvos_fd_close(ends[1]);
  if (error) {
    cvos_fd_close(ends[0]);
    return error;
  }
  uint64_t mask;
  raw_mask(UINT64_MAX, &mask);
  long pid = make_fork(plan);
  error = errno;
  if (pid == 0) cvos_child(plan, high);
  raw_mask(mask, NULL);
  cvos_fd_close(high);
  if (pid > 0) {
    cvos_report report;
    if (cvos_fd_read_all(ends[0], &report, sizeof report) == (int64_t)sizeof report) {
      plan->stage = report.stage;
      plan->error = report.error;
      plan->index = report.index;
      plan->guarded = report.guarded != 0;
      plan->unheard = report.unheard != 0;
    } else {
      plan->guarded = plan->guard >= 0;
    }
    *ret_pid = (pid_t)pid;
    error = 0;
  }
  cvos_fd_close(ends[0]);
  return error;
}

/* ---- descriptors in the child ---- */

typedef struct raw_dirent {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[];
} raw_dirent;

int cvos_raw_close_on_exec(void)
{
  if (CVOS_CALL(PLACE, syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC_FLAG), -1) == 0) return 0;
  int folder = CVOS_CALL(
      PLACE, (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), -1);
  if (folder < 0) return -1;
  _Alignas(8) char buffer[1024];
  for (;;) {
    long n = syscall(SYS_getdents64, folder, buffer, sizeof buffer);
    if (n <= 0) {
      int error = errno;
      (void)raw_close(folder);
      errno = error;
      return n < 0 ? -1 : 0;
    }
    for (long at = 0; at < n;) {
      const raw_dirent *entry = (const raw_dirent *)(const void *)(buffer + at);
      int fd = 0;
      const char *c = entry->name;
      for (; *c >= '0' && *c <= '9'; c++) fd = fd * 10 + (*c - '0');
      if (*c == '\0' && fd >= 3) (void)raw_fcntl(fd, F_SETFD, FD_CLOEXEC);
      at += entry->size;
    }
  }
}
