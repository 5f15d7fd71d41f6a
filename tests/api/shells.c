#include "support/model.h"
#include "support/test.h"

#include <covey/shell.h>

/* The real shells as judges of quoting, joining and splitting: whatever of them is installed. They run by the support's own means. */

/* ksh is not among them: in some of its kinds printf is a program, and each word would cost a process. */
static const char *const shells[][2] = {{"/bin/sh", NULL},   {"/bin/dash", NULL},
                                        {"/bin/bash", NULL}, {"/bin/busybox", "sh"},
                                        {"/bin/zsh", NULL},  {"/opt/homebrew/bin/bash", NULL}};
#define SHELLS (sizeof shells / sizeof *shells)

/* A text in the making. */
typedef struct text {
  char *data;
  size_t size, capacity;
} text;

static void add(text *t, const char *data, size_t size)
{
  if (t->size + size >= t->capacity) {
    t->capacity = 2 * (t->size + size) + 1024;
    t->data = realloc(t->data, t->capacity);
    REQUIRE(t->data != NULL);
  }
  memcpy(t->data + t->size, data, size);
  t->size += size;
  t->data[t->size] = '\0';
}

static void add_text(text *t, const char *data)
{
  add(t, data, strlen(data));
}

/* Runs script with every shell; each must print wanted and end with 0. Returns how many shells did. */
static int judge(const text *script, const text *wanted)
{
  int judges = 0;
  char *path = test_format("%s/script", test_temp_dir());
  test_write_file(path, script->data, script->size);
  for (size_t i = 0; i < SHELLS; i++) {
    if (!test_file_exists(shells[i][0])) continue;
    const char *argv[4] = {shells[i][0], shells[i][1] ? shells[i][1] : path, shells[i][1] ? path : NULL,
                           NULL};
    test_ended ended = test_run(argv, 60000);
    size_t at = 0;
    while (at < ended.size && at < wanted->size && ended.output[at] == wanted->data[at]) at++;
    if (ended.code != 0 || at != wanted->size || at != ended.size)
      TEST_FAIL("%s: exit %d, %u bytes of %u, different at %u: got %.60s", shells[i][0], (int)ended.code,
                (unsigned)ended.size, (unsigned)wanted->size, (unsigned)at,
                ended.output + (at > 20 ? at - 20 : 0));
    judges++;
  }
  return judges;
}

/* Adds words to a script that prints each with a NUL behind it, and to what it must print. */
static void add_word(text *script, text *wanted, const char *word, size_t size)
{
  static int on_line;
  char *quoted;
  REQUIRE_OK(covey_quote(COVEY_DIALECT_SH, word, size, &quoted));
  add_text(script, on_line++ % 50 ? " " : "\nprintf '%s\\000' ");
  add_text(script, quoted);
  add(wanted, word, size);
  add(wanted, "", 1);
  covey_free(quoted);
}

TEST_LIMIT(shells, read_quoted_words_as_they_were, 240)
{
  if (test_is_windows()) TEST_SKIP("Windows has no POSIX shell of its own");
  text script = {0}, wanted = {0};
  char word[600];
  uint64_t seed = 1776;
  model_strings s = MODEL_STRINGS(" a'\"\\\n$!", 5);
  while (model_next(&s)) add_word(&script, &wanted, s.text, s.size);
  model_strings live = MODEL_STRINGS("=~%^{}[]*?#;&|<>()-+@:`,", 3);
  while (model_next(&live)) add_word(&script, &wanted, live.text, live.size);
  for (int c = 1; c < 256; c++) {
    char pair[2] = {(char)c, (char)model_random(&seed)};
    add_word(&script, &wanted, pair, pair[1] ? 2 : 1);
  }
  for (int i = 0; i < 300; i++) {
    size_t size = model_random(&seed) % sizeof word;
    for (size_t k = 0; k < size; k++) word[k] = (char)(1 + model_random(&seed) % 255);
    add_word(&script, &wanted, word, size);
  }
  add_text(&script, "\n");
  CHECK(judge(&script, &wanted) > 0);
  free(script.data);
  free(wanted.data);
}

TEST_LIMIT(shells, run_the_head_of_a_joined_line, 120)
{
  if (test_is_windows()) TEST_SKIP("Windows has no POSIX shell of its own");
  static const char *const heads[] = {
      "if",    "then", "else",   "elif",    "fi",     "do",        "done",   "case",      "esac", "while",
      "until", "for",  "in",     "time",    "select", "function",  "coproc", "namespace", "{",    "}",
      "!",     "a=b",  "PATH=x", "x+=1",    "~",      "a b",       "#x",     "*",         "it's", "$x",
      "a\nb",  "&",    "repeat", "foreach", "end",    "nocorrect", "=ls"};
  text script = {0}, wanted = {0};
  add_text(&script, "d=");
  add_text(&script, test_temp_dir());
  add_text(&script,
           "/bin\nmkdir -p $d\nprintf '#!/bin/sh\\nprintf \"%%s\\\\000\" \"${0##*/}\" \"$@\"\\n' >$d/run\n"
           "chmod +x $d/run\nexport PATH=\"$d:$PATH\"\n");
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    char *line, *name;
    REQUIRE_OK(covey_quote(COVEY_DIALECT_SH, heads[i], SIZE_MAX, &name));
    REQUIRE_OK(covey_join(COVEY_DIALECT_SH, (const char *const[]){heads[i], heads[i], ""}, 3, &line));
    add_text(&script, test_format("ln -sf run $d/%s\n%s\n", name, line));
    add(&wanted, heads[i], strlen(heads[i]) + 1);
    add(&wanted, heads[i], strlen(heads[i]) + 1);
    add(&wanted, "", 1);
    covey_free(name);
    covey_free(line);
  }
  CHECK(judge(&script, &wanted) > 0);
  free(script.data);
  free(wanted.data);
}

