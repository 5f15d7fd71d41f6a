/* msg/self.h: what this process was born with, and being asked to end. */
#ifndef COVEY_MSG_SELF_H
#define COVEY_MSG_SELF_H

#include "os/types.h"

/* This process was asked to end, by its parent's STOP or its parent's end: covey_self_wait_stop returns. Sticky. Any thread, no
 * lock held. */
void cvy_self_asked(void);

/* Our end of the connection to our parent: moved to the first who asks; false: there is none, or somebody has it. Any thread, no
 * loop's lock held. */
bool cvy_self_channel(cvos_handle *ret);

#endif
