/* covey/process.h: start a program, talk to it, learn how it ended, and be certain that nothing of it stays behind.
 *
 *   covey_result result;
 *   covey_process_options options = {.argv = (const char *const[]){"git", "status", NULL},
 *                                    .out.kind = COVEY_STDIO_CAPTURE, .timeout = 5000};
 *   if (covey_run(&options, &result) < 0) return report(covey_last_failure());     never started: stage and reason
 *   if (COVEY_EXIT_OK(&result.exit)) show(result.out);
 *   covey_result_free(&result);
 *
 * What holds for every child, unless an option says otherwise
 *   tree      A child and all that it starts are one tree: a job on Windows, on Linux a control group where ours may
 *             be divided (COVEY_CAP_TREE_KERNEL: nobody gets out of either), else a process group and whoever left it
 *             as far as parent links show. Stop and kill mean the tree. The tree ends with its handle: when the
 *             handle is closed, what still runs in it is killed.
 *   life      The tree is tied to our life: it is killed when we end, also when we crash or are killed
 *             (COVEY_CAP_TIED_LIFE; without that bit the child is started all the same, untied).
 *   streams   Standard input is the null device, output and errors go where ours go. Nothing else is inherited:
 *             no descriptor, no handle that was not named.
 *   signals   The child starts with default dispositions and nothing blocked, whatever this process has set.
 *   waiting   The end is learned from the process itself, never from the end of a pipe: a grandchild that keeps a
 *             pipe open delays nobody for more than the drain time. No SIGCHLD handler is installed, nobody else's
 *             child is ever waited for, and a program that ignores SIGCHLD gets COVEY_HOW_LOST, never a hang.
 *   pid       Until the handle is closed the pid is not given to another process. For that an ended child may stay
 *             unreaped on POSIX while its tree may still have to be killed: until the handle is closed, no longer.
 *
 * What it does not do, and why
 *   scripts   Windows starts no file that begins with #!: name the interpreter as argv[0] and the script behind it.
 *   long      Windows: program and directory of more than 259 UTF-16 units are COVEY_ETOOBIG, since CreateProcess takes no
 *             longer directory, and programs cannot be relied on under a longer name.
 *   text      Output is handed over as bytes. A Windows program that writes in a code page of its console, or in UTF-16,
 *             is told otherwise by its own options; nothing here guesses.
 *   orphans   A program that is process 1, as in many containers, or a subreaper (prctl(2)) gets whoever loses his parent as a child of its own
 *             from the system, those of killed trees too, and has to reap them as all others: nothing here waits for processes that it has not started.
 *             Nor does it make the program a subreaper, which would change what else the program does; a child can be one
 *             (COVEY_LAUNCH_SUBREAPER).
 *   disk      No priority for input and output: on Linux it follows the nice value (ioprio_set(2)), on Windows only a process
 *             itself can lower its own (SetPriorityClass).
 *
 * Its parts, which it includes: streams.h (streams, terminals, lines, output by callbacks), launch.h (user, limits, priority, window), result.h
 * (how it ended), pipeline.h, running.h (starts that nobody waits for, several at once, usage).
 *
 * Handles are counted: covey_spawn gives one reference, covey_process_close releases one. All calls may be made from
 * any number of threads at the same time on the same handle, except that covey_process_close must be the caller's
 * last use of its reference. */
#ifndef COVEY_PROCESS_H
#define COVEY_PROCESS_H

#include <covey/base.h>
#include <covey/error.h>
#include <covey/launch.h>
#include <covey/result.h>
#include <covey/streams.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct covey_loop covey_loop; /* covey/loop.h */

/* A child, or an adopted process. */
typedef struct covey_process covey_process;

/* Told that covey_process_write will take bytes again, or say that nobody reads any more: see on_room of the options. */
typedef void (*covey_room_callback)(covey_process *process, void *user);

/* ---- stopping ---- */

/* What a step of a stop ladder does to the tree. */
enum {
  COVEY_STOP_ASK = 1,     /* asks by every way there is, as covey_process_stop says */
  COVEY_STOP_SIGNAL,      /* signal, as covey_process_signal sends it to the tree */
  COVEY_STOP_CLOSE_INPUT, /* its standard input of kind PIPE ends */
  COVEY_STOP_KILL
};

