/* proc/stdio.h: the three standard streams of a child that is about to be started. */
#ifndef COVEY_PROC_STDIO_H
#define COVEY_PROC_STDIO_H

#include <covey/process.h>
#include "os/pty.h"
#include "os/types.h"

typedef struct cvy_stdio {
  cvos_handle theirs[3]; /* for the child */
  bool owned[3];         /* theirs[i] is closed by us after the start */
  cvos_handle ours
      [3]; /* our ends of pipes (kinds PIPE, CAPTURE and an input), or of the terminal; CVOS_NONE elsewhere */
  cvos_pty *pty; /* the child's terminal, or NULL */
} cvy_stdio;

/* Opens what options (checked) name. ret: owned, released with cvy_stdio_fini. Errors, recorded with stage STDIO, the stream's index
 * and the path: COVEY_ENOTFOUND, COVEY_EACCES, COVEY_EEXIST, COVEY_ELIMIT, COVEY_EENCODING, COVEY_EOS; with
 * stage PTY those of cvos_pty_open. */
int cvy_stdio_open(const covey_process_options *options, cvy_stdio *ret);

/* Closes the child's ends; the child has them now, or there is none. Else the ends of streams would never come. */
void cvy_stdio_started(cvy_stdio *stdio);

/* Gives our end of stream i away: the caller's from now on. */
cvos_handle cvy_stdio_take(cvy_stdio *stdio, int i);

/* Gives the terminal away: the caller's from now on. */
cvos_pty *cvy_stdio_take_pty(cvy_stdio *stdio);

/* Closes all that is left. */
void cvy_stdio_fini(cvy_stdio *stdio);

#endif
