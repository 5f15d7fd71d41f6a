/* tests/support/model.h: readers of command lines, written again from their descriptions: what our quoting is judged by where the real
 * program cannot run. Nothing of the library is used here. Also generators of strings for property tests.
 *
 * Sources: learn.microsoft.com, "main function and command-line arguments", CommandLineToArgvW, "cmd"; David Deley, "How Command
 * Line Parameters Are Parsed"; StackOverflow 4094699 (phases of cmd.exe). */
#ifndef COVEY_TESTS_MODEL_H
#define COVEY_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_WORDS 4096
#define MODEL_TEXT  (256 * 1024)

/* Words that a reader found. Large: keep it static. */
typedef struct model_words {
  size_t count;
  const char *word[MODEL_WORDS];
  size_t used;
  char text[MODEL_TEXT];
} model_words;

/* The three readers of a Windows command line; all keep their rule for argv[0]. */
void model_ucrt(const char *line, model_words *ret);
void model_msvcrt(const char *line, model_words *ret);
void model_shell32(const char *line, model_words *ret);

/* Whether words are exactly argv. */
bool model_same(const model_words *words, const char *const *argv, size_t count);

/* How a batch file passes its arguments on to a program. */
enum {
  MODEL_ALL,     /* program %* */
  MODEL_NUMBERS, /* program %1 %2 ... (at most nine) */
  MODEL_BARE,    /* program "%~1" "%~2" ... */
  MODEL_TWICE    /* second.bat %*, which does program %* */
};

/* A variable's value, NULL when it is not defined. name is not terminated. */
typedef const char *model_lookup(const char *name, size_t size);

/* Everything is defined, with a value that breaks out of quotes. */
const char *model_hostile(const char *name, size_t size);

typedef struct model_run {
  bool acted;        /* an operator stood outside quotes: another command, a redirection */
  bool lost;         /* the line ended early, or was too long for cmd.exe */
  model_words words; /* what the program got, argv[0] not among them */
} model_run;

/* What happens when cmd.exe runs text (what stands behind /c, outer quotes gone), which calls a batch file of this kind with count
 * arguments. The first word of text is not looked up. */
void model_cmd(const char *text, int kind, size_t count, model_lookup *lookup, model_run *ret);

/* The text behind /c "..." of a whole command line for cmd.exe /s, copied to ret (size bytes); false when it has no such part. */
bool model_cmd_text(const char *line, char *ret, size_t size);

/* A literal of PowerShell in single quotes. Returns its length in text, or 0 when it does not begin or end as one; *ret_value (size bytes
 * room) gets its value with a NUL. */
size_t model_powershell(const char *text, char *ret_value, size_t size);

/* All strings over an alphabet, by length, the empty one first.
 *   model_strings s = MODEL_STRINGS("ab", 7);
 *   while (model_next(&s)) use(s.text, s.size); */
typedef struct model_strings {
  const char *alphabet;
  size_t max;
  size_t size;
  bool started;
  size_t digit[16];
  char text[17];
} model_strings;
#define MODEL_STRINGS(letters, most)                                                                         \
  {                                                                                                          \
    .alphabet = (letters), .max = (most)                                                                     \
  }
bool model_next(model_strings *s);

/* A fixed sequence of random numbers; seed is any number but 0 and is changed. */
uint32_t model_random(uint64_t *seed);

/* A random string of at most max letters out of alphabet, terminated. Returns its length. */
size_t model_random_string(uint64_t *seed, const char *alphabet, size_t max, char *ret);

#endif
