/* os/process.h: processes: create, note the end, reap, identity, adopt. Trees are in os/tree.h, signals in os/signal.h.
 *
 * The order at the end of a child is the caller's: cvos_process_note (ended, but still there as a zombie, so that neither its pid nor its
 * group's number can become a stranger's), then what is to be done with the tree, then cvos_process_reap, then cvos_process_close.
 * One thread at a time may use one cvos_process or cvos_tree, with one exception: cvos_process_wait needs no lock while nobody closes it. */
#ifndef COVEY_OS_PROCESS_H
#define COVEY_OS_PROCESS_H

#include "os/pty.h"
#include "os/terminal.h"
#include "os/tree.h"
#include "os/types.h"

#include <covey/launch.h>

/* A process that we hold: a child, or one that was adopted. */
typedef struct cvos_process {
  int64_t pid;
  uint64_t start; /* start stamp in the unit of covey_identity.start: (pid, start) never repeats; 0 unknown */
  cvos_handle handle; /* Linux: pidfd; Windows: process handle; CVOS_NONE elsewhere (macOS watches the pid) */
  bool child;         /* ours by birth: it leaves a status, and a zombie on POSIX */
  bool leads;         /* Windows: it leads a console group, for it was started so by us; who leads one of others is not known */
  bool ended;         /* it was noted: it runs no more */
  bool reaped;        /* its pid may be another's now */
  int64_t unreaped;   /* POSIX, an adopted one: when it was first seen that it has ended and its parent has not reaped it; 0: it was not */
} cvos_process;

/* ---- create ---- */

enum {
  CVOS_SCOPE_TREE = 0, /* own process group; own job and own console group */
  CVOS_SCOPE_SHARED, /* stays in our group and our console group: programs that use our terminal. Its tree is what descends from it */
  CVOS_SCOPE_SESSION, /* own session (and with it group); Windows: as TREE */
  CVOS_SCOPE_DETACHED /* own session, no tree, outlives us, not tied; Windows: no console, out of our job where that is allowed */
};

enum {
  /* Dies with us, however we end: a job with kill-on-close, or the guard (which ends the group; SHARED: the leader alone). Not with
   * DETACHED. */
  CVOS_SPAWN_TIED = 1 << 0,
  /* Windows: a console program gets a console without a window (CREATE_NO_WINDOW). */
  CVOS_SPAWN_NO_WINDOW = 1 << 1,
  /* Windows: a console of its own, with a window. */
  CVOS_SPAWN_NEW_CONSOLE = 1 << 2,
  /* Nobody leaves its tree, where the system can do that for a tied one: the control group that it gets on Linux (CAP_TREE_KERNEL) ends with the guard, so
   * only with TIED, TREE or SESSION. A job is that always. */
  CVOS_SPAWN_ENCLOSED = 1 << 3,
  /* Windows: the first window starts hidden; minimised. */
  CVOS_SPAWN_HIDDEN = 1 << 4,
  CVOS_SPAWN_MINIMIZED = 1 << 5
};

/* A further descriptor or handle for the child. */
typedef struct cvos_pass {
  cvos_handle handle; /* borrowed */
  int target; /* POSIX: its number in the child, 3 or more. Windows: ignored, the child sees the same handle value as we have */
} cvos_pass;

typedef struct cvos_spawn_request {
  const char *file;          /* the program: an absolute path; never searched for, never guessed */
  const char *const *argv;   /* POSIX: NULL-terminated, at least argv[0] */
  const char *command_line;  /* Windows: quoted text, WTF-8; argv[0] first, in quotes */
  const char *const *env;    /* POSIX: NULL-terminated "K=V", the whole environment; NULL: ours as it is */
  const uint16_t *env_block; /* Windows: a ready block (sorted, two NULs at its end); NULL: ours as it is */
  const char *cwd;           /* NULL: ours */
  /* borrowed; any of them may be the same or one of our own 0-2. CVOS_NONE: the child has no such stream */
  cvos_handle stdio[3];
  const cvos_pass *pass; /* borrowed; targets are all different */
  size_t pass_count;
  /* borrowed, NULL: none. The child gets it as its controlling terminal (POSIX: in a session of its own, whatever scope says, with the slave in all
   * of stdio; Windows: as its console, and stdio is ignored). Never with SHARED or DETACHED */
  cvos_pty *pty;
  /* borrowed, NULL: none. The child's group, of scope TREE, is put in front of that terminal before the program begins (POSIX) */
  cvos_front *front;
  int scope;      /* CVOS_SCOPE_... */
  uint32_t flags; /* CVOS_SPAWN_... */
  const covey_launch *launch; /* NULL: as we are; checked for sense; its window is in the flags */
} cvos_spawn_request;