/* A step of a stop ladder: what is done, and how long its effect is waited for. */
typedef struct covey_stop_step {
  int action; /* COVEY_STOP_... */
  int signal; /* SIGNAL: COVEY_SIGNAL_..., but KILL; else zero */
  /* milliseconds until the next step, 0: it follows at once, COVEY_FOREVER: never (only of the last). A step that
   * reaches nobody (no pipe, a signal that this system has not, nobody to ask) is not waited for. KILL: zero */
  int64_t timeout;
} covey_stop_step;

enum { COVEY_LADDER_MOST = 8 }; /* steps of one ladder */

/* ---- options ---- */

/* How the child is bound to others. */
enum {
  COVEY_SCOPE_TREE = 0, /* its own tree: stopped, killed and closed as one */
  /* stays in our process group and console, for programs that use our terminal. Killing it kills it and
   * what descends from it; once it has ended, what it left behind is never touched */
  COVEY_SCOPE_SHARED,
  /* its own tree in a session of its own, without our terminal (POSIX; on Windows: without our console) */
  COVEY_SCOPE_SESSION,
  /* outlives us: own session, no console, not tied; close leaves it running. Never our zombie */
  COVEY_SCOPE_DETACHED
};

enum {
  /* starts from an empty environment, not from ours (Windows: SYSTEMROOT stays) */
  COVEY_PROCESS_ENV_CLEAR = 1 << 0,
  /* when the child itself has ended, the rest of its tree is left alone and untied */
  COVEY_PROCESS_LEAVE_TREE = 1 << 1,
  /* not tied to our life: goes on when we end without closing the handle */
  COVEY_PROCESS_UNTIED = 1 << 2,
  /* Windows: argv[1] is the rest of the command line, word for word; argv[2] is NULL. For programs with
   * a parser of their own. POSIX: COVEY_ENOTSUP */
  COVEY_PROCESS_RAW_COMMAND_LINE = 1 << 3,
  /* Windows: the program may be a batch file (.bat, .cmd). It is run by the system's cmd.exe, hardened,
   * and an argument that cannot be made safe is COVEY_EUNQUOTABLE. Without the flag every batch file is
   * COVEY_EUNQUOTABLE. No effect on POSIX */
  COVEY_PROCESS_BATCH = 1 << 4,
  /* over capture_max: keep what came first, read and drop the rest, let the child go on */
  COVEY_PROCESS_KEEP_HEAD = 1 << 5,
  /* covey_run and what stands on it: anything but an exit with 0 by itself is a failure */
  COVEY_PROCESS_CHECK = 1 << 6,
  /* from before the start to the end of the child INT, TERM, QUIT and HUP that come to us, and the close of
   * our console, are sent on to its tree in place of ending us, as often as they come. A signal for which
   * this program has a handler of its own, or which it ignores, when the child is started stays its own;
   * subscriptions of signal.h do not count as that: they get it too. COVEY_SCOPE_SHARED: what the terminal
   * sends reaches the child by itself and is not sent twice. On Windows each of them becomes CTRL_BREAK, or
   * else what covey_process_stop asks by; the close of a console reaches all programs in it by itself, and
   * we stay until the child has ended */
  COVEY_PROCESS_FORWARD = 1 << 7,
  /* over capture_max: keep what came first and what came last, half of capture_max each (an odd byte to the first), drop
   * what was between, let the child go on. covey_process_read gives the second half once the stream has ended */
  COVEY_PROCESS_KEEP_ENDS = 1 << 8,
  /* the child runs on a pseudo-terminal of its own (a pseudo-console on Windows) of the size in options.pty: its three
   * streams are that terminal, which is its controlling terminal, in a session of its own. A terminal has one output: in and
   * err must be DEFAULT (or PIPE, MERGE); out says how we get what it shows: PIPE (DEFAULT), CAPTURE (DEFAULT of covey_run), or LINES.
   * scope: TREE or SESSION. See "a child on a terminal" in streams.h */
  COVEY_PROCESS_PTY = 1 << 9,
  /* the child gets the foreground of our terminal, if we have it: its group, of scope TREE, reads from there and gets ctrl-C and
   * ctrl-Z, and we do not. For programs that talk with the user; in, out and err still say what their streams are. The foreground is ours
   * again when the child has ended; also, within 0.1 s, when it was suspended: it stays so until COVEY_SIGNAL_CONT is sent to it by
   * covey_process_signal, which gives it the foreground again; with FORWARD a CONT that comes to us is sent on, too, so that a shell
   * that suspends us as well and goes on with us goes on with the child. After a child that was suspended, or ended by a signal, the terminal
   * has the settings of the start again. No signal stops us on the way. Without effect where we have no terminal or are in its
   * background, and on Windows, whose consoles have no foreground. Not with PTY */
  COVEY_PROCESS_FOREGROUND = 1 << 10
};

