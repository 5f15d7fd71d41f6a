/* tests/helper/helper.h: covey_test_helper, the one program that plays every child in every test.
 *
 *   covey_test_helper BEHAVIOUR [ARGUMENT...]
 *
 * main.c holds the behaviours that need no system, each a function in a table; posix.c and win32.c are twins that hold what they are
 * built of. A further file adds a table of its own to helper_tables (main.c). Everything is written at once, without buffers, so that a
 * test may wait for a line. Nothing lasts for ever: what hangs, hangs for 10 minutes and ends with code 9. */
#ifndef COVEY_TESTS_HELPER_H
#define COVEY_TESTS_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* argv[0] is the behaviour's name. Returns the exit code. */
typedef struct helper_behaviour {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *usage;
} helper_behaviour;

extern const helper_behaviour helper_stream[]; /* stream.c */

/* Exit codes of the helper's own. */
enum {
  HELPER_STOPPED = 7,    /* asked to stop, and did */
  HELPER_TIRED = 9,      /* hung for 10 minutes */
  HELPER_EARLY_END = 21, /* stdin ended before it should */
  HELPER_NO_OUTPUT = 22, /* a stream cannot be written */
  HELPER_NO_START = 23,  /* a grandchild cannot be started */
  HELPER_NOT_HERE = 24,  /* this system has no such thing */
  HELPER_USAGE = 25
};

/* Runs one behaviour in this process; argv[0] is its name. */
int helper_run(int argc, char **argv);

/* printf to a stream (1, 2), written whole; ends the program with HELPER_NO_OUTPUT when that fails. */
void helper_print(int stream, const char *format, ...);
void helper_write(int stream, const void *data, size_t size);

/* Byte number i of the endless pattern that out, err and count speak of: i modulo 251. */
void helper_pattern(unsigned char *data, size_t size, uint64_t from);

/* ---- twins ---- */

/* Ends this process as a kill would: at once, whatever its threads are at. */
void helper_die(void);

/* Before anything else: streams without translation; the arguments in UTF-8 (WTF-8 on Windows, raw bytes on POSIX). */
void helper_begin(int *argc, char ***argv);

/* Bytes read, 0 at the end or when the stream is closed. Bytes written, or -1. */
int64_t helper_system_read(void *data, size_t size);
int64_t helper_system_write(int stream, const void *data, size_t size);
void helper_close(int stream);
bool helper_is_terminal(int stream);

void helper_pause(int64_t ms);
int64_t helper_now(void); /* ms, monotonic */
int64_t helper_cpu(void); /* ms of user CPU time of this process */
int64_t helper_pid(void);
int64_t helper_parent(void);

/* The n-th "NAME=value" of the environment, NULL behind the last; the value of a name, NULL when unset. Valid until the next call. */
const char *helper_variable(size_t n);
const char *helper_value(const char *name);
const char *helper_cwd(void);

/* The command line as it came, before any parser; NULL on POSIX, where there is none. */
const char *helper_command_line(void);

/* Ends this process: at once with a 32-bit code; by a fault; by abort(); by a signal (returns when there is none). */
void helper_exit(uint32_t code);
void helper_crash(void);
void helper_signal(int number);

/* A polite request (TERM, INT, HUP; CTRL_C, CTRL_BREAK, CTRL_CLOSE) is ignored, or answered: it writes text to stdout (NULL: nothing),
 * waits ms and exits with code. */
void helper_ignore_requests(void);
void helper_answer_requests(const char *text, int64_t ms, int code);

/* Starts this program again with another behaviour. Returns its pid, -1 on failure. */
enum {
  HELPER_QUIET = 1,   /* it holds none of our streams */
  HELPER_SESSION = 2, /* own session (POSIX); own console group, no console (Windows) */
  HELPER_ESCAPE =
      4 /* double fork, so that its parent is gone; CREATE_BREAKAWAY_FROM_JOB where the job allows it */
};
int64_t helper_start(int argc, const char *const *argv, unsigned flags);

/* "handles": writes what is open beyond 0-2, or, with arguments, which of these numbers (values) are open. "signals": which are blocked
 * and ignored. "group": process group and session. */
int helper_handles(int argc, char **argv);
int helper_signals(int argc, char **argv);
int helper_group(int argc, char **argv);

/* "give-handles N": writes N bytes to stdout, a socket, and each brings a descriptor along. "read-out": reads stdout, writes end when there is
 * nothing to come, else what came. POSIX. */
int helper_give_handles(int argc, char **argv);
int helper_read_out(int argc, char **argv);

