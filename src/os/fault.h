/* os/fault.h: each system call of the seam can be made to fail, in builds with COVEY_FAULTS; elsewhere it costs nothing.
 *
 *   fd = CVOS_CALL(SOCKET, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), -1);
 *
 * is socket(...) as a rule, and -1 with errno (GetLastError) set when a test wants this call to fail. A fault walk repeats one operation
 * with n = 1, 2, 3 ... until cvy_fault_seen() (core/fault.h) is less than n, and looks after each round that nothing leaked. */
#ifndef COVEY_OS_FAULT_H
#define COVEY_OS_FAULT_H

#include "os/types.h"

/* X(point): the calls that can fail, by what they do, not by where they stand. */
#define CVOS_FAULT_POINTS(X)                                                                                 \
  X(OPEN)                                                                                                    \
  X(PIPE) X(DUPLICATE) X(SOCKET) X(SOCKETPAIR) X(BIND) X(LISTEN) X(ACCEPT) X(CONNECT) X(OPTION) X(READ)      \
      X(WRITE) X(SEND) X(RECEIVE) X(POLL) X(MAKE_DIRECTORY) X(STAT) X(RENAME) X(REMOVE) X(LOCK) X(FORK)      \
          X(CHDIR) X(SESSION) X(GROUP) X(PLACE) X(EXEC) X(WAIT) X(SIGNAL) X(PIDFD) X(PROCESS_LIST)           \
              X(IDENTITY) X(JOB) X(CREATE_PROCESS) X(ATTRIBUTES) X(RESUME) X(GUARD) X(TOKEN) X(SECURITY)     \
                  X(MAP) X(SHM) X(EVENT) X(PORT) X(RANDOM) X(USER) X(LIMITS) X(PRIORITY) X(AFFINITY) X(PTY)

enum {
  CVOS_FAULT_NONE = 0,
#define CVOS_FAULT_ENUM(point) CVOS_FAULT_##point,
  CVOS_FAULT_POINTS(CVOS_FAULT_ENUM)
#undef CVOS_FAULT_ENUM
      CVOS_FAULT_COUNT
};

#if defined(COVEY_FAULTS)
#define CVOS_CALL(point, call, failed) (cvos_fault(CVOS_FAULT_##point) ? (failed) : (call))
#define CVOS_LACKS(what)               cvos_lacks(what)
#else
#define CVOS_CALL(point, call, failed) (call)
#define CVOS_LACKS(what)               false
#endif

/* Counts a call of this thread; true when it is to fail: the system's error number is set then. Async-signal-safe, and usable in a child
 * that shares our memory. Always false without COVEY_FAULTS. */
bool cvos_fault(int point);

/* In builds with COVEY_FAULTS the system plays an older one, which lacks what the environment variable COVEY_LACKS names, words with commas between
 * them: so the whole program, and each that it starts, goes another way. Linux: "clone3", "clone", "vfork" (ways to start), "pidfd" (nor the first
 * two then), "cgroup", "memfd"; POSIX: "children" (lists of a process's children), "sh" (the guard's shell). Else false. Any thread, while
 * nobody changes the environment. */
bool cvos_lacks(const char *what);

#endif
