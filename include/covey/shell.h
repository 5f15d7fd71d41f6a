/* covey/shell.h: run commands of a shell, find programs, and text for shells and other parsers of command lines: quote a word,
 * join words into a line, split a line.
 *
 * Prefer not to need it: covey_spawn and covey_run take a list of arguments and no shell sees them. These calls are for text that
 * somebody else will parse: a script, a remote command, a configuration file, covey_shell.
 *
 * There is no quoting that fits every parser, so each call names one: the dialect. What a parser cannot carry is refused and never
 * stripped or replaced: COVEY_EUNQUOTABLE, and covey_last_failure() tells the byte (offset) and the word (index; -1 for covey_quote).
 * Quoting keeps a word one word with its bytes unchanged. It does not keep a word from being taken as an option: put "--" or a
 * leading "./" before names that may begin with "-".
 *
 *   char *line;
 *   const char *argv[] = {"grep", "-e", pattern, "--", file};
 *   if (covey_join(COVEY_DIALECT_SH, argv, 5, &line) < 0) ...
 *
 * Quoting, joining and splitting are pure computing, the same on every system, in linear time, independent of locale and environment. */
#ifndef COVEY_SHELL_H
#define COVEY_SHELL_H

#include <covey/base.h>
#include <covey/process.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who will read the text. */
enum {
  /* A POSIX shell: sh, dash, bash, ksh, zsh, busybox. Not csh (it expands `!` inside single quotes) and not fish. Any bytes but NUL;
   * single quotes around whatever is not a plain ASCII word. */
  COVEY_DIALECT_SH = 1,

  /* The command line of a Windows program, as the C runtime (all versions) and CommandLineToArgvW read it. WTF-8, no NUL. The head of
   * a joined line (argv[0]) follows a rule of its own and cannot hold `"`. A joined line has at most 32,766 UTF-16 units. Not for
   * programs with a parser of their own (cmd.exe, msiexec, find). A program that asks for its command line in an ANSI code page gets
   * look-alikes converted before it parses (U+FF02 may become `"`): no quoting can prevent that. */
  COVEY_DIALECT_ARGV,

  /* cmd.exe, for text behind /c and for arguments of batch files; not for text inside a batch file, where `%` follows another
   * rule. WTF-8 without NUL, CR and LF. The text holds through any number of parses (a batch file that forwards %*), if cmd.exe runs
   * with /e:on /v:off, as covey starts it, and the environment has no empty variable named "cd". The program that finally reads the
   * arguments must take `""` inside quotes for a quote (every C runtime since 2008; CommandLineToArgvW splits an argument that has a
   * blank behind a quote). A batch file that drops the quotes itself
   * (%~1 without quotes, `call`, `for`) undoes them. The head of a joined line is a program or a batch file, never a built-in
   * command; it must not be empty, hold `"` or end in a backslash; without a directory cmd.exe looks in the current directory first.
   * A joined line has at most 8,191 characters. */
  COVEY_DIALECT_CMD,

  /* PowerShell, all versions: a single-quoted literal, with each of the five characters doubled that PowerShell takes for a single
   * quote. WTF-8, no NUL. A joined line begins with the call operator: & 'program' 'argument'. Windows PowerShell 5.1, and 7 before
   * 7.3, pass arguments that hold `"`, and empty ones, wrongly to programs (not to cmdlets and functions). */
  COVEY_DIALECT_POWERSHELL
};

/* covey_quote quotes one word as an argument.
 * dialect: COVEY_DIALECT_... word: borrowed, size bytes; with size SIZE_MAX up to its NUL. NULL with size 0 is the empty word.
 * ret_text: owned, free with covey_free; terminated, never empty.
 * Errors: COVEY_EUNQUOTABLE and COVEY_EENCODING (not WTF-8; never for sh), both with offset; COVEY_EINVAL; COVEY_ENOMEM. Any thread. */
COVEY_API int covey_quote(int dialect, const char *word, size_t size, char **ret_text);

/* covey_join makes a line that starts the program argv[0] with the other words as its arguments, one blank between them. Where the
 * dialect reads the head of a line by another rule than arguments, it is quoted by that rule.
 * argv: borrowed, count texts; with count SIZE_MAX up to a NULL. ret_text: owned, free with covey_free; no words make the empty text.
 * Errors: COVEY_EUNQUOTABLE and COVEY_EENCODING with index and offset; COVEY_ETOOBIG (the dialect's limit on a line); COVEY_EINVAL (an
 * unknown dialect, a NULL in argv, an empty program for cmd.exe); COVEY_ENOMEM. Any thread. */