enum { COVEY_PROCESS_FLAGS = (1 << 11) - 1 }; /* all flags of this version; others are COVEY_EINVAL */

/* The shell of a command string. */
enum {
  /* POSIX: /bin/sh -c; Windows: the system directory's cmd.exe /d /s /e:on /v:off /c "..." */
  COVEY_SHELL_AUTO = 0,
  COVEY_SHELL_SH,   /* sh: /bin/sh on POSIX, looked up in PATH on Windows */
  COVEY_SHELL_BASH, /* bash, looked up: --noprofile --norc -c */
  COVEY_SHELL_CMD,  /* cmd.exe, hardened as above; COVEY_ENOTSUP on POSIX */
  /* Windows PowerShell (powershell), looked up: -NoProfile -NonInteractive -Command */
  COVEY_SHELL_POWERSHELL,
  COVEY_SHELL_PWSH /* PowerShell 7 (pwsh), looked up, the same switches */
};

/* How a program is started. All zero but argv (or command) is the safe default. Everything that a field
 * points to is borrowed: it must live until the call returns. */
typedef struct covey_process_options {
  /* What to start: argv or command.
   * argv: NULL-terminated, argv[0] not NULL. argv[0] is looked up (see covey_which) in the PATH that the child
   * will have, unless file is given. An argument of "" is an argument */
  const char *const *argv;
  /* the program, when it is not argv[0]; looked up the same way. argv[0] is then only told to the child
   * (Windows: as the first word of its command line). With command: the program that is the shell; it takes a command
   * the way of the one that shell names (AUTO: -c on POSIX, as cmd.exe does on Windows), and is no batch file */
  const char *file;
  /* instead of argv: a command string for a shell. Nothing in it is quoted or split: it is program text */
  const char *command;
  int shell;       /* COVEY_SHELL_...: who reads command */
  uint32_t flags;  /* COVEY_PROCESS_... */
  const char *cwd; /* working directory; NULL: ours */
  /* Environment: "NAME=value" sets, "NAME" removes, in order, on top of ours (of nothing with
   * ENV_CLEAR). NULL-terminated, may be NULL. On Windows names are compared without case, and the block
   * is sorted. */
  const char *const *env;
  covey_stdio in, out, err; /* the standard streams */
  /* fed to standard input while the output is drained, then the end of the input; in.kind must be
   * DEFAULT. Of any size. Borrowed by covey_run, copied by covey_spawn. A child that does not read it is
   * no error */
  const void *input;
  /* bytes; an input that is not NULL with size 0 is an input that ends at once */
  size_t input_size;
  const covey_pass *pass; /* further descriptors for the child */
  size_t pass_count;
  /* bytes captured of each stream; 0: 16 MiB. One byte more ends the child (COVEY_WHY_OUTPUT), or see
   * KEEP_HEAD and KEEP_ENDS */
  size_t capture_max;
  int scope;          /* COVEY_SCOPE_... */
  uint32_t reserved0; /* zero */
  /* Times in milliseconds: 0 is the default, COVEY_FOREVER is none.
   * timeout: from the start on; then the child is stopped (COVEY_WHY_TIMEOUT). Default: none */
  int64_t timeout;
  /* between asking and killing when the library stops it: timeout, idle, cancel, capture. Default: 5000 */
  int64_t grace;
  /* after the child's end: how long a captured or piped stream that a descendant still holds open may be
   * silent before it counts as ended; each piece of output starts it anew. Default: 100 */
  int64_t drain;
  /* and how long draining captures may take in all. Default: 1000 */
  int64_t drain_max;
  /* covey_spawn: the loop that the process hangs on, NULL: the default loop. covey_run: must be NULL, it
   * uses a loop of its own on the calling thread */
  covey_loop *loop;
  /* covey_run: once fired the child is stopped, and the result says COVEY_WHY_CANCEL. covey_spawn: ends
   * the waiting calls on this process with COVEY_ECANCELED, and covey_process_wait_any once those of all its processes are
   * fired; covey_process_stop, which cleans up behind such a wait, goes on. Must live until the handle is closed */
  covey_cancel *cancel;
  /* milliseconds that the child may write nothing to those of out and err that are captured or piped to us, from
   * the start or from the last piece on; then it is stopped (COVEY_WHY_IDLE). The time in which a full pipe waits for
   * our own reader does not count. One of the two must be such a stream. 0 or COVEY_FOREVER: none */
  int64_t idle;
  /* user, limits, priority, processors, window: launch.h. Borrowed; NULL: as we are */
  const covey_launch *launch;
  covey_pty pty;         /* with COVEY_PROCESS_PTY, else zero */
  /* shown each piece of out and err while the child runs: of kind CAPTURE besides being kept, also what capture_max drops; of
   * kind PIPE in place of covey_process_read (covey_run takes PIPE then). NULL: none */
  covey_output_callback on_output;
  covey_line_callback on_line; /* shown each line of streams of kind LINES; covey_run needs it for them. NULL: none */
  void *user;                  /* for on_output, on_line and on_room */
  /* LINES: bytes of the longest line; longer ones come in pieces of that many. 0: 64 KiB */
  size_t line_max;
  /* how it is stopped, for whatever reason: at most COVEY_LADDER_MOST steps, KILL only as the last; behind the last one's time
   * the tree is killed. Copied. NULL: {{COVEY_STOP_ASK, 0, grace}, {COVEY_STOP_KILL}}. With a ladder of one's own grace must be 0;
   * that of covey_process_stop still counts, for all of the steps: then it is killed, wherever the ladder is */
  const covey_stop_step *ladder;
  size_t ladder_count;
  /* covey_spawn, in of kind PIPE or a terminal: called when a covey_process_write has taken fewer bytes than it was given, because its time was
   * over or it would have had to wait, and there is room again: once, however many such writes there were; never inside a write, and not
   * behind the end of the process or covey_process_close_input. So who must not wait writes with timeout 0 and goes on here.
   * Inside covey_loop_dispatch the handle may be closed in it. NULL: none */
  covey_room_callback on_room;
  uint64_t reserved[14]; /* zero */
} covey_process_options;

