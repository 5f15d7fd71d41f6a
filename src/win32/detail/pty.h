/* win32/detail/pty.h: what cvos_spawn needs of a pseudo-console. */
#ifndef COVEY_WIN32_DETAIL_PTY_H
#define COVEY_WIN32_DETAIL_PTY_H

#include "os/pty.h"

/* The HPCON: a view, for PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE. */
void *cvos_pty_console(const cvos_pty *pty);

#endif
