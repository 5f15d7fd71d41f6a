/* posix/detail/launch.h: one attempt to start a child, as a plan that the child carries out without libc's help.
 *
 * The plan is made in the parent; the child (which shares our memory, or has a copy) only makes system calls by it and reports what failed in
 * it. posix/linux/launch.c and posix/bsd/launch.c create the child, detail/child.c is what it does. */
#ifndef COVEY_POSIX_DETAIL_LAUNCH_H
#define COVEY_POSIX_DETAIL_LAUNCH_H

#include "os/process.h"
#include "posix/detail/attributes.h"
#include "posix/detail/guard.h"
#include "posix/detail/posix.h"

#include <sys/types.h>

/* A descriptor on its way to its number in the child. */
typedef struct cvos_move {
  int from, to;
  int now;    /* where the child has it at present */
  bool park;  /* from is the target of another move: it is moved out of the way first */
  int index;  /* 0-2 stream, 3 + i passed */
  bool ready; /* it is where it belongs and outlives the exec: nothing is to be done */
} cvos_move;

enum { CVOS_OWN_NOTHING = 0, CVOS_OWN_GROUP, CVOS_OWN_SESSION };

typedef struct cvos_launch {
  const char *file;
  char *const *argv;
  char *const *env;
  const char *cwd;
  cvos_move *moves;
  size_t move_count;
  bool shut[3];                      /* the child has no such stream */
  int highest;                       /* the greatest target */
  int own;                           /* CVOS_OWN_... */
  int terminal;                      /* becomes the controlling terminal of its session; -1 none */
  int front;                         /* the terminal that its group is put in front of; -1 none */
  bool ignore_signals;               /* all ignored instead of default */
  int cgroup;                        /* folder of the control group that it is born into, -1 none */
  bool must_enclose;                 /* it is not started outside of it */
  const cvos_attributes *attributes; /* NULL: as we are */
  int guard;                         /* the guard's table, where the child writes its line; -1 none */
  int64_t guard_at;                  /* where its line is */
  char line[CVOS_GUARD_LINE];        /* its line: "group " or "group -"; its pid follows, and blanks */
  size_t line_size;
  cvos_guard_place *place; /* where the child cannot tell itself and we do it before it runs (not on Linux) */
  bool enclosed;           /* it was born into that control group */
  /* told by the child */
  volatile int stage;    /* COVEY_STAGE_..., 0 when the program was started */
  volatile int error;    /* errno */
  volatile int index;    /* which descriptor, -1 none */
  volatile bool guarded; /* the child has written its line */
  volatile bool unheard; /* it could not: stage is SCOPE */
} cvos_launch;

/* Creates the child. Returns 0 or errno when there is no child. Else the child exists, *ret_pid and *ret_pidfd (-1 none) are set, and plan->stage
 * says whether it got as far as its program: when not it is ending, and is the caller's to reap. */
int cvos_launch_run(cvos_launch *plan, pid_t *ret_pid, int *ret_pidfd);

/* True when a child can be born into the control group of this folder (tried with one that ends at once). */
bool cvos_launch_into(int cgroup);

/* The start stamp that a process gets which starts now, 0 where the clock does not tell it (Linux: it does, probed): the same before and after a
 * start means that it is the child's, without asking the system. */
uint64_t cvos_launch_stamp(void);

/* Forces a way (CVOS_PATH_...); 0 or COVEY_ENOTSUP. */
int cvos_launch_force(int path);

/* True when starting costs the same however much memory we use. */
bool cvos_launch_flat(void);

/* What the child does: never returns. error_pipe: -1, or where a child with a memory of its own reports what the plan has for it. */
_Noreturn void cvos_child(cvos_launch *plan, int error_pipe);

/* The report of a child with a memory of its own. */
typedef struct cvos_report {
  int stage, error, index, guarded, unheard;
} cvos_report;

/* fork (memory copied) with an error pipe. As cvos_launch_run, without a pidfd. */
int cvos_launch_fork(cvos_launch *plan, pid_t *ret_pid);

#endif
