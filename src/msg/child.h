/* msg/child.h: children that hold one end of a connection, and being one. */
#ifndef COVEY_MSG_CHILD_H
#define COVEY_MSG_CHILD_H

#include "msg/node.h"

/* The environment's word for the child's end: a token of cvos_stream_pair. */
#define CVY_CHANNEL "COVEY_CHANNEL"

/* In the child: makes the inherited end, if there is one and nobody has it yet, a connection of node to the parent. False: there
 * is none. No lock held. */
bool cvy_child_connect(covey_node *node);

#endif
