/* os/ask.h: asking the programs of a console that is not ours, which takes a process whose console may be changed: the tool, as covey --ask PID.
 * Also compiled into the tool; needs nothing of the rest. */
#ifndef COVEY_OS_ASK_H
#define COVEY_OS_ASK_H

#include "os/types.h"

/* Leaves our console for that of pid, and sends CTRL_BREAK to the console group that pid leads. 0; COVEY_ENOTFOUND (no such process, or it
 * has no console), COVEY_ENOTSUP (it leads no group; POSIX: always, there signals reach everybody). */
int cvos_ask_console(int64_t pid);

#endif