/* ---- one call: start, feed, drain, wait ---- */

/* covey_run starts a program, feeds its input, collects its output, and returns when it has ended and
 * nothing of it is left.
 * Returns 0 when the program was started and its end is known, whatever that end was: a non-zero exit code,
 * a crash, a timeout, a cancel and too much output are told by ret_result->exit (how, why, code) and
 * ->failure; COVEY_EXIT_OK is the short question.
 * A negative code means that there is no result: ret_result is untouched and nothing has to be freed.
 * This is the same rule as covey_process_wait's: the time-out of the child is an end of the child, not a
 * failure of the call.
 * With COVEY_PROCESS_CHECK anything but a clean end is a failure: COVEY_ETIMEDOUT, COVEY_ECANCELED,
 * COVEY_ETOOBIG, else COVEY_EFAILED, whose what names the program, its exit code or signal and the last
 * line of its captured errors; its index is the exit code.
 * options: borrowed, argv or command must be set. ret_result: owned, free with covey_result_free; may be
 * NULL: output is then dropped.
 * Errors: all of covey_spawn; COVEY_ECANCELED (cancel was fired before the start); COVEY_ESTUCK (the system
 * does not end it although it was killed: 5 s, an uninterruptible wait in the kernel; it is reaped in the
 * background).
 * Scope DETACHED is COVEY_EINVAL here. Any thread; calls of different threads do not disturb each other. */
COVEY_API int covey_run(const covey_process_options *options, covey_result *ret_result);

/* covey_result_free frees what result holds and zeroes it. result: the struct stays the caller's; NULL and
 * all-zero do nothing. */
COVEY_API void covey_result_free(covey_result *result);

/* ---- a running process ---- */