/* ---- seam.c: behaviours that use the seam ---- */

struct cvos_process;
extern const helper_behaviour helper_seam[];

/* The helper once more, with one behaviour, by cvos_spawn. Its pid, or -1. */
int64_t helper_seam_start(const char *behaviour, uint32_t flags, int scope, struct cvos_process *ret);

/* The guard of this program: what is note, same (it is still the one that was noted), kill, stop (until it is replaced), close (all that this program has open but 0-2), files (the guard has
 * nothing open but its pipe, its table and the null device), shell (which one is started from now on: arg) or none. -1: this system has none. */
int helper_guard(const char *what, const char *arg);

/* Makes tree believe that its leader was another process, which had the same pid before. False where a pid is pinned by a handle. */
struct cvos_tree;
bool helper_tree_of_another(struct cvos_tree *tree);

int helper_permute(int argc, char **argv);
int helper_files_are(int argc, char **argv);
int helper_hostile_signals(int argc, char **argv);
int helper_trace(int argc, char **argv);
int helper_window(int argc, char **argv);
int helper_exhaust(int argc, char **argv);

/* "ask-graphical" (Windows): a program with windows alone has no console that the tool could ask; 0 when that is known. */
int helper_ask_graphical(int argc, char **argv);

/* "attributes": writes priority (a nice value; the priority classes are 19, 10, 0, -5 and -10), how many processors it may use, and how its
 * first window is to be shown (Windows; 0: as it likes). */
int helper_attributes(int argc, char **argv);

/* fork(); -1 where there is none. */
int64_t helper_fork(void);

/* ---- host.c: behaviours of programs that live under odd circumstances, and what they need of the system ---- */

extern const helper_behaviour helper_host[];

/* This program once more with another behaviour, without those of its streams 0, 1 and 2 whose bits are set. Returns its exit code; on POSIX
 * it takes our place, and only a failure returns. */
int helper_without_streams(unsigned closed, int argc, char **argv);

/* The limit (helper_limit_handles) that leaves room for so many descriptors more, 8 at most; negative: none was found. */
int64_t helper_limit_for(int spare);

/* recycle.c: numbers that are given away again. */
extern const helper_behaviour helper_recycle[];

/* Runs a behaviour as the first process of a pid namespace of its own. Its exit code; HELPER_NOT_HERE where that is not to be had (Linux, as root). There the next
 * process gets the number pid, if that is free; and a child of helper_start is killed and reaped. */
int helper_in_numbers_of_its_own(int argc, char **argv);
bool helper_next_number(int64_t pid);
void helper_end(int64_t pid);

/* The limit on open descriptors; 0 brings the first one back. False where there is no such limit. */
bool helper_limit_handles(int64_t most);

/* Becomes another user for good; false where, or as long as, that cannot be done. */
bool helper_become(int64_t user);

/* ---- further tables ---- */

extern const helper_behaviour helper_node[];      /* node.c: behaviours that talk */
extern const helper_behaviour helper_step[];      /* step.c */
extern const helper_behaviour helper_topic[];     /* topic.c: behaviours that publish and subscribe */
extern const helper_behaviour helper_call[];      /* call.c: behaviours that call and serve */
extern const helper_behaviour helper_channel[];   /* channel.c: behaviours with channels */
extern const helper_behaviour helper_signalled[]; /* signal.c: behaviours that hear signals */

extern const helper_behaviour helper_act[]; /* act.c: one thing after the other */

extern const helper_behaviour helper_tty[]; /* tty.c: behaviours on a terminal */

/* The terminal of this program: its three streams are it from now on (they are already, but under wine). False: none. Its size; whether it echoes;
 * whether this process leads its session (POSIX) and is in its foreground; whether its interrupts are not ignored; waits until its size is another. */
bool helper_terminal(void);
void helper_terminal_size(int *ret_rows, int *ret_columns);
int helper_terminal_echo(void);
int helper_terminal_own(void);
int helper_terminal_heard(void);
bool helper_terminal_resized(int64_t ms);

/* Whether our group is in the foreground of stream 0 (POSIX); switches echo on. */
int helper_terminal_front(void);
void helper_terminal_set_echo(void);

/* The settings of that terminal, whatever they are: bytes to compare, up to capacity of them; 0: none. And back. */
size_t helper_terminal_settings(void *ret, size_t capacity);
void helper_terminal_restore(const void *settings);

/* Sends this process a SIGINT, or a CTRL_C by its console; false when there is none. */
bool helper_interrupt(void);

#endif
