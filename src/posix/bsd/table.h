/* posix/bsd/table.h: the kernel's table of processes by sysctl, for the halves of this folder. */
#ifndef COVEY_POSIX_BSD_TABLE_H
#define COVEY_POSIX_BSD_TABLE_H

#include "posix/detail/system.h"

#include <sys/param.h>
#include <sys/sysctl.h>

#if defined(__FreeBSD__)
#include <sys/user.h>
#endif

/* One process of the table, under the names of each system. */
#if defined(__NetBSD__)
typedef struct kinfo_proc2 cvos_info;
#define LIST_CALL KERN_PROC2
#else
typedef struct kinfo_proc cvos_info;
#define LIST_CALL KERN_PROC
#endif

/* What a place of the table says. */
void cvos_table_entry(const cvos_info *p, cvos_entry *ret, uid_t *ret_uid, gid_t *ret_gid);

/* The processes that what and which ask for (KERN_PROC_ALL, KERN_PROC_PID), owned, cvy_free. 0 or errno. */
int cvos_table_ask(int what, int which, cvos_info **ret, size_t *ret_count);

#endif
