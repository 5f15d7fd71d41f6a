#include "support/model.h"
#include "support/test.h"

#include <covey/process.h>
#include <covey/shell.h>

/* Arguments on their whole way: quoted by the library, read by the system's shells and by the C runtime of a real child. */

enum { MOST = 400 };

/* Words for one child; argv[0] is the helper and argv[1] what it does. */
typedef struct list {
  const char *argv[MOST + 3];
  size_t count;
} list;

static void begin(list *l)
{
  l->argv[0] = test_helper();
  l->argv[1] = "args-hex";
  l->argv[2] = NULL;
  l->count = 2;
}

static void put(list *l, const char *word)
{
  REQUIRE(l->count < MOST + 2);
  l->argv[l->count++] = test_format("%s", word);
  l->argv[l->count] = NULL;
}

/* What the helper prints for the words behind args-hex. */
static char *expected(const list *l)
{
  static char text[256 * 1024];
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 2; i < l->count; i++) {
    size_t size = strlen(l->argv[i]);
    REQUIRE(used + 2 * size + 32 < sizeof text);
    used += (size_t)snprintf(text + used, sizeof text - used, "[%u]", (unsigned)size);
    for (size_t k = 0; k < size; k++)
      used += (size_t)snprintf(text + used, sizeof text - used, "%02x", (unsigned char)l->argv[i][k]);
    used += (size_t)snprintf(text + used, sizeof text - used, "\n");
  }
  return text;
}

static void check_same(const char *got, const char *wanted, const char *what)
{
  size_t at = 0;
  while (got[at] && got[at] == wanted[at]) at++;
  if (got[at] || wanted[at])
    TEST_FAIL("%s: different at %u: got %.80s, wanted %.80s", what, (unsigned)at, got + at, wanted + at);
}

/* The child printed its command line: UCRT would find the words of l in it. The parser of old programs, which the helper has too,
 * would not, where cmd.exe was between. */
static void check_line(const char *line, const list *l, const char *what)
{
  static model_words words;
  list got;
  model_ucrt(line, &words);
  begin(&got);
  for (size_t i = 2; i < words.count; i++) put(&got, words.word[i]);
  char *found = test_format("%s", expected(&got));
  check_same(found, expected(l), what);
}

static void check_run(const list *l)
{
  covey_result r;
  REQUIRE_OK(covey_run(
      &(covey_process_options){.argv = l->argv, .out.kind = COVEY_STDIO_CAPTURE, .timeout = 60000}, &r));
  check_same(r.out, expected(l), "run");
  covey_result_free(&r);
}

static const char *const hostile[] = {"",
                                      " ",
                                      "a b",
                                      "\"",
                                      "\\",
                                      "\\\\",
                                      "a\\",
                                      "a b\\",
                                      "\"a\"",
                                      "\\\"",
                                      "a\"b c",
                                      "'",
                                      "it's",
                                      "$x",
                                      "`x`",
                                      "*",
                                      "?",
                                      "*.c",
                                      "[a]",
                                      "{a,b}",
                                      "~",
                                      "#x",
                                      "!x",
                                      "a=b",
                                      "=x",
                                      "-x",
                                      "--",
                                      "/c",
                                      "a;b",
                                      "a|b",
                                      "a&b",
                                      "a>b<c",
                                      "(x)",
                                      "^",
                                      "^a",
                                      "a,b",
                                      "@x",
                                      "\xC3\xA4\xE2\x82\xAC",
                                      "\xF0\x9F\x98\x80",
                                      "a\tb",
                                      "\x01\x7F",
                                      "'\\''",
                                      "\"\"\"",
                                      "& echo INJECTED",
                                      "\"&echo INJECTED",
                                      "'; echo INJECTED #",
                                      "$(echo INJECTED)",
                                      "`echo INJECTED`"};
enum { HOSTILE = sizeof hostile / sizeof *hostile };