/* Starts a child with everything set before its first instruction: streams, nothing else open but what is passed, directory, group or
 * session or job, guarded life, all signals at their default and none blocked (POSIX; a
 * real-time signal that we ignore stays ignored). ret_process: owned, end with cvos_process_close.
 * ret_tree: owned, end with cvos_tree_release; NULL for DETACHED.
 *
 * On failure no process and no descriptor remains, and *ret_failure (always needed) says code, stage, system, index and, in what, the
 * path or argument it was about:
 *   STDIO        a stream or passed handle is not open (index: 0-2 the stream, 3 + i the i-th pass), or descriptors ran out (COVEY_ELIMIT)
 *   CWD          the directory is missing (COVEY_ENOTFOUND), closed to us (COVEY_EACCES) or no directory
 *   LOOKUP       the program is missing
 *   EXEC         it is there, and the system refuses it: not executable or still being written (COVEY_EACCES), no format that it knows (COVEY_EINVAL)
 *   INTERPRETER  it is there, but the interpreter that its first line or its ELF header names is not; what is the interpreter
 *   ARGUMENTS    arguments and environment, or one of them (index), are longer than the system takes (COVEY_ETOOBIG). Windows: the command line
 *                has more than 32,766 units, or program or directory more than 259 (CreateProcess, and wine dies of it)
 *   PTY          the terminal does not become the child's
 *   SCOPE        session, group, job or guard; COVEY_ENOTSUP for TIED on POSIX without /bin/sh
 *   USER         launch: no such user or group (COVEY_ENOTFOUND), not ours to become (COVEY_EACCES)
 *   LIMITS       no further process allowed (COVEY_ELIMIT), no memory (COVEY_ENOMEM); launch: a limit (index), the priority, the processors
 *                or a limit of the tree that we may not give (COVEY_EACCES) or that make no sense (COVEY_EINVAL)
 * What of launch this system cannot keep is COVEY_ENOTSUP with stage ARGUMENTS, before anything is started.
 * A program file that is open for writing in another process (ETXTBSY: a fork of ours may hold it for microseconds) is tried again for 100 ms.
 *
 * The cost does not grow with our memory: Linux clone3 with CLONE_VM and CLONE_VFORK, elsewhere posix_spawn or CreateProcess; a POSIX system
 * that has neither forks, and so does a start with another user (see launch.h). The calling thread stands still until the program is loaded. The first tied child of a program starts the guard
 * (POSIX: about 2 ms), whose descriptors, at most 3, stay open from then on. Any thread, several at once. */
int cvos_spawn(const cvos_spawn_request *request, cvos_process *ret_process, cvos_tree **ret_tree,
               covey_failure *ret_failure);

/* Test builds (COVEY_FAULTS): which of the ways a POSIX system has is taken by later spawns; one that the system lacks is COVEY_ENOTSUP. */
enum {
  CVOS_PATH_BEST = 0, /* what the probe found */
  CVOS_PATH_CLONE3,   /* Linux 5.5: shared memory, pidfd, signals reset by the kernel */
  CVOS_PATH_CLONE,    /* Linux 5.2: shared memory, pidfd */
  CVOS_PATH_VFORK,    /* Linux: shared memory, pidfd opened afterwards */
  CVOS_PATH_FORK,     /* memory copied, failure told through a pipe */
  CVOS_PATH_SPAWN     /* macOS: posix_spawn */
};
int cvos_process_force_path(int path);

/* ---- the end ---- */

enum {
  CVOS_END_EXITED = 1, /* by itself, code is its exit code */
  CVOS_END_SIGNALLED,  /* POSIX: by a signal */
  CVOS_END_LOST /* ended, but the status is not to be had: somebody else reaped it, SIGCHLD is ignored, or it is not our child */
};

