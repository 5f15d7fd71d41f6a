/* manage/state.h: the inside of covey_manager, shared by the files of this folder. */
#ifndef COVEY_MANAGE_STATE_H
#define COVEY_MANAGE_STATE_H

#include <covey/manager.h>

#include "loop/sync.h"
#include "proc/process.h"

struct covey_manager {
  cvy_mutex *lock; /* guards members and count; never held over a call that may wait */
  covey_process **members;
  size_t count, capacity;
  covey_node *node;
  covey_loop *loop;
  covey_cancel *cancel;
  covey_manager_callback on_end;
  void *user;
  uint32_t flags;
  uint32_t refs;          /* atomic: the program's, that of forward, and of each member that tells its end */
  covey_signals *forward; /* covey_manager_forward; NULL: off */
};

/* -- manager.c -- */

/* COVEY_EINVAL, recorded, for NULL. */
int cvy_manager_check(const covey_manager *m);

/* Takes that member out of the set and releases the set's reference. False: it is none. No lock held; p may be gone afterwards. */
bool cvy_manager_forget(covey_manager *m, covey_process *p);

/* One of refs less. */
void cvy_manager_release(void *m);

#endif