COVEY_API int covey_join(int dialect, const char *const *argv, size_t count, char **ret_text);

/* covey_split is the opposite of covey_join: a line into words.
 *   COVEY_DIALECT_SH: quotes and backslashes as sh reads them, words parted by blank, tab and newline. Nothing is expanded and nothing
 *     acts: `$x`, `*`, `~`, `;`, `|`, `>`, `#` are ordinary characters. An unmatched quote or a backslash at the end is an error.
 *   COVEY_DIALECT_ARGV: what a Windows program of today would find in argv for this command line (UCRT), argv[0] by its own rule: a
 *     line that begins with a blank has an empty argv[0]. An unmatched quote ends with the line, as there.
 *   the other two: COVEY_ENOTSUP; no text of theirs can be read without running it.
 * line: borrowed, size bytes; with size SIZE_MAX up to its NUL. ret_argv: owned, one block with the texts in it: one covey_free releases
 * all; a NULL stands behind the last word. ret_count: number of words, may be NULL. An empty or blank line has none in sh, an empty
 * line has none in argv.
 * Errors: COVEY_EINVAL (with offset: of the quote or backslash, or of a NUL in the line), COVEY_EENCODING (argv: not WTF-8, with offset),
 * COVEY_ENOTSUP, COVEY_ENOMEM. Any thread. */
COVEY_API int covey_split(int dialect, const char *line, size_t size, char ***ret_argv, size_t *ret_count);

/* ---- shell commands ----
 *
 * A command string is program text for the shell that options.shell names (COVEY_SHELL_AUTO: /bin/sh on POSIX, the system directory's
 * cmd.exe on Windows; never whatever happens to be in PATH or in the current directory, never bash by accident). Nothing in it is
 * quoted, split or expanded by covey: whoever puts foreign text into it quotes it first (covey_quote), or better hands it over in
 * options.env or options.input.
 *
 * options: as for covey_spawn and covey_run, borrowed, may be NULL; argv and command in it must be NULL. Every other field applies:
 * file (a shell of your own choice), env, cwd, streams, time-outs, scope, flags. */

/* covey_shell starts command with the streams that options name, and returns at once: covey_spawn with a shell.
 * command: borrowed. ret_process: owned, release with covey_process_close.
 * Errors: those of covey_spawn; COVEY_EINVAL (command is NULL). Any thread. */
COVEY_API int covey_shell(const char *command, const covey_process_options *options, covey_process **ret_process);

/* covey_shell_run runs command to its end with its output and errors going where ours go (unless options say otherwise). Standard
 * input is the null device, as everywhere; a command that talks to the user's terminal wants in.kind INHERIT and scope SHARED.
 * command: borrowed. ret_exit: filled on success, may be NULL.
 * Returns 0 when the command was started and its end is known, whatever it was (as covey_run). Errors: those of covey_run. Any thread. */
COVEY_API int covey_shell_run(const char *command, const covey_process_options *options, covey_exit *ret_exit);

/* covey_shell_exec runs command to its end and returns its output: out and err of kind DEFAULT are captured, each on its own
 * (err.kind MERGE gives both in one, in the order of writing).
 * command: borrowed. ret_result: owned, free with covey_result_free.
 * Returns 0 as covey_run does. Errors: those of covey_run; COVEY_EINVAL (ret_result is NULL). Any thread. */
COVEY_API int covey_shell_exec(const char *command, const covey_process_options *options, covey_result *ret_result);

/* covey_which finds a program, by the code with which covey_spawn looks it up.
 * name: borrowed. With a directory in it (POSIX: a slash; Windows: also a backslash or a drive) it is not searched for, and is taken
 * relative to our current directory. Else the folders of path are searched in their order. Empty and relative folders of a path are
 * skipped: the current directory is never searched.
 * On Windows a folder is tried with each ending of PATHEXT that the system can start (.COM, .EXE, .BAT, .CMD) before the next folder is;
 * a name that has a dot is first tried as it is. Quotes around a folder are removed.
 * path: borrowed, a list of folders in the form of PATH; NULL: our own PATH, or where that is not set the system's default.
 * ret_path: owned, free with covey_free; absolute.
 * Errors: COVEY_ENOTFOUND; COVEY_EACCES (one was found, but it is a folder or not executable, and none after it was better);
 * COVEY_EINVAL (name is NULL or empty); COVEY_EENCODING; COVEY_ENOMEM. Any thread. */
COVEY_API int covey_which(const char *name, const char *path, char **ret_path);

#ifdef __cplusplus
}
#endif

#endif
