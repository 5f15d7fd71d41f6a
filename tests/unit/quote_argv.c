#include "support/model.h"
#include "support/test.h"

#include "core/mem.h"
#include "core/quote.h"

#include <covey/shell.h>

static model_words words;

/* All readers of a Windows command line must find the same words in it. */
static bool all_agree(const char *line, const char *const *argv, size_t count)
{
  static void (*const readers[])(const char *, model_words *) = {model_ucrt, model_msvcrt, model_shell32};
  for (size_t i = 0; i < 3; i++) {
    readers[i](line, &words);
    if (!model_same(&words, argv, count)) {
      TEST_FAIL("reader %d finds other words in %.200s", (int)i, line);
      return false;
    }
  }
  return true;
}

static bool comes_back(const char *const *argv, size_t count)
{
  char *line, **back;
  size_t found;
  REQUIRE_OK(cvy_command_line(argv, count, &line));
  bool ok = all_agree(line, argv, count);
  REQUIRE_OK(covey_split(COVEY_DIALECT_ARGV, line, SIZE_MAX, &back, &found));
  ok = ok && found == count;
  for (size_t i = 0; ok && i < count; i++) ok = !strcmp(back[i], argv[i]);
  if (!ok) TEST_FAIL("[%.200s] does not come back", line);
  covey_free(back);
  cvy_free(line);
  return ok;
}

TEST(quote_argv, every_short_argument_comes_back)
{
  model_strings s = MODEL_STRINGS(" a\"\\\t", 7);
  while (model_next(&s))
    if (!comes_back((const char *const[]){"p", s.text}, 2)) return;
}

TEST(quote_argv, short_lists_come_back)
{
  model_strings a = MODEL_STRINGS(" a\"\\*", 3);
  while (model_next(&a)) {
    model_strings b = MODEL_STRINGS(" a\"\\*", 3);
    while (model_next(&b))
      if (!comes_back((const char *const[]){"C:\\a b\\p.exe", a.text, b.text, a.text}, 4)) return;
  }
}

TEST(quote_argv, every_program_name_without_a_quote_comes_back)
{
  model_strings s = MODEL_STRINGS(" a\\\t", 7);
  while (model_next(&s)) {
    char *line;
    REQUIRE_OK(cvy_command_line((const char *const[]){s.text, "a b"}, 2, &line));
    bool ok = all_agree(line, (const char *const[]){s.text, "a b"}, 2);
    cvy_free(line);
    if (!ok) return;
  }
}

TEST(quote_argv, random_lists_come_back)
{
  static const char alphabet[] = "  \"\"\\\\\\\ta\nb\r\x01~*?[]{}()<>&|^%!'`=,;#$@+-./:\x7F\xC3\xA4";
  static char texts[8][800];
  uint64_t seed = 4711;
  for (int i = 0; i < 1000; i++) {
    const char *argv[9] = {"p"};
    size_t count = 1 + model_random(&seed) % 8;
    for (size_t k = 1; k <= count; k++) {
      size_t size = model_random_string(&seed, alphabet, 799, texts[k - 1]);
      for (size_t at = 0; at < size; at++) /* only whole letters */
        if ((unsigned char)texts[k - 1][at] >= 0x80) texts[k - 1][at] = '"';
      argv[k] = texts[k - 1];
    }
    if (!comes_back(argv, count + 1)) return;
  }
}

