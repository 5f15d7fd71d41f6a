/* proc/notice.h: the signals that come to us, as far as the handlers are concerned: each subscription has a mark for each signal of its set, in
 * which a handler counts without a lock, and which its owner empties. */
#ifndef COVEY_PROC_NOTICE_H
#define COVEY_PROC_NOTICE_H

#include <covey/signal.h>

#include "core/atomics.h"
#include "loop/loop.h"

/* What waits of one signal of a set. The words are atomic: how often it has come in the lower half; above it, for the order among signals, the ticket of the
 * first one. 0: nothing waits. */
typedef struct cvy_mark {
  int signal;
  cvy_u64 waiting; /* for whoever asks */
  cvy_u64 onward;  /* for whom events are sent on to */
  /* of the last one; atomic */
  cvy_u64 sender; /* pid below, uid above; UINT32_MAX: no uid */
  cvy_u64 until;  /* when the system ends us, on our clock; 0: never */
  uint32_t system;
  uint32_t flags;
} cvy_mark;

/* What one subscription hears. The owner fills it before it joins; signals are numbers of covey's. */
typedef struct cvy_notices {
  cvy_mark *marks; /* owned by the owner */
  size_t count;
  cvy_bell *bell;       /* rung at each notice */
  bool repeat;          /* COVEY_SIGNALS_REPEAT */
  bool onward;          /* events are sent on as well */
  cvy_u64 asked;        /* atomic: when the first INT or TERM came, on our clock; 0: none yet */
  uint32_t parent_told; /* atomic: PARENT is a fact, told once */
} cvy_notices;

/* Adds a mark, for which there is room; a signal that has one already: nothing happens. */
void cvy_notices_add(cvy_notices *n, int signal);

/* Lets n hear of its signals; several may join for the same signal. COVEY_ENOTSUP or COVEY_ENOMEM, recorded: it hears of none. part: no handler knows
 * n any more. Any thread. */
int cvy_notices_join(cvy_notices *n);
void cvy_notices_part(const cvy_notices *n);

/* Whether anything waits to be taken (not onward). */
bool cvy_notices_wait(const cvy_notices *n);

/* Takes the event whose first signal came first, of those that wait or (onward) are to be sent on; false: there is none. */
bool cvy_notices_take(cvy_notices *n, bool onward, covey_signal_event *ret);

/* It could not be sent on: it waits again, as the last one. */
void cvy_notices_put_back(cvy_notices *n, int signal);

/* Gives PARENT to every subscription that has it in its set. Any thread, no lock needed. */
void cvy_notice_parent(void);

#endif
