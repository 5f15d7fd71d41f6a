/* proc/signal.h: the inside of covey_signals, for msg/ and manage/: subscriptions whose events go on to somebody else, and events that no
 * system brings. */
#ifndef COVEY_PROC_SIGNAL_H
#define COVEY_PROC_SIGNAL_H

#include <covey/signal.h>
#include "os/types.h"

/* Signals in the set of one subscription; a count beyond is COVEY_EINVAL. */
enum { CVY_SIGNAL_SET_MOST = 64 };

/* Gets each event at once, on the token's thread of the loop, without locks; false: it cannot take it yet, cvy_signals_again repeats it. */
typedef struct cvy_onward {
  bool (*send)(void *arg, const covey_signal_event *event);
  void (*released)(void *arg); /* the last use of arg; not called when the open fails */
  void *arg;
} cvy_onward;

/* Whether covey_signals_open can be called so at all: 0, or COVEY_EINVAL or COVEY_ENOTSUP, recorded. Nothing of options has been believed before. */
int cvy_signals_check(const covey_signals_options *options, covey_signals *const *ret);

/* covey_signals_open, but for what the parent says (PARENT comes by cvy_notice_parent alone) and for options->forward. onward: copied; NULL: none. */
int cvy_signals_open(const covey_signals_options *options, const cvy_onward *onward, covey_signals **ret);

/* The events that onward did not take are given to it again. Any thread. */
void cvy_signals_again(covey_signals *signals);

/* An event waits. A predicate over a covey_signals; loop's lock held. */
bool cvy_signals_ready(void *signals);

/* Takes it; false when there is none. Loop's lock held. */
bool cvy_signals_take(covey_signals *signals, covey_signal_event *ret);

/* The loop it hangs on. */
covey_loop *cvy_signals_loop(const covey_signals *signals);

/* forward.c: the same, where onward is options->forward, a process that is counted; NULL: none. */
int cvy_signals_open_forward(const covey_signals_options *options, covey_signals **ret);

/* forward.c: sends event on to a process, as COVEY_PROCESS_FORWARD says. Never waits; an ended process is none. */
void cvy_signal_pass(covey_process *process, const covey_signal_event *event);

#endif
