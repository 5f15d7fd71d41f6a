/* msg/send.h: one message on its way from its sender's call to the system: find the peer, wait for the group and for room, write. The common part of
 * message.c (one message, or several in one go) and call.c. */
#ifndef COVEY_MSG_SEND_H
#define COVEY_MSG_SEND_H

#include "msg/address.h"
#include "msg/lane.h"

typedef struct cvy_send {
  cvy_goal goal;
  const char *group; /* or function, endpoint, channel: by parcel.kind, which is as cvy_group's */
  cvy_deadline deadline;
  covey_cancel *cancel;
  cvy_parcel parcel;          /* the message; of several: what all have, and the largest size */
  cvy_parcel *now;            /* the message in question */
  covey_peer *peer;           /* counted */
  const cvos_handle *handles; /* that it brings; borrowed */
  uint32_t handle_count, handle_rights;
  uint64_t id;
} cvy_send;

/* Whom options name: exactly one of the four. COVEY_EINVAL, recorded. */
int cvy_send_goal(int64_t pid, const char *name, covey_peer *peer, const covey_message *reply_to,
                  cvy_goal *ret_goal);

/* Makes the buffers, borrowed, the message. COVEY_EINVAL or COVEY_ETOOBIG, recorded. */
int cvy_send_buffers(cvy_send *s, const covey_buffer *buffers, size_t count);

enum { CVY_SEND_RETRY = 1 }; /* nothing was sent, and its way may open again: from the start */

/* Finds the peer (s->peer is counted then, whatever the result) and waits for its group. CVY_SEND_RETRY. Lock held; released meanwhile. Failures are recorded. */
int cvy_send_find(cvy_send *s, covey_node *node, cvy_outlet **ret);

/* Sends it to outlet, of s->peer. CVY_SEND_RETRY: the outlet was closed, or its peer is gone. The same. */
int cvy_send_deliver(cvy_send *s, covey_node *node, cvy_outlet *outlet);

/* What send options say beside to whom: to s. COVEY_EINVAL, recorded. */
int cvy_send_check(const covey_send_options *options, cvy_send *s);

/* Times and flags of receive options. COVEY_EINVAL, recorded. */
int cvy_receive_check(const covey_receive_options *options, cvy_deadline *ret_deadline);

/* The same for what has no groups; options may be NULL. */
int cvy_receive_check_plain(const covey_receive_options *options, cvy_deadline *ret_deadline,
                            covey_cancel **ret_cancel);

/* Sends it. The node is entered and its lock held; it is released meanwhile. A request whose call is over by then counts as sent. Failures are recorded. */
int cvy_send_run(cvy_send *s, covey_node *node);

/* Records a failure: "process 12, group jobs: why". */
int cvy_send_fail(const cvy_send *s, int code, int stage, int far, const char *why);

#endif
