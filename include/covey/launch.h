/* covey/launch.h: what else a child is given before its first instruction: user, limits, priority, processors, window. Part of process.h:
 * covey_process_options.launch points to it.
 *
 *   covey_launch launch = {.user = "nobody", .priority = COVEY_PRIORITY_LOW, .tree_processes = 64};
 *   covey_run(&(covey_process_options){.argv = argv, .launch = &launch}, &result);
 *
 * All zero is the default: as we are. Nothing here is ever dropped in silence: what this system cannot keep is COVEY_ENOTSUP, stage
 * ARGUMENTS, and what names the field ("launch.affinity"). Everything holds for what the child starts, too, but for SUBREAPER.
 *
 *                       Linux    macOS    other BSD  Windows
 *   user group groups   yes      -        yes        -
 *   umask               yes      -        yes        -
 *   no new privileges   yes      -        -          -
 *   subreaper           yes      -        -          without effect
 *   limits              yes      -        yes        -
 *   priority            yes      yes      yes        yes
 *   affinity            yes      -        -          yes, of one processor group
 *   tree_...            (1)      -        -          yes
 *   window              without effect where there are none  yes
 *
 * (1) cgroup v2, where the controller is there and our own group can hand it out: COVEY_CAP_LIMIT_MEMORY, COVEY_CAP_LIMIT_PROCESSES and
 * COVEY_CAP_LIMIT_CPU tell. A group that holds processes itself cannot hand out controllers, unless it is the root: so it takes a program
 * that was started there, or a manager that keeps programs in leaves of a group of ours.
 *
 * Order in the child: streams, umask, limits, priority, processors, then groups, group, user, working directory, program. So limits and
 * priority are set with our rights, and the working directory is entered, and the program loaded, with the child's. */
#ifndef COVEY_LAUNCH_H
#define COVEY_LAUNCH_H

#include <covey/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  COVEY_LAUNCH_UMASK = 1 << 0, /* umask is meant, also when it is 0 */
  /* neither it nor what it starts gains rights by a program with set-user-ID and the like (Linux) */
  COVEY_LAUNCH_NO_NEW_PRIVILEGES = 1 << 1,
  /* who has lost all parents below the child becomes a child of it while it runs (PR_SET_CHILD_SUBREAPER, prctl(2)), so that a kill of the tree
   * finds daemons too (a session of their own after a double fork) where no control group holds them: without COVEY_CAP_TREE_KERNEL.
   * For children that do not mind: they see ends of processes that they never started, and those that never wait for such keep
   * zombies until they end themselves. It is the child's alone, not of what it starts. Once the child has ended, by itself or because we
   * were killed, what it had taken in is nobody's again. Windows: a job holds them anyway */
  COVEY_LAUNCH_SUBREAPER = 1 << 2
};

/* One scale for nice values and priority classes. More than ours may need rights (COVEY_EACCES, stage LIMITS). */
enum {
  COVEY_PRIORITY_DEFAULT = 0, /* ours (Windows: ours if that is below normal, else normal) */
  COVEY_PRIORITY_LOWEST,      /* nice 19; idle class: only what nobody else wants */
  COVEY_PRIORITY_LOW,         /* nice 10; below normal */
  COVEY_PRIORITY_NORMAL,      /* nice 0; normal */
  COVEY_PRIORITY_HIGH,        /* nice -5; above normal */
  COVEY_PRIORITY_HIGHEST      /* nice -10; high */
};

/* Windows of the child on Windows. Not with COVEY_SCOPE_SHARED, whose child has our console, nor with COVEY_PROCESS_PTY. */
enum {
  /* a console program shares our console, or, when we have none, has one without a window: nothing ever flashes. Windows of other
   * programs are theirs */
  COVEY_WINDOW_DEFAULT = 0,
  COVEY_WINDOW_NONE,     /* a console program has a console of its own without a window; those of other programs are theirs */
  COVEY_WINDOW_CONSOLE,  /* a console program has a console of its own with a window */
  COVEY_WINDOW_HIDDEN,   /* as NONE, and the first window of any other program starts hidden, if it follows the request */
  COVEY_WINDOW_MINIMIZED /* as CONSOLE; the first window starts minimised and takes the focus from nobody */
};

