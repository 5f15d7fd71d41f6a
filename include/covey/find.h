/* covey/find.h: which processes run here: list them, and search them by name, command line, user, parent or tree.
 *
 *   covey_find_result found;
 *   covey_find_options options = {.pattern = "^firefox", .fields = COVEY_FIELD_NAME | COVEY_FIELD_MEMORY};
 *   if (covey_find(&options, &found) < 0) return report(covey_last_failure());
 *   for (size_t i = 0; i < found.count; i++)
 *     printf("%lld %s %lld\n", (long long)found.items[i].pid, found.items[i].name, (long long)found.items[i].memory);
 *   covey_find_free(&found);
 *
 * What is found can be held: covey_process_adopt(item->pid, item->start, NULL, &process) takes exactly this process or
 * answers COVEY_ENOTFOUND, however late, and however often its number was given away since.
 *
 * Only what is needed is read. Pid, parent and start stamp cost next to nothing; each COVEY_FIELD_ costs what stands beside
 * it, for the processes that the other conditions left over. No program is started for it: one pass over /proc on Linux
 * (which must be mounted), one sysctl on macOS and FreeBSD, one NtQuerySystemInformation on Windows; then single questions
 * about single processes.
 *
 * A list is old when it arrives. A process that ends while it is looked at is left out, or is found as it was a moment ago;
 * neither is an error. The environment of others is not read: no system promises it (macOS and Windows hide it, Linux
 * shows what it was at the start). All of one item is of one process: fields of two that had one pid after the other are never mixed.
 * Names, command lines and paths are what the process says of itself and can change at will: they are good for finding,
 * not for trusting. */
#ifndef COVEY_FIND_H
#define COVEY_FIND_H

#include <covey/base.h>
#include <covey/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is to be read of each process that is found. */
enum {
  /* name: of the program, without folder; on Windows with its ending (notepad.exe). Linux keeps 15 bytes of it and macOS
   * 16: where these are full the whole name is taken from the command line, the path, if it begins the same way. A name that the
   * program gave itself stays. No cost, but for such long names */
  COVEY_FIELD_NAME = 1 << 0,
  /* exe: the program's file. Other users' processes keep it to themselves. One call */
  COVEY_FIELD_EXE = 1 << 1,
  /* cwd: working directory. Other users' processes keep it to themselves. One call; Windows: its memory is read */
  COVEY_FIELD_CWD = 1 << 2,
  /* command, argv, argc: the command line. Three calls; Windows before 8.1, and wine: its memory is read */
  COVEY_FIELD_COMMAND = 1 << 3,
  /* uid, gid, sid: the effective user. One call; Windows: three, and other users' processes keep it to themselves */
  COVEY_FIELD_USER = 1 << 4,
  /* user: the name of that user's account, asked once for each user; may ask a directory service. Includes USER */
  COVEY_FIELD_ACCOUNT = 1 << 5,
  /* memory: resident bytes. No cost; macOS: one call, and only of our own user's processes */
  COVEY_FIELD_MEMORY = 1 << 6,
  /* user_time, system_time: processor time. As MEMORY */
  COVEY_FIELD_TIMES = 1 << 7,
  COVEY_FIELD_ALL = (1 << 8) - 1 /* all fields of this version; others are COVEY_EINVAL */
};

/* How to search. */
enum {
  COVEY_FIND_CASELESS = 1 << 0,      /* the patterns match capital and small letters alike */
  COVEY_FIND_LITERAL = 1 << 1,       /* no character of a pattern is special: a part of the text */
  COVEY_FIND_NOT_SELF = 1 << 2,      /* leaves this process out */
  COVEY_FIND_NOT_ANCESTORS = 1 << 3, /* leaves out the process that started us, its parent, and so on: with NOT_SELF what a
                                        program that kills by a pattern wants */
  COVEY_FIND_ZOMBIES = 1 << 4,       /* finds also what has ended and was not reaped (POSIX); it cannot be adopted */
  COVEY_FIND_KERNEL = 1 << 5         /* finds also what belongs to the kernel: its threads on Linux, System on Windows */
};

