/* Every function of covey/shell.h, called as nobody should; the texts that no parser can be given. */
#include "support/test.h"

#include <covey/shell.h>

enum { FIRST = COVEY_DIALECT_SH, LAST = COVEY_DIALECT_POWERSHELL };

static char *text;
static char **words;
static size_t count;

static void clear(void)
{
  test_fill(&text, sizeof text);
  test_fill(&words, sizeof words);
  test_fill(&count, sizeof count);
}

static void untouched(void)
{
  CHECK(test_is_filled(&text, sizeof text));
  CHECK(test_is_filled(&words, sizeof words));
  CHECK(test_is_filled(&count, sizeof count));
}

TEST(wrong_shell, dialects)
{
  static const int none[] = {INT_MIN, -1, 0, LAST + 1, INT_MAX};

  clear();
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    CHECK_WRONG(covey_quote(none[i], "a", 1, &text));
    CHECK_WRONG(covey_join(none[i], TEST_WORDS("a"), 1, &text));
    CHECK_WRONG(covey_split(none[i], "a", 1, &words, &count));
  }
  CHECK_ERR(covey_split(COVEY_DIALECT_CMD, "a", 1, &words, &count), COVEY_ENOTSUP);
  CHECK_ERR(covey_split(COVEY_DIALECT_POWERSHELL, "a", 1, &words, &count), COVEY_ENOTSUP);
  untouched();
}

TEST(wrong_shell, null_and_empty)
{
  for (int d = FIRST; d <= LAST; d++) {
    bool splits = d <= COVEY_DIALECT_ARGV;

    clear();
    CHECK_WRONG(covey_quote(d, NULL, 1, &text));
    CHECK_WRONG(covey_quote(d, NULL, SIZE_MAX, &text));
    CHECK_WRONG(covey_quote(d, "a", 1, NULL));
    CHECK_WRONG(covey_join(d, NULL, 1, &text));
    CHECK_WRONG(covey_join(d, NULL, SIZE_MAX, &text));
    CHECK_WRONG(covey_join(d, TEST_WORDS("a"), 2, &text));
    CHECK_INT(covey_last_failure()->index, 1);
    CHECK_WRONG(covey_join(d, TEST_WORDS("a"), 1, NULL));
    if (splits) {
      CHECK_WRONG(covey_split(d, NULL, 1, &words, &count));
      CHECK_WRONG(covey_split(d, NULL, SIZE_MAX, &words, &count));
      CHECK_WRONG(covey_split(d, "a", 1, NULL, &count));
    }
    untouched();
    REQUIRE_OK(covey_quote(d, NULL, 0, &text)); /* the empty word, which is a word */
    CHECK(text[0] != '\0');
    covey_free(text);
    REQUIRE_OK(covey_join(d, NULL, 0, &text));
    CHECK_STR(text, "");
    covey_free(text);
    if (!splits) continue;
    REQUIRE_OK(covey_split(d, NULL, 0, &words, &count));
    CHECK_UINT(count, 0);
    CHECK(words[0] == NULL);
    covey_free(words);
    REQUIRE_OK(covey_split(d, "a", SIZE_MAX, &words, NULL)); /* nobody has to count */
    covey_free(words);
  }
}

/* A NUL within a size that was given: no parser of text can be given it, and nothing is cut at it. */
TEST(wrong_shell, embedded_nul)
{
  for (int d = FIRST; d <= LAST; d++) {
    clear();
    CHECK_ERR(covey_quote(d, "ab\0c", 4, &text), COVEY_EUNQUOTABLE);
    CHECK_INT(covey_last_failure()->offset, 2);
    CHECK_ERR(covey_quote(d, "\0", 1, &text), COVEY_EUNQUOTABLE);
    CHECK_INT(covey_last_failure()->offset, 0);
    if (d <= COVEY_DIALECT_ARGV) {
      CHECK_WRONG(covey_split(d, "a b\0c", 5, &words, &count));
      CHECK_INT(covey_last_failure()->offset, 3);
    }
    untouched();
  }
}

