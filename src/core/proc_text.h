/* core/proc_text.h: what systems say of a process in the form of text. Pure, for text that others have a hand in: a program may call itself
 * `) R 1 (`. A leaf, which the backends may include: it includes nothing of ours but os/types.h. */
#ifndef COVEY_CORE_PROC_TEXT_H
#define COVEY_CORE_PROC_TEXT_H

#include "os/types.h"

/* Room for a name with its NUL: 15 bytes of a program's own, up to 63 of a kernel thread's. */
#define CVY_PROC_NAME 64

/* Linux: a line of /proc/PID/stat (proc_pid_stat(5)). */
typedef struct cvy_proc_stat {
  int64_t pid, parent, group, session;
  uint64_t start;                    /* clock ticks since the system started */
  uint64_t user_ticks, system_ticks; /* processor time */
  int64_t pages;                     /* resident */
  int64_t threads;
  uint64_t flags;           /* PF_... of the kernel */
  char state;               /* R S D T t Z X ... */
  char name[CVY_PROC_NAME]; /* its bytes as they are: unlike in other files of /proc nothing is escaped */
} cvy_proc_stat;

/* Reads size bytes of text (the line's beginning, up to field 24 at least). False: it is none; *ret is untouched. */
bool cvy_proc_stat_read(const char *text, size_t size, cvy_proc_stat *ret);

/* macOS: sysctl KERN_PROCARGS2: a 32-bit count of words in the machine's order, the program's path with NULs behind it, the words, then the
 * environment, which is nobody's business. Gives the words, each with its NUL (what the block cuts off is missing), as a view
 * into block. False: it is none. */
bool cvy_proc_args2(const char *block, size_t size, const char **ret_args, size_t *ret_size);

/* A name that the system cut off at limit bytes, completed from a word or a path: the part behind the last slash, if it begins with the whole of name.
 * A view into word, or NULL: no help. */
const char *cvy_proc_whole_name(const char *name, size_t limit, const char *word);

/* Windows: an entry of \\.\pipe\, of which anybody on the machine may have made any: up to room UTF-16 units and a zero. If it begins with prefix and goes on with a
 * name as os/stream.h allows it, written as we write it (a capital is + and the small letter), that name goes to ret, with a NUL. False: it is not one of ours, or longer than
 * capacity. */
bool cvy_pipe_entry_read(const uint16_t *units, size_t room, const char *prefix, char *ret, size_t capacity);

#endif
