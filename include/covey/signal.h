/* covey/signal.h: signals that come to this program, and console events, as one ordered set.
 *
 *     covey_signal_event event;
 *     covey_shutdown_wait(COVEY_FOREVER, &event);           until somebody wants us to end, whoever it is
 *
 *     covey_signals *signals;
 *     covey_signals_open(&(covey_signals_options){.signals = (const int[]){COVEY_SIGNAL_HUP, COVEY_SIGNAL_USR1}, .count = 2}, &signals);
 *     while (covey_signals_next(signals, COVEY_FOREVER, &event) == 0)
 *       event.signal == COVEY_SIGNAL_HUP ? reload() : report();
 *     covey_signals_close(signals);
 *
 * What a subscription does to the program, and what not
 *   asked for    Only the signals of its set get a handler, from the open to the close. Masks of threads are never touched: threads of
 *                covey's own have all signals blocked, so handlers run on the program's threads. A signal that all of these block never
 *                comes. System calls that a signal interrupts are restarted.
 *   the former   A handler that the program had set before is still called, after ours, the way it asked for (mask, alternate stack,
 *                restart), and is in force again after the last close. A signal that was ignored is ignored again then. A handler that
 *                is set over ours decides alone whether we hear of the signal, and stays. Windows: the newest handler that says yes
 *                has the event; those that were set before ours are not called for the events of the set.
 *   the second   Without COVEY_SIGNALS_REPEAT the first INT or TERM is an event, and a further one, of either, that comes 100 ms later or more takes
 *                the action that it had before the subscription: the program ends, even when it hangs. (Two within 100 ms are one request: a
 *                terminal and a parent, or timeout(1), send both.) While one subscription to the signal has the flag, none ends the program.
 *   coalescing   A signal that comes again before its event was taken raises the count of that event, which keeps its place; so nothing is
 *                lost and nothing grows. The system itself may make one of several that wait while a signal is blocked.
 *   fork         In a child of fork() without exec the signals do what they did before the subscription, and calls answer COVEY_ESTALE.
 *   children     Children of covey start with default dispositions, as always.
 *
 * Signals are the COVEY_SIGNAL_ numbers of process.h and those below. On Windows CTRL_C is COVEY_SIGNAL_INT and CTRL_BREAK, which
 * covey_process_signal and covey_process_stop send to a console program, is COVEY_SIGNAL_TERM; so is WM_CLOSE to the hidden window that a
 * subscription to LOGOFF or SHUTDOWN makes, by which TERM reaches programs in other consoles. */
#ifndef COVEY_SIGNAL_H
#define COVEY_SIGNAL_H

#include <covey/base.h>
#include <covey/process.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What comes beside signals. In a set they are allowed everywhere; where the system has no such thing they never come. */
enum {
  COVEY_SIGNAL_CLOSE = 32,    /* Windows: the user closes the console's window; the system ends us 5 s later */
  COVEY_SIGNAL_LOGOFF = 33,   /* Windows: the user logs off; the system ends us 5 s later */
  COVEY_SIGNAL_SHUTDOWN = 34, /* Windows: the system goes down; it ends us 5 s later, a service 20 s later */
  COVEY_SIGNAL_PARENT = 35    /* the parent of a child of covey_node_spawn asks it to end (covey_process_stop), or has ended */
};

typedef struct covey_signals covey_signals;

/* no process sent it: a key, the terminal, the session, a timer. macOS names the terminal's own program for a key: there INT, QUIT, TSTP, HUP and WINCH
 * count as such when we are in front of a terminal and they come from another session */
enum { COVEY_SIGNAL_BY_SYSTEM = 1 << 0 };

typedef struct covey_signal_event {
  int signal;           /* COVEY_SIGNAL_... */
  int system;           /* the system's number: SIG...; Windows: CTRL_..._EVENT, or the number of the window message; 0: PARENT */
  uint32_t count;       /* how often it has come since it was taken last: 1 or more */
  uint32_t flags;       /* COVEY_SIGNAL_BY_SYSTEM; of the last one */
  int64_t sender;       /* pid of the process that sent the last one; 0: not told (Windows), or no process */
  int64_t user;         /* the sender's uid; -1: not told */
  int64_t left;         /* milliseconds until the system ends us; COVEY_FOREVER: it does not */
  uint64_t reserved[4]; /* zero */
} covey_signal_event;

/* Called with an event; the struct is a view for this call. */
typedef void (*covey_signal_callback)(const covey_signal_event *event, void *user);

