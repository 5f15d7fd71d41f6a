/* posix/linux/procfs.h: reading /proc, for the halves of this folder. */
#ifndef COVEY_POSIX_LINUX_PROCFS_H
#define COVEY_POSIX_LINUX_PROCFS_H

#include "core/proc_text.h"
#include "posix/detail/system.h"

#define CVOS_PROCFS_KERNEL 0x00200000U /* PF_KTHREAD, include/linux/sched.h */

/* Reads the stat file path, relative to folder (AT_FDCWD: absolute). 0 or errno; ESRCH: the process is gone. */
int cvos_procfs_stat(int folder, const char *path, cvy_proc_stat *ret);

/* The beginning of a file of /proc, up to size - 1 bytes and a NUL, in one read where the kernel gives it in one. Bytes, or -1 with errno
 * (ESRCH: the process is gone). */
int64_t cvos_procfs_text(int folder, const char *path, char *ret, size_t size);

/* Takes away what the kernel writes behind the path of a file that has no name any more: " (deleted)". */
void cvos_procfs_drop_mark(char *path);

/* The number of the process that a thread belongs to, out of the text of its status file. 0: it is none. */
pid_t cvos_procfs_process(const char *status);

/* What such a line says, in the words of system.h. Zombie: ended, and nothing of it runs; a first thread that has ended before the others looks the
 * same but for their number. */
void cvos_procfs_entry(const cvy_proc_stat *stat, cvos_entry *ret);

#endif
