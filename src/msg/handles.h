/* msg/handles.h: descriptors and handles that go along with messages.
 *
 *   sender                                                       receiver
 *   cvy_handles_add: copies, in a HANDLE frame right before      on_bytes: descriptors that came with bytes wait in peer->came
 *   the message's first one; POSIX: with its first byte,    →    cvy_handles_came: takes them from there, or (Windows) out of the
 *   Windows: their values                                        sender's process; they wait for the message's beginning
 *   cvy_handles_acked: the copies are closed                ←    HANDLE_ACK
 *
 * The receiver chooses the values of its handles, never the sender; the copies live until the receiver has its own. Guarded by the loop's lock. */
#ifndef COVEY_MSG_HANDLES_H
#define COVEY_MSG_HANDLES_H

#include "msg/send.h"

typedef struct cvy_handles {
  struct cvy_handles *next; /* in peer->handed */
  uint64_t id;              /* of their frame */
  uint32_t count;
  cvos_handle at[COVEY_HANDLES_MAX]; /* owned; CVOS_NONE: taken, or it did not come */
  int8_t why[COVEY_HANDLES_MAX];     /* it did not come: COVEY_E...; else 0 */
} cvy_handles;

/* Closes what is there. handles: a cvy_handles, or NULL. */
void cvy_handles_free(void *handles);

/* Copies of all that s brings, queued in outlet for the message that is added next. COVEY_EINVAL (index), COVEY_ENOTSUP (the group takes none),
 * COVEY_ELIMIT, COVEY_ENOMEM: recorded. */
int cvy_handles_add(const cvy_send *s, cvy_outlet *outlet);

/* The message before which they wait (NULL: none that was added) will not go: takes them out again, if nobody is writing them. */
void cvy_handles_forget(cvy_outlet *outlet, const cvy_parcel *before);

/* The system does not take those of handle, a HANDLE in its outlet: it goes, and its message fails with code. */
void cvy_handles_refused(cvy_parcel *handle, int code);

/* Descriptors came with bytes: moved; CVOS_NONE behind them: not all that were sent. More than any message may bring end the connection. */
void cvy_handles_arrived(covey_peer *peer, const cvos_handle *handles, size_t count);

/* HANDLE and HANDLE_ACK. 0 or a code that ends the connection. */
int cvy_handles_came(covey_peer *peer, const cvy_chunk *chunk);
int cvy_handles_acked(covey_peer *peer, uint64_t id);

/* The peer has ended. */
void cvy_handles_fini(covey_peer *peer);

#endif