/* covey_spawn starts a program and returns at once. Success means that the program itself was loaded: a missing
 * file, directory or interpreter is an error of this call.
 * options: borrowed, argv or command must be set. ret_process: owned, release with covey_process_close.
 * Errors, with the stage in covey_last_failure():
 *   COVEY_EINVAL       ARGUMENTS: neither or both of argv and command, an unknown kind, flag or scope, fields that
 *                      exclude each other; what names the field. ENVIRONMENT: an entry without a name
 *                      (index). EXEC: no format that the system can start
 *   COVEY_ENOTFOUND    LOOKUP: no such program; CWD: no such directory; STDIO: no such file to read; INTERPRETER: the
 *                      program exists, the one that its #! line or header names does not; USER: no such user or group
 *   COVEY_EACCES       LOOKUP or EXEC: found, but not executable, or a directory; CWD, STDIO: not allowed; USER, LIMITS:
 *                      not ours to give (launch.h)
 *   COVEY_EEXIST       STDIO: a FILE_NEW that is there already
 *   COVEY_ETOOBIG      ARGUMENTS: arguments and environment together, or one argument (index), are more than the system
 *                      takes; ENVIRONMENT: one variable is (what begins with its name).
 *                      Windows: 32,766 UTF-16 units of command line, 8,191 for cmd.exe, 259 for program and
 *                      directory; Linux: 128 KiB each, a quarter of the stack limit in all; macOS: 1 MiB in all
 *   COVEY_EUNQUOTABLE  ARGUMENTS: a batch file without COVEY_PROCESS_BATCH, or an argument that cannot reach it
 *                      unharmed (index, offset)
 *   COVEY_EENCODING    Windows: not WTF-8; ARGUMENTS, ENVIRONMENT: index and offset; LOOKUP, CWD, STDIO: what
 *   COVEY_ELIMIT       no descriptors, processes or handles left
 *   COVEY_ENOTSUP      not on this system; what names the field
 *   COVEY_ENOMEM, COVEY_EOS (the system's number is in the failure), COVEY_ESTALE (options->loop was inherited by
 *                      fork)
 * A failed start leaves nothing behind: no process, and no file made or emptied unless the streams were opened already.
 * Any thread; the start costs the same however much memory this process uses. */
COVEY_API int covey_spawn(const covey_process_options *options, covey_process **ret_process);

/* covey_process_adopt makes a handle for a process that is not ours: wait, signal, stop, kill and identity
 * work, and a pid that was given to another process in the meantime is never touched.
 * pid: of a running process of this system. start: its start stamp as covey_process_identity tells it, 0:
 * whatever runs there now.
 * loop: NULL: the default loop. ret_process: owned, release with covey_process_close, which leaves the
 * process alone.
 * An adopted process is not reaped, also when it is a child of this program that was started by other
 * means. Its exit code is known on Windows, for children of this program until the program reaps them, and on Linux
 * from 6.15 on if the parent reaps it at once (10 ms); else COVEY_HOW_LOST. Stop and kill mean the process itself, not its tree.
 * Errors: COVEY_EINVAL (pid < 1, our own pid), COVEY_ENOTFOUND (no such process, or start does not fit:
 * another one), COVEY_EACCES (Windows), COVEY_ENOMEM, COVEY_ELIMIT, COVEY_EOS, COVEY_ESTALE (loop was inherited
 * by fork). Any thread. */
COVEY_API int covey_process_adopt(int64_t pid, uint64_t start, covey_loop *loop, covey_process **ret_process);

/* covey_process_pid returns the pid; it stays the same after the end. COVEY_EINVAL for NULL. Any thread. */
COVEY_API int64_t covey_process_pid(const covey_process *process);

