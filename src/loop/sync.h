/* loop/sync.h: mutexes inside one process; thin names over libuv's, so that uv.h stays in this folder and in the watch
 * twins. */
#ifndef COVEY_LOOP_SYNC_H
#define COVEY_LOOP_SYNC_H

#include "os/types.h"

typedef struct cvy_mutex cvy_mutex;
int cvy_mutex_new(cvy_mutex **ret); /* COVEY_ENOMEM, COVEY_ELIMIT */
void cvy_mutex_free(cvy_mutex *m);
void cvy_mutex_lock(cvy_mutex *m);
void cvy_mutex_unlock(cvy_mutex *m);

#endif
