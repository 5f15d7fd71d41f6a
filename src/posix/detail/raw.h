/* posix/detail/raw.h: system calls for a child before its exec.
 *
 * On Linux such a child shares our memory: libc's wrappers may look at the thread that stands still (cancellation) or talk to its siblings, so
 * the calls are made raw. Elsewhere the child is a fork, and libc's functions are the system calls. */
#ifndef COVEY_POSIX_DETAIL_RAW_H
#define COVEY_POSIX_DETAIL_RAW_H

#include "posix/detail/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The signals that are reset one by one. exec (and clone3 before it) resets every one that is handled; of the ignored ones the real-time
 * signals are left: nobody ignores them, and asking for all 64 costs a tenth of a start. */
#define CVOS_RAW_SIGNALS 31

#if defined(__linux__)
#include <sys/syscall.h>

/* The kernel's sigaction: no libc hides its own signals here, and the mask is 64 bits. */
struct cvos_raw_sigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

static inline int raw_getpid(void)
{
  return (int)syscall(SYS_getpid);
}
static inline int raw_setsid(void)
{
  return (int)syscall(SYS_setsid);
}
static inline int raw_setpgid(void)
{
  return (int)syscall(SYS_setpgid, 0, 0);
}
static inline ssize_t raw_write(int fd, const void *data, size_t size)
{
  return syscall(SYS_write, fd, data, size);
}
static inline ssize_t raw_pwrite(int fd, const void *data, size_t size, int64_t at)
{
#if defined(SYS_pwrite64) && LONG_MAX > INT32_MAX
  return syscall(SYS_pwrite64, fd, data, size, (long)at);
#else
  return pwrite(fd, data, size, (off_t)at); /* 32 bits: each system splits the offset in its own way */
#endif
}
/* Makes fd the controlling terminal of our session, which we lead and which has none. */
static inline int raw_take_terminal(int fd)
{
  return (int)syscall(SYS_ioctl, fd, TIOCSCTTY, 0);
}
/* Puts our group, which we lead, in front of a terminal. SIGTTOU is blocked. */
static inline int raw_take_front(int fd)
{
  int group = raw_getpid();
  return (int)syscall(SYS_ioctl, fd, TIOCSPGRP, &group);
}
static inline int raw_chdir(const char *path)
{
  return (int)syscall(SYS_chdir, path);
}
static inline int raw_close(int fd)
{
  return (int)syscall(SYS_close, fd);
}
static inline int raw_fcntl(int fd, int command, int value)
{
#if defined(SYS_fcntl64)
  return (int)syscall(SYS_fcntl64, fd, command, value);
#else
  return (int)syscall(SYS_fcntl, fd, command, value);
#endif
}
/* from != to; the new one stays open through exec */
static inline int raw_dup(int from, int to)
{
  return (int)syscall(SYS_dup3, from, to, 0);
}
static inline int raw_exec(const char *file, char *const *argv, char *const *env)
{
  return (int)syscall(SYS_execve, file, argv, env);
}
_Noreturn static inline void raw_exit(int code)
{
  for (;;) (void)syscall(SYS_exit_group, code);
}
static inline void raw_signal(int number, bool ignore)
{
  struct cvos_raw_sigaction action = {ignore ? SIG_IGN : SIG_DFL, 0, NULL, 0};
  (void)syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
}
static inline void raw_umask(mode_t mask)
{
  (void)syscall(SYS_umask, mask);
}
static inline int raw_limit(int resource, uint64_t soft, uint64_t hard)
{
  uint64_t limit[2] = {soft, hard};
  return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
}
static inline int raw_nice(int nice)
{
  return (int)syscall(SYS_setpriority, PRIO_PROCESS, 0, nice);
}
static inline int raw_affinity(const void *processors, size_t size)
{
  return (int)syscall(SYS_sched_setaffinity, 0, size, processors);
}
static inline int raw_subreaper(void)
{
  return (int)syscall(SYS_prctl, 36L, 1L, 0L, 0L, 0L); /* PR_SET_CHILD_SUBREAPER */
}
static inline int raw_no_new_privileges(void)
{
  return (int)syscall(SYS_prctl, 38L, 1L, 0L, 0L, 0L); /* PR_SET_NO_NEW_PRIVS */
}
/* The calls for ids of 32 bits, which have names of their own on some processors. */
static inline int raw_setgroups(size_t count, const gid_t *list)
{
#if defined(SYS_setgroups32)
  return (int)syscall(SYS_setgroups32, count, list);
#else
  return (int)syscall(SYS_setgroups, count, list);
#endif
}
static inline int raw_setgid(gid_t group)
{
#if defined(SYS_setresgid32)
  return (int)syscall(SYS_setresgid32, group, group, group);
#else
  return (int)syscall(SYS_setresgid, group, group, group);
#endif
}
static inline int raw_setuid(uid_t user)
{
#if defined(SYS_setresuid32)
  return (int)syscall(SYS_setresuid32, user, user, user);
#else
  return (int)syscall(SYS_setresuid, user, user, user);
#endif
}
static inline void raw_mask(uint64_t mask, uint64_t *ret_before)
{
  (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, ret_before, sizeof mask);
}
static inline void raw_unmask(void)
{
  raw_mask(0, NULL);
}