/* covey_process_identity tells who the process is. ret_identity: filled; (pid, start) never repeats and can
 * be adopted by others.
 * Errors: COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_identity(const covey_process *process, covey_identity *ret_identity);

/* covey_process_wait waits until the process has ended and its captures are drained. Every waiter, in any
 * thread, gets the same result, as often as it asks.
 * timeout: milliseconds, 0 asks only, COVEY_FOREVER. ret_exit: filled on success, may be NULL.
 * Returns 0 when the end is known, whatever it was. A child that is suspended has not ended: who waits by turns is told by covey_process_usage
 * (suspended). It is no event of its own, since systems tell it to a handler of SIGCHLD alone, which is the program's and not ours.
 * Errors: COVEY_ETIMEDOUT (it still runs: this call's deadline, not the child's), COVEY_ECANCELED
 * (options.cancel or covey_process_cancel), COVEY_ESTUCK (it was killed 5 s ago, or longer, and the system
 * does not end it), COVEY_EDEADLK (a call that would wait on the thread that runs the loop), COVEY_EINVAL,
 * COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_wait(covey_process *process, int64_t timeout, covey_exit *ret_exit);

/* covey_process_read takes bytes from an output stream of kind PIPE, or those captured so far and not yet
 * read of kind CAPTURE; of a terminal: what it shows.
 * stream: COVEY_STDOUT or COVEY_STDERR.
 * timeout: for the first byte. ret_data: filled with 1 up to capacity bytes.
 * Returns the number of bytes (at most INT_MAX), or 0 at the end of the stream: closed by all who held it,
 * or held by descendants only and silent for options.drain after the child's end. Two threads that read the
 * same stream share its bytes.
 * Errors: COVEY_EINVAL (no such stream, capacity 0), COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ETOOBIG
 * (CAPTURE: over capture_max; after the kept bytes; with KEEP_ENDS no read reaches over the gap), COVEY_EDEADLK, COVEY_EOS, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_read(covey_process *process, int stream, int64_t timeout, void *ret_data,
                                 size_t capacity);

/* covey_process_read_line gives the next line of the streams of kind LINES: of both, in the order in which they ended.
 * (Two streams have no common order in the system: it is that in which we read them.)
 * timeout: for a whole line, or line_max bytes of one. ret_line: filled; its data is a view until the next call for this
 * process, or its close: one thread at a time.
 * Returns 1 for a line, or 0 when both streams have ended, as covey_process_read says it.
 * Errors: COVEY_EINVAL (no stream of kind LINES, or on_line takes them), COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ENOMEM,
 * COVEY_EDEADLK, COVEY_EOS, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_read_line(covey_process *process, int64_t timeout, covey_line *ret_line);

/* Called once when process has ended, its captures are drained and its output was shown. exit: a view for this call. */
typedef void (*covey_end_callback)(covey_process *process, const covey_exit *exit, void *user);

/* covey_process_on_end has callback called at the end of the process, by the rules of callbacks in streams.h; at the next chance when
 * that was before. Inside covey_loop_dispatch its handle may be closed in it.
 * callback: NULL takes back one that has not run. A second one takes the place of the first. user: for it.
 * Errors: COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_on_end(covey_process *process, covey_end_callback callback, void *user);

/* covey_process_write hands bytes to a standard input of kind PIPE, or types them on the child's terminal. It never raises SIGPIPE and never
 * blocks beyond its deadline.
 * data, size: borrowed; 0 bytes do nothing.
 * timeout: for all of them.
 * Returns the number of bytes that were taken (at most INT_MAX): all, or fewer when the deadline passed or
 * it was cancelled on the way; options.on_room tells when there is room for more.
 * Errors, when not one byte was taken: COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ECLOSED (the child or we
 * closed it), COVEY_EINVAL (in is no PIPE), COVEY_EDEADLK, COVEY_EOS, COVEY_ESTALE. Any thread; the bytes
 * of two writing threads are not mixed within one call. */
COVEY_API int covey_process_write(covey_process *process, const void *data, size_t size, int64_t timeout);

/* covey_process_close_input ends the child's standard input of kind PIPE, or that of its terminal; bytes already taken
 * still arrive, a write from now on is COVEY_ECLOSED. Again: 0.
 * Errors: COVEY_EINVAL (in is no PIPE), COVEY_ESTALE. Any thread, never waits. */
COVEY_API int covey_process_close_input(covey_process *process);

/* covey_process_resize gives the terminal of a child of COVEY_PROCESS_PTY another size; its programs are told (SIGWINCH; Windows:
 * WINDOW_BUFFER_SIZE_EVENT).
 * rows, columns: 1 to 32,767 each.
 * Errors: COVEY_EINVAL (also a child without a terminal), COVEY_ECLOSED (nobody is on that terminal any more), COVEY_ENOTSUP,
 * COVEY_EOS, COVEY_ESTALE. Any thread, never waits. */
COVEY_API int covey_process_resize(covey_process *process, int rows, int columns);