/* Bytes that are no text: sh takes any, the others are of Windows, where everything is UTF-16. The same on every system. */
TEST(wrong_shell, encoding)
{
  const char *const bad[] = {"p", "ok", "ab\xff"};

  for (int d = FIRST; d <= LAST; d++) {
    clear();
    if (d == COVEY_DIALECT_SH) {
      REQUIRE_OK(covey_quote(d, bad[2], 3, &text));
      CHECK_STR(text, "'ab\xff'");
      covey_free(text);
      continue;
    }
    CHECK_ERR(covey_quote(d, bad[2], 3, &text), COVEY_EENCODING);
    CHECK_INT(covey_last_failure()->offset, 2);
    CHECK_ERR(covey_join(d, bad, 3, &text), COVEY_EENCODING);
    CHECK_INT(covey_last_failure()->index, 2);
    CHECK_INT(covey_last_failure()->offset, 2);
    if (d == COVEY_DIALECT_ARGV) {
      CHECK_ERR(covey_split(d, "x ab\xff", 5, &words, &count), COVEY_EENCODING);
      CHECK_INT(covey_last_failure()->offset, 4);
    }
    untouched();
  }
}

TEST(wrong_shell, commands)
{
  const covey_process_options own[] = {{.argv = TEST_WORDS("x")}, {.file = ""}, {.command = "y"}};
  covey_process *p;
  covey_exit e;
  covey_result r;

  test_fill(&p, sizeof p);
  test_fill(&e, sizeof e);
  test_fill(&r, sizeof r);
  CHECK_WRONG(covey_shell(NULL, NULL, &p));
  CHECK_WRONG(covey_shell("x", NULL, NULL));
  CHECK_WRONG(covey_shell_run(NULL, NULL, &e));
  CHECK_WRONG(covey_shell_exec(NULL, NULL, &r));
  CHECK_WRONG(covey_shell_exec("x", NULL, NULL));
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    CHECK_WRONG(covey_shell("x", &own[i], &p));
    CHECK_WRONG(covey_shell_run("x", &own[i], &e));
    CHECK_WRONG(covey_shell_exec("x", &own[i], &r));
  }
  CHECK_WRONG(covey_shell_exec("x", &(covey_process_options){.shell = 99}, &r));
  CHECK_WRONG(covey_shell_exec("x", &(covey_process_options){.shell = -1}, &r));
  if (!test_is_windows())
    CHECK_ERR(covey_shell_exec("x", &(covey_process_options){.shell = COVEY_SHELL_CMD}, &r), COVEY_ENOTSUP);
  CHECK(test_is_filled(&p, sizeof p) && test_is_filled(&e, sizeof e) && test_is_filled(&r, sizeof r));
  REQUIRE_OK(covey_shell_exec("", NULL, &r)); /* a command that does nothing */
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_STR(r.out, "");
  covey_result_free(&r);
}

TEST(wrong_shell, which)
{
  clear();
  CHECK_WRONG(covey_which(NULL, NULL, &text));
  CHECK_WRONG(covey_which("", NULL, &text));
  CHECK_WRONG(covey_which("x", NULL, NULL));
  CHECK_ERR(covey_which("covey-has-no-such-program", NULL, &text), COVEY_ENOTFOUND);
  CHECK_ERR(covey_which("covey-has-no-such-program", "", &text), COVEY_ENOTFOUND);
  CHECK_STR(covey_last_failure()->what, "covey-has-no-such-program");
  CHECK_ERR(covey_which("ab\xff", NULL, &text), test_is_windows() ? COVEY_EENCODING : COVEY_ENOTFOUND);
  CHECK_ERR(covey_which(test_temp_dir(), NULL, &text), COVEY_EACCES); /* a folder */
  untouched();
}