#else

static inline int raw_getpid(void)
{
  return (int)getpid();
}
static inline int raw_setsid(void)
{
  return (int)setsid();
}
static inline int raw_setpgid(void)
{
  return setpgid(0, 0);
}
static inline ssize_t raw_write(int fd, const void *data, size_t size)
{
  return write(fd, data, size);
}
static inline ssize_t raw_pwrite(int fd, const void *data, size_t size, int64_t at)
{
  return pwrite(fd, data, size, (off_t)at);
}
static inline int raw_take_terminal(int fd)
{
  return ioctl(fd, TIOCSCTTY, 0);
}
static inline int raw_take_front(int fd)
{
  return tcsetpgrp(fd, getpid());
}
static inline int raw_chdir(const char *path)
{
  return chdir(path);
}
static inline int raw_close(int fd)
{
  return close(fd);
}
static inline int raw_fcntl(int fd, int command, int value)
{
  return fcntl(fd, command, value);
}
static inline int raw_dup(int from, int to)
{
  return dup2(from, to);
}
static inline int raw_exec(const char *file, char *const *argv, char *const *env)
{
  return execve(file, argv, env);
}
_Noreturn static inline void raw_exit(int code)
{
  _exit(code);
}
static inline void raw_signal(int number, bool ignore)
{
  struct sigaction action = {0};
  action.sa_handler = ignore ? SIG_IGN : SIG_DFL;
  (void)sigaction(number, &action, NULL);
}
static inline void raw_umask(mode_t mask)
{
  (void)umask(mask);
}
static inline int raw_limit(int resource, uint64_t soft, uint64_t hard)
{
  struct rlimit limit = {(rlim_t)soft, (rlim_t)hard};
  return setrlimit(resource, &limit);
}
static inline int raw_nice(int nice)
{
  return setpriority(PRIO_PROCESS, 0, nice);
}
static inline int raw_affinity(const void *processors, size_t size)
{
  (void)processors;
  (void)size;
  errno = ENOSYS;
  return -1;
}
static inline int raw_subreaper(void)
{
  errno = ENOSYS;
  return -1;
}
static inline int raw_no_new_privileges(void)
{
  errno = ENOSYS;
  return -1;
}
static inline int raw_setgroups(size_t count, const gid_t *list)
{
  return setgroups((int)count, list);
}
/* As root these set real, effective and saved ids; anybody else may not become another. */
static inline int raw_setgid(gid_t group)
{
  return setgid(group);
}
static inline int raw_setuid(uid_t user)
{
  return setuid(user);
}
static inline void raw_unmask(void)
{
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

#endif

/* Marks every descriptor of 3 or more close-on-exec. 0 or -1 with errno. In posix/linux/ and posix/bsd/. */
int cvos_raw_close_on_exec(void);

#endif
