/* proc/plan.h: from options to what the system is told: program, arguments or command line, environment. Opens nothing, starts
 * nothing; asks the system only which files are programs. */
#ifndef COVEY_PROC_PLAN_H
#define COVEY_PROC_PLAN_H

#include <covey/process.h>
#include "os/types.h"

typedef struct cvy_plan {
  char *file;              /* owned: absolute path of what is started */
  const char *const *argv; /* a view of options->argv or of words */
  const char *words[8];    /* the arguments of a shell; views */
  char *line;              /* owned: the command line (Windows), else NULL */
  char **env;              /* owned, one block: the child's environment; NULL: ours as it is */
  uint16_t *block;         /* owned: the same for the system (Windows), else NULL */
  bool trusted;            /* file was not looked at: the system will say whether it is there */
} cvy_plan;

/* Makes a plan for options that cvy_options_check has passed. entry: a further "NAME=value" of ours, NULL for none. ret: owned, released
 * with cvy_plan_fini, and only valid while options are. Errors, recorded: those of covey_spawn with the stages ARGUMENTS, ENVIRONMENT and
 * LOOKUP. */
int cvy_plan_make(const covey_process_options *options, const char *entry, cvy_plan *ret);

/* A plan was carried out: from now on absolute paths are trusted. */
void cvy_plan_started(void);

/* What the start of a plan answers that failed with code, whatever it failed at: the failure of the lookup, where that was left to the system,
 * recorded; else code. */
int cvy_plan_blame(const cvy_plan *plan, int code);

/* Releases what plan holds; an all-zero plan is empty. */
void cvy_plan_fini(cvy_plan *plan);

#endif
