#include "support/model.h"
#include "support/test.h"

#include "core/mem.h"

#include <covey/shell.h>

/* Words as one text, each followed by `|`. */
static const char *shown(char **argv, size_t count)
{
  static char text[4096];
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < count; i++)
    used += (size_t)snprintf(text + used, sizeof text - used, "%s|", argv[i]);
  return text;
}

TEST(split, sh_lines)
{
  static const char *const cases[][2] = {
      {"", ""},
      {" \t\n ", ""},
      {"a b", "a|b|"},
      {"  a\tb\nc  ", "a|b|c|"},
      {"''", "|"},
      {"'' \"\"", "||"},
      {"a''b", "ab|"},
      {"a'b c'd", "ab cd|"},
      {"\"a\\\"b\\\\c\\$d\\`e\\f\"", "a\"b\\c$d`e\\f|"},
      {"\"a\\\nb\"", "ab|"},
      {"a\\\nb", "ab|"},
      {"a \\\n b", "a|b|"},
      {"\\\n", ""},
      {"a\\ b", "a b|"},
      {"'a\\b'", "a\\b|"},
      {"'a\\\nb'", "a\\\nb|"},
      {"$x `y` * ~ {a,b}", "$x|`y`|*|~|{a,b}|"},
      {"a;b|c>d #e", "a;b|c>d|#e|"},
      {"a\rb\vc\fd", "a\rb\vc\fd|"},
      {"a\xC2\xA0"
       "b\xFF",
       "a\xC2\xA0"
       "b\xFF|"},
      {"\"'\" '\"'", "'|\"|"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char **argv;
    size_t count;
    REQUIRE_OK(covey_split(COVEY_DIALECT_SH, cases[i][0], SIZE_MAX, &argv, &count));
    CHECK_STR(shown(argv, count), cases[i][1]);
    CHECK(argv[count] == NULL);
    covey_free(argv);
  }
}

TEST(split, sh_refusals_tell_the_place)
{
  static const struct {
    const char *line;
    size_t size;
    int64_t offset;
  } cases[] = {{"a 'b", 4, 2}, {"a \"b", 4, 2}, {"a\\", 2, 1},   {"\"a\\\"", 4, 0}, {"'a'\"b'", 6, 3},
               {"a\0b", 3, 1}, {"'a", 2, 0},    {"\"a\\", 3, 0}, {"'", 1, 0},       {"b \\", 3, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char **argv = NULL;
    size_t count = 99;
    CHECK_ERR(covey_split(COVEY_DIALECT_SH, cases[i].line, cases[i].size, &argv, &count), COVEY_EINVAL);
    CHECK_INT(covey_last_failure()->offset, cases[i].offset);
    CHECK(argv == NULL && count == 99);
  }
}

TEST(split, argv_lines)
{
  static const char *const cases[][2] = {
      {"", ""},
      {"a", "a|"},
      {" a", "|a|"},
      {" ", "|"},
      {"\"\"", "|"},
      {"\"a b\"c d", "a bc|d|"},
      {"a\\\\\"b c\" d", "a\\\\b c|d|"},
      {"p \"abc\" d e", "p|abc|d|e|"},
      {"p a\\\\b d\"e f\"g h", "p|a\\\\b|de fg|h|"},
      {"p a\\\\\\\"b c d", "p|a\\\"b|c|d|"},
      {"p a\\\\\\\\\"b c\" d e", "p|a\\\\b c|d|e|"},
      {"p a\"b\"\" c d", "p|ab\" c d|"},
      {"p \"\"\"x\"\"\"", "p|\"x\"|"},
      {"p \"", "p||"},
      {"p \"a", "p|a|"},
      {"p\t\t a \t", "p|a|"},
      {"p a\nb ^&%", "p|a\nb|^&%|"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char **argv;
    size_t count;
    REQUIRE_OK(covey_split(COVEY_DIALECT_ARGV, cases[i][0], SIZE_MAX, &argv, &count));
    CHECK_STR(shown(argv, count), cases[i][1]);
    CHECK(argv[count] == NULL);
    covey_free(argv);
  }
}

TEST(split, argv_reads_as_the_model_does)
{
  static model_words words;
  model_strings s = MODEL_STRINGS(" a\"\\\t", 7);
  while (model_next(&s) && !test_failures()) {
    char line[32], **argv;
    size_t count;
    snprintf(line, sizeof line, "x%s", s.text);
    model_ucrt(line, &words);
    REQUIRE_OK(covey_split(COVEY_DIALECT_ARGV, line, SIZE_MAX, &argv, &count));
    if (!model_same(&words, (const char *const *)argv, count))
      TEST_FAIL("[%s]: %s", line, shown(argv, count));
    covey_free(argv);
  }
}

TEST(split, argv_refusals)
{
  char **argv = NULL;
  CHECK_ERR(covey_split(COVEY_DIALECT_ARGV, "a \xFF", 3, &argv, NULL), COVEY_EENCODING);
  CHECK_INT(covey_last_failure()->offset, 2);
  CHECK_ERR(covey_split(COVEY_DIALECT_ARGV, "a\0b", 3, &argv, NULL), COVEY_EINVAL);
  CHECK_INT(covey_last_failure()->offset, 1);
  CHECK_ERR(covey_split(COVEY_DIALECT_CMD, "a", 1, &argv, NULL), COVEY_ENOTSUP);
  CHECK_ERR(covey_split(COVEY_DIALECT_POWERSHELL, "a", 1, &argv, NULL), COVEY_ENOTSUP);
  CHECK(argv == NULL);
}

TEST(split, long_lines_take_linear_time)
{
  const size_t most = test_is_slow() ? 1 << 20 : 8 << 20;
  char *line = malloc(most);
  REQUIRE(line != NULL);
  static const char *const fills[] = {"'' ", "a ", "\\\n", "\"\\\\\"", "\\\\", "''", "' '"};
  for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
    size_t unit = strlen(fills[f]), size = most / unit * unit;
    for (size_t i = 0; i < size; i++) line[i] = fills[f][i % unit];
    char **argv;
    int64_t start = test_now();
    REQUIRE_OK(covey_split(COVEY_DIALECT_SH, line, size, &argv, NULL));
    covey_free(argv);
    REQUIRE_OK(covey_split(COVEY_DIALECT_ARGV, line, size, &argv, NULL));
    covey_free(argv);
    CHECK(test_now() - start < 10000);
  }
  free(line);
}

TEST(split, no_memory)
{
  for (int dialect = COVEY_DIALECT_SH; dialect <= COVEY_DIALECT_ARGV; dialect++)
    for (int64_t n = 1;; n++) {
      char **argv = NULL;
      cvy_mem_fail_after(n);
      int r =
          covey_split(dialect, "a word or two, and so on until more room is needed", SIZE_MAX, &argv, NULL);
      if (r == 0) {
        CHECK(n > 2);
        covey_free(argv);
        break;
      }
      CHECK_INT(r, COVEY_ENOMEM);
      CHECK(argv == NULL);
    }
  cvy_mem_fail_after(0);
}