/* What to find: every condition that is set must hold. All zero finds every process. All texts are borrowed. */
typedef struct covey_find_options {
  /* Regular expressions of PCRE2 (UTF-8, Unicode classes), which may match anywhere; NULL: no condition. A newline in a
   * text is a character like others: `.` matches it, `^` and `$` are the ends of the text. Bytes that are not
   * UTF-8 match nothing. */
  const char *pattern; /* name or command line */
  const char *name;    /* name */
  const char *command; /* command line, as in covey_found.command */
  /* the effective user: an account's name, a number (POSIX), a SID as text (Windows); NULL: no condition */
  const char *user;
  /* One process by its number, the children of one, one with all that descend from it as far as parent links lead (a process
   * whose parent has ended is on its own); 0: no condition. A start stamp says which one is meant if the number was given
   * away; 0: whoever has it now */
  int64_t pid;
  uint64_t pid_start;
  int64_t parent;
  uint64_t parent_start;
  int64_t tree;
  uint64_t tree_start;
  uint32_t fields;       /* COVEY_FIELD_...: what to read of those that are found */
  uint32_t flags;        /* COVEY_FIND_... */
  uint64_t reserved[16]; /* zero */
} covey_find_options;

/* What a process is beside its fields: covey_found.flags. */
enum {
  COVEY_FOUND_SELF = 1 << 0,    /* this process */
  COVEY_FOUND_ZOMBIE = 1 << 1,  /* it has ended and waits to be reaped */
  COVEY_FOUND_KERNEL = 1 << 2,  /* a part of the kernel: no command line, no file, cannot be ended */
  COVEY_FOUND_STOPPED = 1 << 3, /* suspended by a signal or a debugger (POSIX) */
  COVEY_FOUND_OPAQUE = 1 << 4   /* its pid is all that we may know (Linux with hidepid=1): start is 0 */
};

/* One process. */
typedef struct covey_found {
  int64_t pid;
  int64_t parent;  /* 0: none, or it has ended (Windows: also when its number is another's now) */
  uint64_t start;  /* start stamp, as in covey_identity; (pid, start) never repeats */
  int64_t started; /* milliseconds since 1970 UTC; -1 unknown */
  uint32_t flags;  /* COVEY_FOUND_... */
  /* COVEY_FIELD_...: what was asked for and is filled; what was asked for and refused to us. In neither: there is no such
   * thing (a kernel thread's command line), or the system does not tell */
  uint32_t fields;
  uint32_t denied;
  uint32_t argc; /* words in argv */
  /* Texts are views into the result, "" when they are not filled, on POSIX bytes of any kind, on Windows WTF-8. */
  const char *name;
  const char *exe;
  const char *cwd;
  /* the command line as one text. POSIX: the words with blanks between, not quoted; Windows: as the process got it */
  const char *command;
  /* its words, a NULL behind the last; never NULL. POSIX: as they are in the process's memory; Windows: as a
   * C program of today would split them (covey_split) */
  const char *const *argv;
  const char *sid;  /* Windows: the user's SID as text; "" elsewhere */
  const char *user; /* the account's name; a user without account has none */
  int64_t uid, gid; /* effective; -1 on Windows */
  int64_t memory;   /* resident bytes; -1 when it is not filled */
  int64_t user_time, system_time; /* microseconds; -1 when they are not filled */
  uint64_t reserved[8];
} covey_found;

/* What covey_find returns; freed with covey_find_free. */
typedef struct covey_find_result {
  covey_found *items; /* owned, sorted by pid; NULL when there are none */
  size_t count;
  /* processes that may or may not have met the conditions: what the conditions need was refused to us */
  size_t unjudged;
  uint64_t reserved[4];
} covey_find_result;

/* covey_find looks through the processes of this system (on Linux: of our pid namespace).
 * options: borrowed; NULL finds every process. ret_result: owned, free with covey_find_free.
 * Returns the number found; 0 is no failure.
 * Errors: COVEY_EINVAL (stage ARGUMENTS: an unknown flag or field, a number below 0, a start stamp without its number, a reserved
 * word that is not zero; a pattern
 * that is none: offset is where, what says why, index is 0 for pattern, 1 for name, 2 for command), COVEY_EENCODING (a pattern
 * that is not UTF-8), COVEY_ETOOBIG (a pattern over 64 KiB), COVEY_ENOTFOUND (stage USER: no such account; stage
 * LOOKUP: pid, parent or tree does not run, or not with that start stamp), COVEY_ELIMIT (a pattern that backtracks without end
 * on some process's text: index is its pid; or no descriptors left), COVEY_ENOTSUP (Linux without /proc), COVEY_ENOMEM, COVEY_EOS.
 * Any thread. It takes some 10 to 30 microseconds a process. */
COVEY_API int covey_find(const covey_find_options *options, covey_find_result *ret_result);

/* covey_find_free frees what result holds and zeroes it. result: the struct stays the caller's; NULL and all-zero do
 * nothing. Never fails. */
COVEY_API void covey_find_free(covey_find_result *result);

#ifdef __cplusplus
}
#endif

#endif