/* Limits of a single process, handed down to what it starts, each process with an account of its own (getrlimit(2)). */
enum {
  COVEY_LIMIT_CPU_TIME = 1,  /* seconds of processor time; then XCPU, at hard KILL */
  COVEY_LIMIT_FILE_SIZE,     /* bytes of a file that it writes */
  COVEY_LIMIT_DATA,          /* bytes of data and heap */
  COVEY_LIMIT_STACK,         /* bytes of the first thread's stack; arguments and environment may take a quarter */
  COVEY_LIMIT_CORE,          /* bytes of a core image; 0: none is written */
  COVEY_LIMIT_FILES,         /* descriptors: one more than the greatest number */
  COVEY_LIMIT_MEMORY,        /* bytes of address space, which is more than the memory in use */
  COVEY_LIMIT_LOCKED_MEMORY, /* bytes that are kept from being paged out */
  COVEY_LIMIT_PROCESSES      /* processes and threads of the child's user in all, not of the child. root has no such limit */
};

#define COVEY_LIMIT_NONE UINT64_MAX       /* no limit */
#define COVEY_LIMIT_OURS (UINT64_MAX - 1) /* the one that we have */

typedef struct covey_limit {
  int kind;           /* COVEY_LIMIT_..., each once */
  uint32_t reserved0; /* zero */
  uint64_t soft;      /* what counts; at most hard. The child may move it up to hard */
  uint64_t hard;      /* more than ours needs rights: COVEY_EACCES, stage LIMITS, index of the limit */
} covey_limit;

/* All zero is the default. Everything that a field points to is borrowed until the call returns. */
typedef struct covey_launch {
  uint32_t flags; /* COVEY_LAUNCH_... */
  uint32_t umask; /* with COVEY_LAUNCH_UMASK: bits of the mode that new files do not get, 0 to 0777 */
  /* Who it is, by name, or by number in decimal digits (a name of digits goes before). To become another takes root, or what stands for it:
   * else COVEY_EACCES, stage USER. A name that nobody has: COVEY_ENOTFOUND, stage USER. Environment and working directory stay: HOME
   * and USER are the caller's to set. Such a start copies our page tables (fork): a child that shared our memory could be looked into by
   * processes of its new user. Real, effective and saved ids are set.
   * user: NULL: ours. A number without an account has no group: then group must be given (COVEY_EINVAL, stage USER) */
  const char *user;
  const char *group; /* the first group; NULL: that of user; ours without user */
  /* further groups, NULL-terminated: all of them, an empty list is none. NULL: those of user; without user: with group none, else ours */
  const char *const *groups;
  const covey_limit *limits; /* limit_count of them */
  size_t limit_count;
  int priority; /* COVEY_PRIORITY_... */
  int window;   /* COVEY_WINDOW_... */
  /* processors that it may use: bit i of word i / 64 is processor i; at least one. NULL: as we. None of them there: COVEY_EINVAL,
   * stage LIMITS */
  const uint64_t *affinity;
  size_t affinity_count; /* words */
  /* Limits of the whole tree together, which it cannot leave; 0: none. Scopes TREE and SESSION only; on Linux also neither UNTIED
   * nor LEAVE_TREE (COVEY_ENOTSUP) */
  uint64_t tree_memory;    /* bytes. Linux: who goes beyond is killed, swap counts as nothing. Windows: committed memory; allocations fail */
  uint32_t tree_processes; /* processes (Linux: threads count, too). More cannot be started */
  uint32_t tree_cpu;       /* processor time, in thousandths of one processor: 1500 is one and a half. 10 to 1000000 */
  uint64_t reserved[8];    /* zero */
} covey_launch;

#ifdef __cplusplus
}
#endif

#endif
