/* posix/linux/cgroup_folder.h: where control groups are: our own, and the folders of programs below it, of those too that are gone. For cgroup.c, which
 * holds its lock. */
#ifndef COVEY_POSIX_LINUX_CGROUP_FOLDER_H
#define COVEY_POSIX_LINUX_CGROUP_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* Our own group as a folder of this system, which we may write to. False: there is none; ret holds anything then. */
bool cvos_cgroup_find_own(char *ret, size_t size);

/* The path of this program's folder below own, size bytes at most: nobody else's ever has it. 0 or errno. */
int cvos_cgroup_name(const char *own, char *ret, size_t size);

/* Takes away the folders below own of programs that are gone, as far as nobody lives in them. Behind cvos_cgroup_name. */
void cvos_cgroup_clean(const char *own);

/* Takes away the group name of folder at, and what a program that lived in it left there when it was killed together with its guard: as far as nobody
 * lives in it, and it is of nobody who lives elsewhere by now. 0, or -1 with errno. */
int cvos_cgroup_remove(int at, const char *name);

#endif
