/* msg/handler.h: groups, functions, endpoints, channels and subscriptions whose messages go to a callback: in covey_loop_dispatch, or in the uv_run of a lent loop.
 * Those of a channel and of a subscription are a stream: one callback at a time, the last one is told the end. */
#ifndef COVEY_MSG_HANDLER_H
#define COVEY_MSG_HANDLER_H

#include "msg/group.h"

/* A message, request or channel on its way to the callback of its group, which it is bound to. */
typedef struct cvy_due {
  cvy_group *group;
  int code; /* of a stream: 0, or its end; of an endpoint: 0, or why there is no channel */
  union {
    covey_channel *channel;
    covey_message message;
    covey_request request;
  };
} cvy_due;

/* The callback of group is set: what has come meanwhile is due. Lock held. */
void cvy_handler_set(cvy_group *group, void *arg);

/* Something has come, or the end: notes it where there is a callback. Lock held. */
void cvy_handler_due(cvy_group *group);

/* due, which is filled, goes to the callback of group. Lock held. */
void cvy_handler_bind(cvy_group *group, cvy_due *due);

/* Runs the callback. Lock not held. The node may be closed meanwhile, and its loop. */
void cvy_handler_run(cvy_due *due);

/* Nothing more comes from peer: callbacks of streams are due. Lock held. */
void cvy_handlers_over(covey_peer *peer);

/* The callback of group, if there is one, is taken away: as cvy_handler_quiet. another: one is to follow; COVEY_ECLOSED, recorded, where the group is
 * closed. Lock held. */
int cvy_handler_drop(cvy_group *group, bool another);

/* on_next takes the place of the callback of group, which is a stream's; NULL: none. loop: of group. As cvy_handler_drop. Lock not held. */
int cvy_handler_stream(covey_loop *loop, cvy_group *group,
                       void (*on_next)(covey_message *message, int code, void *arg), void *arg);

/* Callbacks that this thread is inside of: what says whose. */
typedef struct cvy_inside {
  const void *what;
  const struct cvy_inside *outer;
} cvy_inside;

void cvy_inside_enter(cvy_inside *here, const void *what);
void cvy_inside_leave(const cvy_inside *here);

/* Waits until of the *running callbacks of what none runs in another thread. As cvy_loop_wait. Lock held. */
int cvy_inside_quiet(covey_loop *loop, const void *what, const uint32_t *running);

/* Waits until no other thread is in the callback of group, which has lost it or is closed. COVEY_EDEADLK, recorded. Lock held. */
int cvy_handler_quiet(cvy_group *group);

#endif