enum {
  COVEY_SIGNALS_REPEAT = 1 << 0, /* a second INT or TERM is an event as well, and never ends us */
  /* signals that the program handles or ignores at this moment are left out: nohup stays nohup. (Windows cannot tell.) */
  COVEY_SIGNALS_SPARE = 1 << 1
};

typedef struct covey_signals_options {
  /* borrowed; NULL: INT, TERM, QUIT, HUP, CLOSE, LOGOFF, SHUTDOWN, PARENT. COVEY_SIGNAL_RAW + n is signal n of the system (POSIX) */
  const int *signals;
  size_t count;
  covey_signal_callback on_event; /* by the rules of loop.h: in covey_loop_dispatch, or in covey_signals_next. NULL: none */
  void *user;                     /* for on_event */
  /* counted until the close: each event of the set is also sent on to this process at once, by the loop's thread, whoever takes the
   * event: see COVEY_PROCESS_FORWARD for how. NULL: none */
  covey_process *forward;
  covey_loop *loop;     /* borrowed; NULL: the default loop */
  covey_cancel *cancel; /* borrowed until the close: ends waiting calls with COVEY_ECANCELED. NULL: none */
  uint32_t flags;       /* COVEY_SIGNALS_... */
  uint32_t reserved0;   /* zero */
  uint64_t reserved[8]; /* zero */
} covey_signals_options;

/* covey_signals_open subscribes to a set of signals. From its return on none of them is lost. Several subscriptions at once are
 * independent: each gets every event of its set.
 * options: borrowed, NULL is the default: all that asks a program to end. ret_signals: owned, release with covey_signals_close.
 * With PARENT in the set it opens the default node in a child of covey; a request that has come before is an event at once.
 * Windows, LOGOFF or SHUTDOWN in the set: a thread with a hidden window is made, since a program with windows hears of the session in no
 * other way; WM_CLOSE to that window, which is what taskkill sends, is COVEY_SIGNAL_TERM.
 * Errors: COVEY_EINVAL (an unknown signal or flag; KILL and STOP, which nobody can handle; ILL, FPE, SEGV, BUS, TRAP and ABRT, which mean that
 * the program is broken where it stands; CHLD, which would disturb whoever waits for children), COVEY_ENOTSUP (Windows has no such
 * signal), COVEY_EEXIST (a handler that was set over that of an earlier subscription, closed since, still stands: ours would be below and
 * above it; as long as that one is open, a new one shares its place below the handler),
 * COVEY_ENOMEM, COVEY_ELIMIT, COVEY_ESTALE, and for PARENT those of covey_node_open. Any thread. */
COVEY_API int covey_signals_open(const covey_signals_options *options, covey_signals **ret_signals);

/* covey_signals_next waits for the next event, in the order in which the first of each came, and takes it; with on_event it also calls that,
 * before it returns.
 * signals: borrowed. timeout: milliseconds; 0 only looks. ret_event: filled on success, may be NULL. Several threads that wait get
 * different events.
 * Errors: COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_EDEADLK (on the owner's thread of a lent loop), COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_signals_next(covey_signals *signals, int64_t timeout, covey_signal_event *ret_event);

/* covey_signals_close ends a subscription: events that were not taken are dropped, and signals to which nobody else is subscribed do again what they did
 * before. It never waits; a callback that runs in another thread may still be running. After CLOSE, LOGOFF and SHUTDOWN the system ends the program
 * as soon as it is done with the event: when the last subscription to it is closed, or when the program ends.
 * signals: moved, NULL does nothing. No thread may wait in it. Any thread; also inside its own callback. */
COVEY_API void covey_signals_close(covey_signals *signals);

/* covey_shutdown_wait waits until this process is asked to end, by whatever comes first: INT, TERM, QUIT, HUP, the console's close, the end of the
 * session, STOP from our parent or its end. Being asked is sticky: later calls return 0 at once, with the same event. It is covey_self_wait_stop
 * that tells who asked.
 * The first call subscribes for the rest of the process's life, with COVEY_SIGNALS_SPARE; the second INT or TERM ends the program.
 * timeout: milliseconds; 0 only looks. ret_event: filled on success, may be NULL.
 * Errors: COVEY_ETIMEDOUT (nobody asked), COVEY_EINVAL, COVEY_ESTALE, and those of covey_signals_open. Any thread, several at once. */
COVEY_API int covey_shutdown_wait(int64_t timeout, covey_signal_event *ret_event);

#ifdef __cplusplus
}
#endif

#endif
