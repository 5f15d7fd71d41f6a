/* os/interrupt.h: signals and console events that come to this program. Sending them to others is os/signal.h.
 *
 * The program has one place for each signal. Taking it puts a handler of ours in front of what was in force (the former), leaving it puts the
 * former back. What comes in is told to one function at once, where the system brings it: POSIX in the signal handler, on whatever thread of the
 * program has the signal unblocked; Windows on a thread of the system's.
 *
 * libuv's uv_signal is not used for this: it forgets the former handler and restores the default instead, takes a lock in its handler, loses signals
 * when a pipe is full, tells no sender, and knows neither the end of a session on Windows nor when the program is done with one. */
#ifndef COVEY_OS_INTERRUPT_H
#define COVEY_OS_INTERRUPT_H

#include "os/types.h"

/* Numbers beside those of os/signal.h; public headers use the same. */
enum {
  CVOS_INTERRUPT_CLOSE = 32,    /* Windows: the console's window is closed */
  CVOS_INTERRUPT_LOGOFF = 33,   /* Windows: the user logs off */
  CVOS_INTERRUPT_SHUTDOWN = 34, /* Windows: the system goes down */
  CVOS_INTERRUPT_COUNT = 200    /* all numbers, as cvos_interrupt_index gives them */
};

typedef struct cvos_interrupt {
  int signal;     /* CVOS_SIGNAL_... or CVOS_INTERRUPT_... */
  int system;     /* SIG...; CTRL_..._EVENT, or the number of the window message */
  int64_t sender; /* pid of the process that sent it; 0: not told, or not a process */
  int64_t user;   /* its uid; -1: not told */
  bool by_system; /* no process sent it: a key, a terminal, the session. macOS does not tell these apart: INT, QUIT, TSTP, HUP and WINCH of another
                   * session's process, while our group is in front of a terminal */
  int64_t bound;  /* ms that the system gives until it ends us; -1: it does not */
} cvos_interrupt;

/* Takes no lock and no memory, keeps errno. True: taken, the former's default action is off. False: the former has it all. (A former that is a
 * function of the program is called in both cases, afterwards; on Windows only when the answer is false.) */
typedef bool (*cvos_interrupt_taker)(const cvos_interrupt *what);

/* A small number for each signal, below CVOS_INTERRUPT_COUNT; -1: there is no such signal. */
int cvos_interrupt_index(int signal);

/* True when the program neither handles nor ignores signal: the system's default is in force, or would be without us. Windows: always, as
 * nobody can tell who listens to the console. */
bool cvos_interrupt_is_default(int signal);

/* Takes the place of signal; once until it is left. taker: the same function each time. The caller lets one thread take or leave at a time.
 * POSIX: HUP, INT, QUIT, TERM and every other signal that can be handled; the former keeps its mask, its stack, and whether it restarts system
 * calls; where it was no function they are restarted. Windows: INT (CTRL_C), TERM (CTRL_BREAK, and WM_CLOSE to the hidden window), CLOSE, and
 * LOGOFF and SHUTDOWN: for these two a hidden window with a thread of its own is made, since a program with windows gets no such console
 * event. cvos_tree_ask finds that window too. After CLOSE, LOGOFF and SHUTDOWN were taken the system's thread waits until the signal is left, or the process ends.
 * Signals that the other systems have are taken and never come: HUP and QUIT on Windows; CLOSE, LOGOFF and SHUTDOWN on POSIX.
 * Errors: COVEY_ENOTSUP (this system has no such signal), COVEY_EINVAL (the system keeps it for itself), COVEY_EEXIST (a handler that was
 * put over ours, which was left, still stands: it may call ours, so ours can neither be put over it nor be sure to be called),
 * COVEY_ENOMEM, COVEY_ELIMIT. */
int cvos_interrupt_take(int signal, cvos_interrupt_taker taker);

/* Gives the place back: the former is in force again. If somebody has put another handler over ours, that one stays, and ours, which it may call, does
 * what the former would do. */
void cvos_interrupt_leave(int signal);

#endif
