/* msg/address.h: where nodes are met: our own address, and the way to a peer. */
#ifndef COVEY_MSG_ADDRESS_H
#define COVEY_MSG_ADDRESS_H

#include "msg/peer.h"

/* Whom a message is for: a peer, else a name, else a pid. */
typedef struct cvy_goal {
  int64_t pid;
  const char *name;
  covey_peer *peer;
  uint64_t start; /* the process that was found first; 0: none yet. Another one is COVEY_EPEERCHANGED */
  bool once;      /* timeout 0: COVEY_EAGAIN in place of COVEY_ETIMEDOUT */
} cvy_goal;

/* Text of the goal for a failure: "process 12", "node x". */
void cvy_goal_text(const cvy_goal *goal, char *ret_text, size_t capacity);

/* Takes the node's address and accepts there. No lock held. Failures are recorded. */
int cvy_address_open(covey_node *node);

/* Looks whether the node's name still leads to it, and takes it again if a cleaner of temporary folders has been there; connections are
 * not touched. Done every two hours. [token] */
void cvy_address_keep(covey_node *node);

/* Gives it up; the acceptor's end is waited for. Lock held; released meanwhile. */
void cvy_address_close(covey_node *node);

/* Finds or makes the connection to goal, until its groups are known or the deadline has passed. *ret: a reference of the
 * caller's. Lock held; released meanwhile. Failures are recorded. */
int cvy_address_find(covey_node *node, cvy_goal *goal, cvy_deadline deadline, covey_cancel *cancel,
                     covey_peer **ret);

#endif
