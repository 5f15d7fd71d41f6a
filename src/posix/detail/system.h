/* posix/detail/system.h: what the POSIX systems do differently; one definition in posix/linux/, one in posix/bsd/ (macOS too). */
#ifndef COVEY_POSIX_DETAIL_SYSTEM_H
#define COVEY_POSIX_DETAIL_SYSTEM_H

#include "os/process.h"
#include "posix/detail/posix.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

typedef struct cvos_entry {
  pid_t pid, parent, group, session;
  uint64_t start;
  bool zombie, stopped;
  bool kernel; /* a part of the kernel */
} cvos_entry;

/* What the system knows of pid. 0 or errno (ESRCH: no such process). */
int cvos_system_entry(pid_t pid, cvos_entry *ret);

/* Its effective user and group. 0 or errno. */
int cvos_system_user(pid_t pid, uid_t *ret_uid, gid_t *ret_gid);

/* Calls each(pid) for every process of the system until it returns false. 0 or errno. */
int cvos_system_each(bool (*each)(pid_t pid, void *arg), void *arg);

/* Calls each(pid) for every child of pid that lives now. 0 or errno; ENOTSUP: the system has no such list. */
int cvos_system_children(pid_t pid, bool (*each)(pid_t pid, void *arg), void *arg);

/* Milliseconds since 1970 of a start stamp. */
int64_t cvos_system_start_time(uint64_t start);

/* The file of this program, owned. 0 or a COVEY_E code. */
int cvos_system_self(char **ret);

/* The number of the pid namespace that we live in: one stat of a process and of each fork. 0: the system has none, or does not say. */
uint64_t cvos_system_namespace(void);

/* A descriptor that pins pid and becomes readable at its end; -1 with errno, ENOSYS where there is none. */
int cvos_system_pidfd(pid_t pid);

/* Sends a signal through it. 0 or errno. */
int cvos_system_pidfd_signal(int pidfd, int signal);

/* True when what waitid said of pid (with WEXITED, into zeroes) is its end. macOS answers with CLD_STOPPED too, although nobody asked for it (golang/go
 * 19314; swiftlang/swift-subprocess 371, seen on macOS 26.6). */
static inline bool cvos_says_ended(const siginfo_t *info, pid_t pid)
{
  return info->si_pid == pid &&
         (info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED);
}

/* waitid on a child by pidfd (-1: by pid). flags: WNOWAIT or 0; never waits. Returns 1 and fills *ret_info (code as CLD_..., status) and *ret_usage
 * (*ret_has_usage tells) when it has ended, 0 when it runs, -1 with errno (ECHILD: not to be had). */
typedef struct cvos_ended {
  int how, status; /* CLD_EXITED ... and exit code or signal */
  struct rusage usage;
  bool has_usage;
} cvos_ended;
int cvos_system_wait(int pidfd, pid_t pid, int flags, cvos_ended *ret);

/* The status of a process that somebody else reaped, from its pidfd. 0 or errno; EAGAIN: he has not yet. */
int cvos_system_lost(int pidfd, cvos_ended *ret);

/* Waits until pid ends; timeout in milliseconds, -1 for ever. 1 ended, 0 time is over, -1 with errno; ENOSYS: only looking helps. */
int cvos_system_await(const cvos_process *process, int timeout);

/* ru_maxrss in bytes; -1 when it may be our own (Linux counts the memory that a child shared with us before its exec). */
int64_t cvos_system_peak(const struct rusage *usage);

/* Greatest resident memory of a process that runs, in bytes; -1 unknown. */
int64_t cvos_system_peak_of(pid_t pid);

/* COVEY_CAP_ bits of this system. */
uint32_t cvos_system_caps(void);

#endif