TEST_LIMIT(quoting, arguments_reach_a_child, 120)
{
  list l;
  begin(&l);
  for (size_t i = 0; i < HOSTILE; i++) put(&l, hostile[i]);
  put(&l, "a\nb\r\nc");
  put(&l, "%PATH%");
  check_run(&l);
  begin(&l);
  model_strings s = MODEL_STRINGS(" a\"\\'", 3);
  while (model_next(&s)) put(&l, s.text);
  check_run(&l);
  uint64_t seed = 31337;
  for (int i = 0; i < 10; i++) {
    char word[200];
    begin(&l);
    for (int k = 0; k < 60; k++) {
      model_random_string(&seed, "  \"\"\\\\\\\\\ta\n*?'`$^&|<>(){}[]=,;!#~@%", sizeof word - 1, word);
      put(&l, word);
    }
    check_run(&l);
  }
}

/* wine's cmd.exe expands percent signs by other rules than Windows', and takes the quotes out of "%~1" wrongly. */
static bool fair(const char *word, bool bare)
{
  return !test_is_wine() || (!strchr(word, '%') && !(bare && strchr(word, '"')));
}

static void check_shell(list *l)
{
  covey_result r;
  char *line;
  if (test_is_windows()) l->argv[1] = "command-line";
  int dialect = test_is_windows() ? COVEY_DIALECT_CMD : COVEY_DIALECT_SH;
  REQUIRE_OK(covey_join(dialect, l->argv, l->count, &line));
  REQUIRE_OK(covey_shell_exec(line, &(covey_process_options){.timeout = 60000}, &r));
  CHECK_STR(r.err, "");
  if (test_is_windows())
    check_line(r.out, l, "shell");
  else
    check_same(r.out, expected(l), "shell");
  covey_result_free(&r);
  covey_free(line);
}

TEST_LIMIT(quoting, joined_lines_run_in_the_system_shell, 120)
{
  list l;
  begin(&l);
  for (size_t i = 0; i < HOSTILE; i++)
    if (fair(hostile[i], false)) put(&l, hostile[i]);
  check_shell(&l);
  uint64_t seed = 4242;
  for (int i = 0; i < 10; i++) {
    char word[100];
    begin(&l);
    for (int k = 0; k < 30; k++) {
      model_random_string(&seed, "  \"\"\\\\\\\\\ta*?'`$^&|<>(){}[]=,;!#~@%", sizeof word - 1, word);
      if (fair(word, false)) put(&l, word);
    }
    check_shell(&l);
  }
}

/* Gives every hostile word to a batch file that passes eight arguments on in its own way. */
static void check_batch(const char *name, const char *how, bool bare)
{
  const char *const more[] = {
      "%",       "%%",   "50%", "%FOO%", "%FOO^%", "^%FOO^%", "%CMDCMDLINE:~-1%&echo INJECTED",
      "%cd:~,%", "%cd%", "%1",  "%*"};
  const size_t words = HOSTILE + sizeof more / sizeof *more;
  char *text = test_format("@\"%s\" command-line %s\r\n", test_helper(), how);
  char *script = test_format("%s/%s.bat", test_temp_dir(), name);
  test_write_file(script, text, strlen(text));
  for (size_t i = 0; i < words;) {
    list l;
    begin(&l);
    l.argv[1] = script;
    for (; i < words && l.count < 10; i++) {
      const char *word = i < HOSTILE ? hostile[i] : more[i - HOSTILE];
      if (fair(word, bare)) put(&l, word);
    }
    while (l.count < 10) put(&l, "end");
    covey_result r;
    const char *const env[] = {"FOO=\"&echo INJECTED&\"", "FOO^=caret", NULL};
    REQUIRE_OK(covey_run(&(covey_process_options){.argv = l.argv + 1,
                                                  .flags = COVEY_PROCESS_BATCH,
                                                  .env = env,
                                                  .out.kind = COVEY_STDIO_CAPTURE,
                                                  .timeout = 60000},
                         &r));
    check_line(r.out, &l, test_format("%s, words up to %u", name, (unsigned)i));
    covey_result_free(&r);
  }
}

TEST_LIMIT(quoting, batch_files_pass_arguments_on, 300)
{
  if (!test_is_windows()) TEST_SKIP("batch files are of Windows");
  check_batch("all", "%*", false);
  check_batch("numbers", "%1 %2 %3 %4 %5 %6 %7 %8", false);
  check_batch("bare", "\"%~1\" \"%~2\" \"%~3\" \"%~4\" \"%~5\" \"%~6\" \"%~7\" \"%~8\"", true);
}