/* The line that letters stand for: n is an escaped newline, d an escaped dollar sign, the rest itself. */
static void spell(const char *letters, char *ret)
{
  for (; *letters; letters++) {
    if (*letters == 'n' || *letters == 'd') *ret++ = '\\';
    *ret++ = *letters == 'n' ? '\n' : *letters == 'd' ? '$' : *letters;
  }
  *ret = '\0';
}

TEST_LIMIT(shells, split_lines_as_we_do, 240)
{
  if (test_is_windows()) TEST_SKIP("Windows has no POSIX shell of its own");
  text script = {0}, wanted = {0};
  size_t lines = 0, refused = 0;
  add_text(&script, "p() { for w do printf '[%s]' \"$w\"; done; printf '\\000'; }\n");
  model_strings s = MODEL_STRINGS(" a'\"\\nd", 5);
  while (model_next(&s)) {
    char line[16], **argv, *quoted;
    size_t count;
    /* a backslash before them would bare the newline or the dollar sign */
    if (strstr(s.text, "\\n") || strstr(s.text, "\\d")) continue;
    spell(s.text, line);
    int r = covey_split(COVEY_DIALECT_SH, line, SIZE_MAX, &argv, &count);
    if (r == 0) {
      lines++;
      add_text(&script, test_format("p %s\n", line));
      for (size_t i = 0; i < count; i++) {
        add_text(&wanted, "[");
        add_text(&wanted, argv[i]);
        add_text(&wanted, "]");
      }
      add(&wanted, "", 1);
      covey_free(argv);
    } else if (s.size <= 3 &&
               line[strlen(line) - 1] != '\\') { /* at the end of a file shells take a backslash for itself */
      refused++;
      REQUIRE_OK(covey_quote(COVEY_DIALECT_SH, line, SIZE_MAX, &quoted));
      add_text(&script, test_format("(eval p %s) >/dev/null 2>&1 && printf accepted\n", quoted));
      covey_free(quoted);
    }
  }
  add_text(&script, "exit 0\n");
  CHECK(lines > 5000 && refused > 100);
  CHECK(judge(&script, &wanted) > 0);
  free(script.data);
  free(wanted.data);
}

static bool system_agrees(const char *const *argv, size_t count)
{
  char *line;
  REQUIRE_OK(covey_join(COVEY_DIALECT_ARGV, argv, count, &line));
  bool same = test_system_reads(line, argv, count) == 1;
  if (!same) TEST_FAIL("CommandLineToArgvW reads other words in %.200s", line);
  covey_free(line);
  return same;
}

TEST_LIMIT(shells, windows_reads_command_lines_as_they_were, 120)
{
  if (test_system_reads("a", (const char *const[]){"a"}, 1) < 0) TEST_SKIP("only Windows has such a reader");
  model_strings s = MODEL_STRINGS(" a\"\\\t", 6);
  while (model_next(&s))
    if (!system_agrees((const char *const[]){"C:\\a b\\p", s.text, s.text}, 3)) return;
  model_strings program = MODEL_STRINGS(" a\\\t", 5);
  while (model_next(&program)) /* an empty line or name is the path of this program for it */
    if (program.size && !system_agrees((const char *const[]){program.text, "x y"}, 2)) return;
  uint64_t seed = 7;
  for (int i = 0; i < 2000; i++) {
    char texts[3][200];
    for (int k = 0; k < 3; k++)
      model_random_string(&seed, " \t\"\"\\\\\\\n\r\x01*?'`^&%!|<>()[]{}=,;~#$aB9", 199, texts[k]);
    if (!system_agrees((const char *const[]){"p", texts[0], texts[1], texts[2]}, 4)) return;
  }
}

TEST_LIMIT(shells, the_model_of_windows_is_right, 120)
{
  if (test_system_reads("a", (const char *const[]){"a"}, 1) < 0) TEST_SKIP("only Windows has such a reader");
  static model_words words;
  model_strings s = MODEL_STRINGS(" a\"\\", 7);
  while (model_next(&s)) {
    if (!s.size) continue;
    model_shell32(s.text, &words);
    if (test_system_reads(s.text, words.word, words.count) != 1) {
      TEST_FAIL("CommandLineToArgvW reads other words in %s", s.text);
      return;
    }
  }
}
