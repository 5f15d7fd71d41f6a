/* proc/options.h: are these options ones that we can keep? Pure: looks at nothing but the struct. */
#ifndef COVEY_PROC_OPTIONS_H
#define COVEY_PROC_OPTIONS_H

#include <covey/process.h>
#include "os/types.h"

#define CVY_LINE_DEFAULT      ((size_t)64 << 10) /* bytes of the longest line */
#define CVY_CAPTURE_DEFAULT   ((size_t)16 << 20) /* bytes of each stream */
#define CVY_GRACE_DEFAULT     5000               /* ms between asking and killing */
#define CVY_DRAIN_DEFAULT     100                /* ms of silence after the end */
#define CVY_DRAIN_MAX_DEFAULT 1000               /* ms of draining after the end in all */
#define CVY_PTY_ROWS          24                 /* of a terminal, as ever */
#define CVY_PTY_COLUMNS       80

/* Checks options (borrowed, not NULL) for covey_spawn, or for covey_run when run is set. 0, or COVEY_EINVAL or COVEY_ENOTSUP, recorded
 * with stage ARGUMENTS, the name of the field, and the index of the item or stream. */
int cvy_options_check(const covey_process_options *options, bool run);

/* What in, out and err (index 0 to 2) really are: DEFAULT resolved. */
int cvy_options_stdio_kind(const covey_process_options *options, int index);
const covey_stdio *cvy_options_stdio(const covey_process_options *options, int index);

#endif
