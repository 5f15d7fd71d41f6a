/* os/pty.h: pseudo-terminals: a terminal whose screen and keyboard are ours. cvos_spawn puts a child on it (cvos_spawn_request.pty).
 *
 * POSIX: a master and a slave. Windows: a pseudo-console (Windows 10 1809 on; its functions are looked up at run time) between two pipes.
 * One thread at a time may use one cvos_pty. */
#ifndef COVEY_OS_PTY_H
#define COVEY_OS_PTY_H

#include "os/types.h"

typedef struct cvos_pty cvos_pty;

enum {
  CVOS_PTY_ENDS_MOST = 4, /* bytes of an end of input */
  CVOS_PTY_SIZE_MOST = 32767 /* rows, columns: a COORD of Windows */
};

/* Whether this system has them. */
bool cvos_pty_possible(void);

/* Makes one of that many rows and columns (1 to CVOS_PTY_SIZE_MOST each). echo: what is written to it comes back as output (POSIX; on Windows the
 * console programs themselves decide, and echo is their default). Bytes are UTF-8.
 * ret_in: owned, what we write is typed there. ret_out: owned, what its programs write. Both are ready for cvos_io_open, and neither
 * is inherited. ret_theirs: owned, the child's three streams (POSIX; close it after the start, else the output never ends), CVOS_NONE on
 * Windows.
 * Errors: COVEY_ENOTSUP, COVEY_ELIMIT, COVEY_EACCES, COVEY_ENOMEM, COVEY_EOS. */
int cvos_pty_open(int rows, int columns, bool echo, cvos_pty **ret, cvos_handle *ret_in, cvos_handle *ret_out, cvos_handle *ret_theirs);

/* No further child will be put on it: from now on its output may end by itself with the last process that has it open. True: it will. False: it ends when
 * cvos_pty_close was called (Windows before 11 24H2), or with the child that leads its session, if that comes first (macOS). */
bool cvos_pty_started(cvos_pty *pty);

/* Gives it another size; its programs are told (SIGWINCH, WINDOW_BUFFER_SIZE_EVENT). Errors: COVEY_ENOTSUP, COVEY_ECLOSED (nobody is there any more), COVEY_EOS. */
int cvos_pty_resize(cvos_pty *pty, int rows, int columns);

/* What has to be written to it as the end of the input, which is what a program that reads lines takes for the end of a file. begun: the line that
 * was written last is not finished. POSIX: the terminal's own character for it (ctrl-D), twice behind a begun line; Windows: ctrl-Z and Enter. ret:
 * CVOS_PTY_ENDS_MOST bytes. Returns how many; 0: it has none. */
size_t cvos_pty_end(const cvos_pty *pty, bool begun, char *ret);

/* Throws away what its programs have written and nobody has read: macOS, where a killed leader of its session does not end before that is read (XNU,
 * kern_exit.c: proc_exit waits for it; microsoft/amplifier-app-cli 254, seen on macOS 26.6). Elsewhere nothing. */
void cvos_pty_discard(cvos_pty *pty);

/* Closes it: as if the terminal's window was closed (POSIX: SIGHUP to its session's leader once ret_in and ret_out are closed too; Windows:
 * CTRL_CLOSE to all of its programs, and then the end of ret_out). Returns at once: what the system still has to wait for (Windows: until its output was read or
 * ret_out is closed) is waited for elsewhere. NULL does nothing. */
void cvos_pty_close(cvos_pty *pty);

#endif