/* covey_process_signal sends a signal.
 * signal: COVEY_SIGNAL_..., or COVEY_SIGNAL_RAW + n on POSIX. target: COVEY_TARGET_LEADER (the child
 * itself) or COVEY_TARGET_TREE.
 * On Windows there are KILL, STOP and CONT (all its threads), and INT, QUIT and TERM, which become CTRL_BREAK
 * for a child that shares our console and leads a group of its own (every scope but SHARED); TERM also reaches, in whatever console,
 * a program that is subscribed to the end of its session by signal.h, as covey_shutdown_wait is. All others
 * are COVEY_ENOTSUP.
 * STOP and CONT suspend and resume; of TREE every member, also one that left its group. On POSIX a request of covey_process_stop resumes first;
 * on Windows it is not heard before CONT, which has to come as often as STOP did.
 * Errors: COVEY_ENOTFOUND (it has ended; for TREE: nothing of it is left), COVEY_EINVAL, COVEY_EACCES (it
 * changed its user), COVEY_ENOTSUP (also TREE of an adopted or detached process), COVEY_ESTALE. Any thread;
 * the signal never reaches another process that got the pid. */
COVEY_API int covey_process_signal(covey_process *process, int signal, int target);

/* covey_process_stop ends the process in an orderly way: it asks, waits, and kills the tree; then it waits
 * for the end. (Or it goes by options.ladder: a program that ends with its input, such as a language server, wants
 * {{COVEY_STOP_CLOSE_INPUT, 0, 2000}, {COVEY_STOP_ASK, 0, 1000}, {COVEY_STOP_KILL, 0, 0}}.)
 * Asking: a child of covey_node_spawn gets STOP over its connection, and half of the grace later what others
 * get at once; before it has connected it gets both, STOP as soon as it has. POSIX: SIGTERM to the tree (and
 * SIGCONT, so that a suspended one hears it). Windows: its piped input is closed, WM_CLOSE goes to its windows,
 * and CTRL_BREAK to its group if it leads one (scope SHARED and adopted ones do not) and shares our console; in another console through the tool,
 * covey.exe, if that is beside the program or the library (COVEY_CAP_ASK_CONSOLE): our own console stays as it is. Where none of these is possible nobody
 * was told, and the grace is not waited out (of a child that may still connect: half of it is).
 * grace: milliseconds between asking and killing; 0 kills at once, COVEY_FOREVER never kills. Stops of
 * several threads share one ladder: the shortest grace counts. ret_exit: filled on success, may be NULL;
 * why is COVEY_WHY_STOP when the request was followed, COVEY_WHY_KILL when not, COVEY_WHY_SELF when it had
 * ended before.
 * Errors: COVEY_ESTUCK (5 s after the kill it is still there), COVEY_ECANCELED (covey_process_cancel during
 * this call; the ladder goes on), COVEY_EDEADLK (it was asked, but this thread cannot wait), COVEY_ENOTSUP
 * (grace is COVEY_FOREVER, and there is no way to ask), COVEY_EACCES (grace is 0, and the kill is not ours to
 * do), COVEY_EINVAL, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_stop(covey_process *process, int64_t grace, covey_exit *ret_exit);

/* covey_process_kill kills the tree (adopted and DETACHED: the process) and returns at once;
 * covey_process_wait sees the end. A process that has ended: what is left of its tree is killed, 0.
 * Errors: COVEY_EINVAL, COVEY_EACCES, COVEY_EOS, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_kill(covey_process *process);

/* covey_process_cancel wakes all calls that wait on this process, and lets those that come later not wait
 * (what is there already is still returned): they answer COVEY_ECANCELED. The process itself is not
 * touched. Any thread, and on POSIX also a signal handler. */
COVEY_API void covey_process_cancel(covey_process *process);

/* covey_process_detach lets the process and its tree go: from now on neither closing the handle nor our end
 * kills them. Waiting, reading and killing still work while the handle is open; pipes to us end with it.
 * Errors: COVEY_EINVAL, COVEY_ENOTSUP, COVEY_EOS, COVEY_ESTALE. Any thread. */
COVEY_API int covey_process_detach(covey_process *process);

/* covey_process_close releases one reference. process: moved, NULL does nothing. The last one closes the
 * pipes and, unless the process was detached, adopted, or left alone by its scope or flags, kills the tree;
 * what still has to be reaped is reaped in the background, on the default loop if its own is another. Never
 * waits. Any thread. */
COVEY_API void covey_process_close(covey_process *process);

#ifdef __cplusplus
}
#endif

#include <covey/pipeline.h>
#include <covey/running.h>

#endif