typedef struct cvos_status {
  int how;       /* CVOS_END_... */
  uint32_t code; /* EXITED: all 32 bits on Windows (0xC0000005 ...), 8 on POSIX; else 0 */
  int signal;    /* SIGNALLED: CVOS_SIGNAL_..., else 0 */
  bool core;     /* it left a core dump */
  /* CPU time in microseconds, of it and the children it waited for (Windows: its own); -1 unknown */
  int64_t user_us;
  int64_t system_us;
  int64_t peak_bytes; /* greatest resident memory; -1 unknown */
} cvos_status;

/* Greatest resident memory of a process that runs, in bytes; -1 unknown. */
int64_t cvos_process_peak(const cvos_process *process);

/* Waits until process has ended. timeout: milliseconds, 0 looks once, COVEY_FOREVER. 0: it has ended, and a child can be reaped (one that a debugger
 * traces: when that has let go of it); COVEY_ETIMEDOUT. Never reaps. A process that is no child is watched too; without pidfd or handle that is a look every 10 ms. Errors: COVEY_EOS, COVEY_ELIMIT. */
int cvos_process_wait(const cvos_process *process, int64_t timeout);

/* Looks whether process has ended, without waiting and without reaping. 0: *ret is filled; on POSIX systems other than Linux CPU time and
 * memory come with the reaping. COVEY_EAGAIN: it runs (or is stopped, or its tracer still has it); also an adopted one that has ended, for 10 ms, in which its parent, who has
 * heard of it when we have, may reap it: before that nobody is told how it ended (cvos_process_wait knows that it has). */
int cvos_process_note(cvos_process *process, cvos_status *ret);

/* Whether a child is stopped now (POSIX; Windows: never true). Takes no notice away from anybody. */
bool cvos_process_stopped(const cvos_process *process);

/* Takes a child that has ended away from the system's table, and *ret (may be NULL) is filled: once, for each child that was started. Waits for
 * nothing: COVEY_EAGAIN when it still runs. What failed for the moment only is tried once more. tree (may be NULL) is its tree: from then on its group number is not pinned any more, so it is
 * untied and every later call on it finds no member. Windows: only fills. An adopted process is no zombie of ours: only fills. */
int cvos_process_reap(cvos_process *process, cvos_tree *tree, cvos_status *ret);

/* Closes the handle; the process goes on. A child that was not reaped stays a zombie (POSIX). process may be NULL. */
void cvos_process_close(cvos_process *process);

/* ---- identity ---- */

/* Who process pid is: pid, start, uid, gid, sid, SAME_USER and ELEVATED of flags; everything else zero. pid 0: this process.
 * ret_parent (may be NULL): its parent's pid, 0 unknown; the parent may have ended, and its pid be another's (Windows).
 * Errors: COVEY_ENOTFOUND (no such process; a zombie is one), COVEY_EACCES, COVEY_EOS. Any thread. */
int cvos_identity(int64_t pid, covey_identity *ret, int64_t *ret_parent);

/* Milliseconds since 1970 (UTC) of a start stamp on this machine; -1 for 0. */
int64_t cvos_start_time(uint64_t start);

/* Takes hold of a running process that is not our child. start: its stamp, or 0 to take whoever has the pid now. The pid is pinned first and
 * the stamp compared then, so that a reused pid is never taken. A pid of a child of ours works too, but leaves its status to whoever reaps it.
 * Errors: COVEY_ENOTFOUND (no such process, or it is a zombie), COVEY_EPEERCHANGED (the pid is another's), COVEY_EACCES, COVEY_ELIMIT. */
int cvos_process_open(int64_t pid, uint64_t start, cvos_process *ret);

/* ---- this process ---- */

/* Our number, and that of who started us; they cannot fail for want of a descriptor. The parent is 0 when it has ended (POSIX: somebody else
 * has taken us by then, and that one's number is given) or has no number here. */
int64_t cvos_self_pid(void);
int64_t cvos_self_parent(void);

/* Our environment as it is now, "K=V" in the system's order (Windows: with the "=C:=..." entries), NULL-terminated, one block: owned, cvy_free.
 * Nobody may change the environment meanwhile (POSIX). ret_count may be NULL. Errors: COVEY_ENOMEM. */
int cvos_environment(char ***ret, size_t *ret_count);

/* The command line that this process was started with, as one text: Windows; owned, cvy_free. POSIX: COVEY_ENOTSUP, there main() has the
 * words. Errors: COVEY_ENOMEM. */
int cvos_command_line(char **ret);

/* True when this process has a console that a console child would share (Windows); always true on POSIX. */
bool cvos_console_present(void);

#endif