TEST(quote_argv, words)
{
  static const char *const cases[][2] = {{"", "\"\""},
                                         {"a", "a"},
                                         {"a b", "\"a b\""},
                                         {"a\"b", "\"a\\\"b\""},
                                         {"a\\b", "a\\b"},
                                         {"a\\", "a\\"},
                                         {"a b\\", "\"a b\\\\\""},
                                         {"\\\"", "\"\\\\\\\"\""},
                                         {"\"a\"", "\"\\\"a\\\"\""},
                                         {"*.c", "\"*.c\""},
                                         {"\xC3\xA4", "\xC3\xA4"},
                                         {"\n", "\"\n\""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text;
    REQUIRE_OK(covey_quote(COVEY_DIALECT_ARGV, cases[i][0], SIZE_MAX, &text));
    CHECK_STR(text, cases[i][1]);
    covey_free(text);
  }
}

TEST(quote_argv, refusals_tell_word_and_place)
{
  static const struct {
    const char *argv[3];
    int code;
    int64_t index, offset;
  } cases[] = {{{"p\"x", "a", "b"}, COVEY_EUNQUOTABLE, 0, 1},
               {{"p", "a", "b\xFF"}, COVEY_EENCODING, 2, 1},
               {{"\xC0\x80", "a", "b"}, COVEY_EENCODING, 0, 0},
               {{"p", "ok\xED\xA0\x80\xED\xB0\x80", "b"}, COVEY_EENCODING, 1, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = NULL;
    CHECK_ERR(covey_join(COVEY_DIALECT_ARGV, cases[i].argv, 3, &text), cases[i].code);
    CHECK_INT(covey_last_failure()->index, cases[i].index);
    CHECK_INT(covey_last_failure()->offset, cases[i].offset);
    CHECK_ERR(cvy_command_line(cases[i].argv, 3, &text), cases[i].code);
    CHECK_INT(covey_last_failure()->index, cases[i].index);
    CHECK(text == NULL);
  }
  char *text = NULL;
  CHECK_ERR(covey_quote(COVEY_DIALECT_ARGV, "a\0b", 3, &text), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 1);
  CHECK_ERR(cvy_command_line(NULL, 0, &text), COVEY_EINVAL);
  CHECK_ERR(cvy_command_line((const char *const[]){"p", NULL}, 2, &text), COVEY_EINVAL);
  CHECK_INT(covey_last_failure()->index, 1);
  CHECK(text == NULL);
}

TEST(quote_argv, a_lone_surrogate_is_a_character)
{
  char *text;
  REQUIRE_OK(covey_quote(COVEY_DIALECT_ARGV, "\xED\xA0\x80 ", 4, &text));
  CHECK_STR(text, "\"\xED\xA0\x80 \"");
  covey_free(text);
}

/* A line of exactly size UTF-16 units: p, a blank, an argument of letters that take bytes bytes and units units each. */
static int line_of(size_t size, const char *letter, size_t units, char **ret_line)
{
  static char argument[140000];
  size_t used = 0;
  for (size_t i = 0; i + 2 < size; i += units)
    used += (size_t)snprintf(argument + used, sizeof argument - used, "%s", letter);
  return cvy_command_line((const char *const[]){"p", argument}, 2, ret_line);
}

TEST(quote_argv, the_limit_counts_utf16_units)
{
  static const struct {
    const char *letter;
    size_t units;
  } cases[] = {{"a", 1}, {"\xC3\xA4", 1}, {"\xE2\x82\xAC", 1}, {"\xF0\x9F\x98\x80", 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *line = NULL;
    REQUIRE_OK(line_of(32766, cases[i].letter, cases[i].units, &line));
    cvy_free(line);
    line = NULL;
    CHECK_ERR(line_of(32767, cases[i].letter, cases[i].units, &line), COVEY_ETOOBIG);
    CHECK(line == NULL);
  }
}

TEST(quote_argv, a_raw_tail_is_left_alone)
{
  char *line;
  static const char tail[] = "/x \"a b\" \\\\\" %y%";
  REQUIRE_OK(cvy_command_line_raw("C:\\a b\\msiexec.exe", tail, sizeof tail - 1, &line));
  CHECK_STR(line, "\"C:\\a b\\msiexec.exe\" /x \"a b\" \\\\\" %y%");
  cvy_free(line);
  REQUIRE_OK(cvy_command_line_raw("p", NULL, 0, &line));
  CHECK_STR(line, "p");
  cvy_free(line);
  line = NULL;
  CHECK_ERR(cvy_command_line_raw("p", "a\0b", 3, &line), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->index, 1);
  CHECK_INT(covey_last_failure()->offset, 1);
  CHECK_ERR(cvy_command_line_raw("p", "\xFF", 1, &line), COVEY_EENCODING);
  CHECK_ERR(cvy_command_line_raw("p\"", "a", 1, &line), COVEY_EUNQUOTABLE);
  CHECK(line == NULL);
}

TEST(quote_argv, backslashes_take_linear_time)
{
  enum { SIZE = 4 << 20 };
  char *word = malloc(SIZE), *text;
  REQUIRE(word != NULL);
  memset(word, '\\', SIZE);
  word[SIZE - 2] = '"';
  for (int dialect = COVEY_DIALECT_SH; dialect <= COVEY_DIALECT_POWERSHELL; dialect++) {
    int64_t start = test_now();
    REQUIRE_OK(covey_quote(dialect, word, SIZE, &text));
    CHECK(strlen(text) >= SIZE);
    CHECK(test_now() - start < 10000);
    covey_free(text);
  }
  free(word);
}

TEST(quote_argv, the_models_differ_where_the_parsers_do)
{
  model_ucrt("p a\"b\"\" c d", &words);
  CHECK(model_same(&words, (const char *const[]){"p", "ab\" c d"}, 2));
  model_shell32("p a\"b\"\" c d", &words);
  CHECK(model_same(&words, (const char *const[]){"p", "ab\"", "c", "d"}, 4));
  model_msvcrt("\"p\"q r", &words);
  CHECK(model_same(&words, (const char *const[]){"pq", "r"}, 2));
  model_shell32("\"p\"q r", &words);
  CHECK(model_same(&words, (const char *const[]){"p", "q", "r"}, 3));
}
