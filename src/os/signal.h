/* os/signal.h: signals as one list of our own, and sending one to a process that we hold. */
#ifndef COVEY_OS_SIGNAL_H
#define COVEY_OS_SIGNAL_H

#include "os/process.h"

/* Our own numbers, the same on every system; public headers use the same numbers. A signal of the system that has no name here is
 * CVOS_SIGNAL_RAW + its number. */
enum {
  CVOS_SIGNAL_HUP = 1,
  CVOS_SIGNAL_INT = 2,
  CVOS_SIGNAL_QUIT = 3,
  CVOS_SIGNAL_ABRT = 4,
  CVOS_SIGNAL_KILL = 5,
  CVOS_SIGNAL_USR1 = 6,
  CVOS_SIGNAL_USR2 = 7,
  CVOS_SIGNAL_PIPE = 8,
  CVOS_SIGNAL_ALRM = 9,
  CVOS_SIGNAL_TERM = 10,
  CVOS_SIGNAL_STOP = 11,
  CVOS_SIGNAL_CONT = 12,
  CVOS_SIGNAL_WINCH = 13,
  CVOS_SIGNAL_ILL = 14,
  CVOS_SIGNAL_FPE = 15,
  CVOS_SIGNAL_SEGV = 16,
  CVOS_SIGNAL_BUS = 17,
  CVOS_SIGNAL_TRAP = 18,
  CVOS_SIGNAL_CHLD = 19,
  CVOS_SIGNAL_TSTP = 20,
  CVOS_SIGNAL_RAW = 1000
};

/* The system's number of one of ours, 0 when there is none (all of them on Windows). The way back never fails: a number without a
 * name becomes CVOS_SIGNAL_RAW + number. */
int cvos_signal_to_system(int signal);
int cvos_signal_from_system(int system);

/* Sends signal to process, which we hold: never to a stranger that got its pid.
 * POSIX: every signal of the list. Windows: KILL (ends it with code 137, 128 + 9, as a POSIX shell tells it), STOP and CONT (all its
 * threads), INT and QUIT (CTRL_BREAK to its group, when it leads one and shares our console; wine cannot), TERM (the same, or else WM_CLOSE to the hidden window
 * of os/interrupt.h, where the program has one); all others are COVEY_ENOTSUP.
 * Errors: COVEY_ENOTFOUND (it has ended), COVEY_EACCES, COVEY_EINVAL (no such signal), COVEY_ENOTSUP; cvos_last_error() tells more. */
int cvos_signal_send(const cvos_process *process, int signal);

/* Asks a process that we hold alone, without a tree, to end: POSIX by TERM (and CONT, so that a stopped one hears it), Windows by WM_CLOSE to its windows and
 * CTRL_BREAK to its group, when it leads one and shares our console. Returns the number of ways that were taken, 0 when there is none; errors of cvos_signal_send. */
int cvos_signal_ask(const cvos_process *process);

#endif
