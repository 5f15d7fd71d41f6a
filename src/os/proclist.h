/* os/proclist.h: the processes of the system, one after the other, and what it tells of each.
 *
 *   cvos_proclist *list;
 *   cvos_proc row;
 *   r = cvos_proclist_open(&list);
 *   while (r == 0 && (r = cvos_proclist_next(list, &row)) > 0)
 *     if (wanted(&row)) r = cvos_proclist_read(list, CVOS_PROC_COMMAND, &row);
 *   cvos_proclist_close(list);
 *
 * One row at a time is the current one. What is read of it is of that very process, pinned on Linux by its folder in /proc, on Windows
 * by a handle whose start is compared, elsewhere by comparing the start behind the reading. One thread at a time may use one list.
 * Errors of every function but close are translated; cvos_last_error() still has the system's number. */
#ifndef COVEY_OS_PROCLIST_H
#define COVEY_OS_PROCLIST_H

#include "os/types.h"

typedef struct cvos_proclist cvos_proclist;

/* What can be read of a process, one at a time. */
enum { CVOS_PROC_NAME, CVOS_PROC_EXE, CVOS_PROC_CWD, CVOS_PROC_COMMAND, CVOS_PROC_USER, CVOS_PROC_USAGE };

enum {
  CVOS_PROC_ZOMBIE = 1 << 0,
  CVOS_PROC_KERNEL = 1 << 1,  /* a thread of the kernel (Linux), its process (Windows: System) */
  CVOS_PROC_STOPPED = 1 << 2, /* by a signal or a tracer; Windows does not tell */
  CVOS_PROC_OPAQUE = 1 << 3   /* the pid alone is ours to know: the rest is zero */
};

/* A process. Texts are views, valid until the next row; NULL until they are read. */
typedef struct cvos_proc {
  int64_t pid;
  int64_t parent; /* 0: none, or it has ended; never another one that has its number now */
  uint64_t start; /* in the unit of cvos_identity */
  uint32_t flags; /* CVOS_PROC_ZOMBIE ... */
  const char *name;    /* NAME: without folder, whole where the system cuts it and the rest is to be had */
  const char *exe;     /* EXE */
  const char *cwd;     /* CWD */
  const char *command; /* COMMAND, Windows: one text */
  const char *args;    /* COMMAND, POSIX: words, each with a NUL behind it, args_size bytes in all */
  size_t args_size;
  int64_t uid, gid;           /* USER: effective; -1 on Windows */
  const char *sid;            /* USER, Windows: as text; "" elsewhere */
  int64_t user_us, system_us; /* USAGE: processor time */
  int64_t memory;             /* USAGE: resident bytes */
} cvos_proc;

/* Begins a list. ret: owned, cvos_proclist_close. Windows, macOS, BSD: the processes of this moment; Linux: of the moment at which each is
 * reached. Errors: COVEY_ENOMEM, COVEY_ELIMIT (descriptors), COVEY_ENOTSUP (Linux: nothing is mounted on /proc), COVEY_EOS. */
int cvos_proclist_open(cvos_proclist **ret);

/* The next process, in no order that may be relied upon; its own row and zombies too, never the number 0. Returns 1, or 0 at the end, or
 * fails as open does. What ends meanwhile is passed over. */
int cvos_proclist_next(cvos_proclist *list, cvos_proc *ret);

/* Makes process pid the current one, if it runs (a zombie does) and, with start not 0, is the one with that start. It does not
 * disturb the order of next. Windows, macOS, BSD: of the moment of open. Errors: COVEY_ENOTFOUND, and those of open. */
int cvos_proclist_seek(cvos_proclist *list, int64_t pid, uint64_t start, cvos_proc *ret);

/* Reads one thing (CVOS_PROC_NAME ...) of the current process into its row. Returns 0; COVEY_ENOTFOUND: it has ended; COVEY_EACCES: not for
 * us; COVEY_ENOTSUP: it has no such thing, or this system does not tell; or fails as open does. */
int cvos_proclist_read(cvos_proclist *list, int what, cvos_proc *row);

/* list: moved, may be NULL. */
void cvos_proclist_close(cvos_proclist *list);

/* ---- accounts ---- */

enum { CVOS_SID_SIZE = 96 };

/* Who text names: an account; POSIX also a number, with account or without; Windows also a SID as text. ret_uid is -1 on Windows, ret_sid ""
 * elsewhere. Errors: COVEY_ENOTFOUND, COVEY_EENCODING, COVEY_ENOMEM, COVEY_EOS. */
int cvos_account_find(const char *text, int64_t *ret_uid, char ret_sid[CVOS_SID_SIZE]);

/* The name of the account uid (POSIX), sid (Windows): owned, cvy_free. Errors: the same. */
int cvos_account_name(int64_t uid, const char *sid, char **ret);

#endif
