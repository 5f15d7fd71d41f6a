/* posix/detail/proclist.h: for the halves that list processes, posix/linux/proclist.c and posix/bsd/proclist.c. */
#ifndef COVEY_POSIX_DETAIL_PROCLIST_H
#define COVEY_POSIX_DETAIL_PROCLIST_H

#include "os/proclist.h"
#include "posix/detail/system.h"

/* A row of which nothing has been read yet. */
void cvos_proc_row(const cvos_entry *entry, cvos_proc *ret);

#endif
