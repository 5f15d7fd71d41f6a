/* core/quote.h: text that another program will parse. Pure: bytes and sizes in, text or a refusal out; no locale, no environment, no
 * file system. The public face is covey/shell.h; here is what proc/ needs besides.
 *
 * Every function says which parser it writes for: there is no quoting that fits all. What a parser cannot carry is refused, never
 * stripped: COVEY_EUNQUOTABLE with covey_failure.offset (byte in the word) and .index (which word; -1 where there is only one).
 * Everything but sh takes WTF-8 and answers COVEY_EENCODING, with the same two, for other bytes. All of it is linear.
 *
 * A quoter appends to out and may leave half a word there when it fails: the caller throws the text away then. Memory is asked for
 * once, at the end (cvy_str_take). */
#ifndef COVEY_CORE_QUOTE_H
#define COVEY_CORE_QUOTE_H

#include "core/str.h"

/* CreateProcess: units of UTF-16 in a command line, without the terminator. Source: CreateProcessW, lpCommandLine. */
#define CVY_COMMAND_LINE_MAX 32766
/* cmd.exe: characters in one line. Source: learn.microsoft.com, "Command prompt line string limitation". */
#define CVY_CMD_LINE_MAX 8191

/* One dialect. The four stand side by side at run time: hence a table of functions. */
typedef struct cvy_dialect {
  /* Appends one word as an argument. */
  int (*word)(cvy_str *out, const char *word, size_t size, int64_t index);
  /* Appends one word as the head of a line: the program. */
  int (*head)(cvy_str *out, const char *word, size_t size, int64_t index);
  /* The opposite of joining (core/split.h); NULL where there is none. */
  int (*split)(const char *line, size_t size, char ***ret_argv, size_t *ret_count);
  /* Units of UTF-16 that a joined line may have; 0: no limit. */
  size_t limit;
} cvy_dialect;

extern const cvy_dialect cvy_dialect_sh, cvy_dialect_argv, cvy_dialect_cmd, cvy_dialect_powershell;

/* The table of COVEY_DIALECT_...; NULL for another number. */
const cvy_dialect *cvy_dialect_find(int dialect);

/* Quotes argv[0] .. argv[count - 1] (borrowed) in dialect, with one blank between, after what out holds. The first word is a head
 * when head is set. A failure's index counts from argv[0]. */
int cvy_quote_words(cvy_str *out, const cvy_dialect *dialect, const char *const *argv, size_t count,
                    bool head);

/* Refuses the first NUL, or byte of refused (a terminated list), in a word; with utf8 set also what is not WTF-8. */
int cvy_quote_check(const char *word, size_t size, const char *refused, bool utf8, int64_t index);

/* POSIX sh: one word; as the head of a line also quoted when it holds `=` or is a reserved word of sh, bash, ksh
 * or zsh. */
int cvy_quote_sh(cvy_str *out, const char *word, size_t size, int64_t index);
int cvy_quote_sh_head(cvy_str *out, const char *word, size_t size, int64_t index);

/* Windows argv: an argument, for the C runtimes of all ages and CommandLineToArgvW alike (backslash style); and argv[0], which is
 * read by another rule: backslashes are literal there, and `"` cannot be carried. */
int cvy_quote_argv(cvy_str *out, const char *word, size_t size, int64_t index);
int cvy_quote_argv0(cvy_str *out, const char *word, size_t size, int64_t index);

/* The whole command line for CreateProcess: argv[0] and count - 1 arguments. ret_line: owned (cvy_free), WTF-8, at most
 * CVY_COMMAND_LINE_MAX units. Errors: COVEY_EUNQUOTABLE, COVEY_EENCODING, COVEY_ETOOBIG, COVEY_EINVAL (count is 0, a NULL in it),
 * COVEY_ENOMEM. */
int cvy_command_line(const char *const *argv, size_t count, char **ret_line);

/* The same with a tail that is passed on as it is, for programs that read their command line by rules of their own: argv[0], one
 * blank, tail (borrowed, size bytes; without size only argv[0]). */
int cvy_command_line_raw(const char *program, const char *tail, size_t size, char **ret_line);

/* cmd.exe, for text behind /c: an argument in doubled-quote style, and the program. NUL, CR and LF are refused; in the program also
 * `"` and a backslash at the end. It holds for any number of parses by cmd.exe (a batch file that forwards %*), as long as command
 * extensions are on and delayed expansion is off. */
int cvy_quote_cmd(cvy_str *out, const char *word, size_t size, int64_t index);
int cvy_quote_cmd_head(cvy_str *out, const char *word, size_t size, int64_t index);

/* Is the program that will be started a batch file, which CreateProcess would hand to cmd.exe unasked? path: borrowed, the full
 * path after our own search. Returns 1 (ends in .bat or .cmd, in ASCII letters of any case: no other character folds onto theirs),
 * 0, or COVEY_EUNQUOTABLE with .offset for names that CreateProcess would read differently from us: a blank or dot at the end (it
 * drops them), `"`, a separator at the end, `:` anywhere but behind a drive letter (streams), a control, `<>|*?` (but for the
 * prefix \\?\); COVEY_EINVAL when it is empty. */
int cvy_is_batch_name(const char *path, size_t size);

/* The whole command line that runs a batch file by cmd.exe (its full path is lpApplicationName; the line begins with `cmd.exe`):
 *   cmd.exe /d /s /e:ON /v:OFF /c ""SCRIPT" ARGUMENTS"
 * no AutoRun, outer quotes by the one fixed rule, extensions on (the guard of `%` needs them), delayed expansion off. A script
 * without directory gets `.\` in front. count arguments, argv[0] not among them; a failure's index is -1 for the script, else that of
 * the argument + 1, as in an argv. ret_line: owned (cvy_free), at most CVY_CMD_LINE_MAX units, else COVEY_ETOOBIG.
 * Refused in the script: `"`, NUL, CR, LF, a backslash at the end, the prefix \\?\ (cmd.exe does not know it). */
int cvy_batch_line(const char *script, const char *const *arguments, size_t count, char **ret_line);

/* PowerShell: a literal, with each of the five characters that PowerShell takes for a single quote doubled; and the same behind the
 * call operator, so that a line can begin with it. */
int cvy_quote_powershell(cvy_str *out, const char *word, size_t size, int64_t index);
int cvy_quote_powershell_head(cvy_str *out, const char *word, size_t size, int64_t index);

/* The operand of powershell -EncodedCommand: base64 over UTF-16LE without a mark; needs no quoting in any parser. ret_text: owned
 * (cvy_free). Refused: NUL, and lone surrogates (PowerShell would put U+FFFD in their place). */
int cvy_powershell_encode(const char *script, size_t size, char **ret_text);

#endif
