#include "support/model.h"
#include "support/test.h"

#include "core/mem.h"
#include "core/quote.h"

#include <covey/shell.h>

static model_run run;

static const char *two_variables(const char *name, size_t size)
{
  if (size == 11 && !memcmp(name, "CMDCMDLINE", 10)) return NULL;
  if (size == 10 && !memcmp(name, "CMDCMDLINE", 10)) return "cmd.exe /c \"x\"";
  if (size == 3 && !memcmp(name, "FOO", 3)) return "\"&calc&\"";
  if (size == 4 && !memcmp(name, "FOO^", 4)) return "caret";
  if (size == 2 && !memcmp(name, "cd", 2)) return "C:\\a & b";
  return NULL;
}

/* Runs a line for cmd.exe through a batch file of each kind; the program must get arguments unchanged and nothing may act. */
static bool safe(const char *text, const char *const *arguments, size_t count)
{
  static model_lookup *const lookups[] = {model_hostile, two_variables};
  for (int kind = MODEL_ALL; kind <= MODEL_TWICE; kind++)
    for (size_t i = 0; i < 2; i++) {
      model_cmd(text, kind, count, lookups[i], &run);
      if (!run.acted && !run.lost && model_same(&run.words, arguments, count)) continue;
      TEST_FAIL("kind %d, environment %d: %s%s: %s", kind, (int)i, run.acted ? "acted " : "",
                run.lost ? "lost " : "", text);
      return false;
    }
  return true;
}

static bool batch_safe(const char *script, const char *const *arguments, size_t count)
{
  static char text[16384];
  char *line;
  REQUIRE_OK(cvy_batch_line(script, arguments, count, &line));
  REQUIRE(model_cmd_text(line, text, sizeof text));
  bool ok = safe(text, arguments, count);
  cvy_free(line);
  return ok;
}

/* All of them, or one of 13 where code is slow. */
static bool is_due(void)
{
  static unsigned seen;
  return !test_is_slow() || seen++ % 13 == 0;
}

TEST(quote_cmd, every_short_argument_arrives)
{
  model_strings s = MODEL_STRINGS(" a\"\\^&%", 6);
  while (model_next(&s))
    if (is_due() && !batch_safe("C:\\x y\\z.bat", (const char *const[]){s.text}, 1)) return;
}

TEST(quote_cmd, every_argument_of_seven_arrives)
{
  model_strings s = MODEL_STRINGS(" \"\\&%", 7);
  while (model_next(&s))
    if (s.size == 7 && is_due() && !batch_safe("z.cmd", (const char *const[]){s.text}, 1)) return;
}

TEST(quote_cmd, short_lists_arrive)
{
  model_strings a = MODEL_STRINGS(" \"\\&%a", 2);
  while (model_next(&a)) {
    model_strings b = MODEL_STRINGS(" \"\\&%a", 2);
    while (model_next(&b)) {
      const char *list[3] = {a.text, b.text, a.text};
      char *text;
      if (!batch_safe("C:\\z.bat", list, 3)) return;
      const char *joined[4] = {"C:\\z.bat", a.text, b.text, a.text};
      REQUIRE_OK(covey_join(COVEY_DIALECT_CMD, joined, 4, &text));
      bool ok = safe(text, list, 3);
      covey_free(text);
      if (!ok) return;
    }
  }
}

TEST(quote_cmd, random_lists_arrive)
{
  static const char *const pieces[] = {"\"",       "\\",
                                       "%",        "&calc.exe",
                                       "^",        "%FOO%",
                                       "%FOO^%",   "%%",
                                       " ",        "!FOO!",
                                       "|",        ">x",
                                       "(",        ")",
                                       "\t",       ",",
                                       ";",        "=",
                                       "a",        "%cd%",
                                       "%cd:~,%",  "%CMDCMDLINE:~-1%",
                                       "\xC2\xA0", "\xC3\xA4",
                                       "'",        "`",
                                       "@",        "\v",
                                       "\x1A",     "%1",
                                       "%*",       "%~1",
                                       "~",        "*",
                                       ":"};
  uint64_t seed = 99;
  for (int i = 0; i < 20000; i++) {
    char texts[9][128];
    const char *list[9];
    size_t count = 1 + model_random(&seed) % 9;
    for (size_t k = 0; k < count; k++) {
      texts[k][0] = '\0';
      for (uint32_t n = model_random(&seed) % 6; n; n--)
        strcat(texts[k], pieces[model_random(&seed) % (sizeof pieces / sizeof *pieces)]);
      list[k] = texts[k];
    }
    if (is_due() && !batch_safe("C:\\Program Files (x86)\\a&b\\100%\\%FOO%\\run.cmd", list, count)) return;
  }
}

TEST(quote_cmd, the_model_sees_attacks)
{
  /* quoted for a Windows program only */
  model_cmd("\"z.bat\" \"\\\"&calc.exe\"", MODEL_ALL, 1, two_variables, &run);
  CHECK(run.acted);
  /* a caret protects one parse, not the second one */
  model_cmd("\"z.bat\" ^\"\\^\"^&calc.exe^\"", MODEL_ALL, 1, two_variables, &run);
  CHECK(run.acted);
  /* percent signs as they are */
  model_cmd("\"z.bat\" \"%CMDCMDLINE:~-1%&calc.exe\"", MODEL_ALL, 1, two_variables, &run);
  CHECK(run.acted);
  model_cmd("\"z.bat\" \"%FOO%\"", MODEL_NUMBERS, 1, two_variables, &run);
  CHECK(run.acted);
  model_cmd("\"z.bat\" ^%FOO^%", MODEL_ALL, 1, two_variables, &run);
  CHECK(model_same(&run.words, (const char *const[]){"caret"}, 1));
  /* a newline ends the line */
  model_cmd("\"z.bat\" \"a\nb\"", MODEL_ALL, 1, two_variables, &run);
  CHECK(run.lost);
  /* what parts words for cmd.exe only */
  model_cmd("\"z.bat\" a,b", MODEL_NUMBERS, 1, two_variables, &run);
  CHECK(!model_same(&run.words, (const char *const[]){"a,b"}, 1));
  model_cmd("\"z.bat\" a\xC2\xA0z", MODEL_NUMBERS, 1, two_variables, &run);
  CHECK(!model_same(&run.words, (const char *const[]){"a\xC2\xA0z"}, 1));
}

TEST(quote_cmd, words)
{
  static const char *const cases[][2] = {{"", "\"\""},
                                         {"a", "a"},
                                         {"a b", "\"a b\""},
                                         {"C:\\x\\y.txt", "C:\\x\\y.txt"},
                                         {"a\\", "\"a\\\\\""},
                                         {"a\"b", "\"a\"\"b\""},
                                         {"a\\\"b", "\"a\\\\\"\"b\""},
                                         {"50%", "\"50%%cd:~,%\""},
                                         {"/v:on", "/v:on"},
                                         {"a=b", "\"a=b\""},
                                         {"*", "\"*\""},
                                         {"\xC3\xA4", "\"\xC3\xA4\""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text;
    REQUIRE_OK(covey_quote(COVEY_DIALECT_CMD, cases[i][0], SIZE_MAX, &text));
    CHECK_STR(text, cases[i][1]);
    covey_free(text);
  }
}

TEST(quote_cmd, the_whole_line)
{
  char *line;
  REQUIRE_OK(cvy_batch_line("x.bat", (const char *const[]){"a", "b c"}, 2, &line));
  CHECK_STR(line, "cmd.exe /d /s /e:ON /v:OFF /c \"\".\\x.bat\" a \"b c\"\"");
  cvy_free(line);
  REQUIRE_OK(cvy_batch_line("C:\\50%\\x.bat", NULL, 0, &line));
  CHECK_STR(line, "cmd.exe /d /s /e:ON /v:OFF /c \"\"C:\\50%%cd:~,%\\x.bat\"\"");
  cvy_free(line);
  REQUIRE_OK(covey_join(COVEY_DIALECT_CMD, (const char *const[]){"call", "x"}, 2, &line));
  CHECK_STR(line, "\"call\" x");
  cvy_free(line);
}

TEST(quote_cmd, refusals_tell_word_and_place)
{
  static const struct {
    const char *script, *argument;
    int code;
    int64_t index, offset;
  } cases[] = {{"a\"b.bat", "x", COVEY_EUNQUOTABLE, -1, 1},
               {"a\\", "x", COVEY_EUNQUOTABLE, -1, 1},
               {"a\n.bat", "x", COVEY_EUNQUOTABLE, -1, 1},
               {"a\r.bat", "x", COVEY_EUNQUOTABLE, -1, 1},
               {"\\\\?\\C:\\a.bat", "x", COVEY_EUNQUOTABLE, -1, 0},
               {"", "x", COVEY_EINVAL, -1, -1},
               {"a.bat", "x\ny", COVEY_EUNQUOTABLE, 1, 1},
               {"a.bat", "xy\r", COVEY_EUNQUOTABLE, 1, 2},
               {"a.bat", "\xFF", COVEY_EENCODING, 1, 0},
               {"\xFF.bat", "x", COVEY_EENCODING, -1, 0}};
  char *line = NULL;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK_ERR(cvy_batch_line(cases[i].script, &cases[i].argument, 1, &line), cases[i].code);
    CHECK_INT(covey_last_failure()->index, cases[i].index);
    CHECK_INT(covey_last_failure()->offset, cases[i].offset);
  }
  CHECK_ERR(covey_quote(COVEY_DIALECT_CMD, "a\0b", 3, &line), COVEY_EUNQUOTABLE);
  CHECK_ERR(covey_quote(COVEY_DIALECT_CMD, "a\nb", 3, &line), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 1);
  CHECK_ERR(covey_join(COVEY_DIALECT_CMD, (const char *const[]){"a\"b", "c"}, 2, &line), COVEY_EUNQUOTABLE);
  CHECK_ERR(covey_join(COVEY_DIALECT_CMD, (const char *const[]){"", "c"}, 2, &line), COVEY_EINVAL);
  CHECK_INT(covey_last_failure()->index, 0);
  CHECK(line == NULL);
}

TEST(quote_cmd, the_limit)
{
  static char argument[8300];
  char *line = NULL;
  REQUIRE_OK(cvy_batch_line("x.bat", NULL, 0, &line));
  size_t room = 8191 - strlen(line) - 1;
  cvy_free(line);
  line = NULL;
  const char *const list[] = {argument};
  memset(argument, 'a', room);
  REQUIRE_OK(cvy_batch_line("x.bat", list, 1, &line));
  CHECK_UINT(strlen(line), 8191);
  cvy_free(line);
  line = NULL;
  argument[room] = 'a';
  CHECK_ERR(cvy_batch_line("x.bat", list, 1, &line), COVEY_ETOOBIG);
  memset(argument, 'a', 8187);
  argument[8187] = '\0';
  REQUIRE_OK(covey_join(COVEY_DIALECT_CMD, (const char *const[]){"x", argument}, 2, &line));
  CHECK_UINT(strlen(line), 8191);
  covey_free(line);
  line = NULL;
  argument[8187] = 'a';
  CHECK_ERR(covey_join(COVEY_DIALECT_CMD, (const char *const[]){"x", argument}, 2, &line), COVEY_ETOOBIG);
  CHECK(line == NULL);
}

TEST(quote_cmd, batch_names)
{
  static const struct {
    const char *path;
    int wanted;
    int64_t offset;
  } cases[] = {
      {"C:\\x.exe", 0, 0},
      {"C:\\x.bat", 1, 0},
      {"C:\\x.CmD", 1, 0},
      {"x.BAT", 1, 0},
      {".bat", 1, 0},
      {"bat", 0, 0},
      {"x.batx", 0, 0},
      {"x.bat\\y", 0, 0},
      {"x.bat.exe", 0, 0},
      {"C:/a b/x.cmd", 1, 0},
      {"\\\\?\\C:\\x.bat", 1, 0},
      {"\\\\server\\share\\x.exe", 0, 0},
      {"C:x.bat", 1, 0},
      {"x.b\xC3\xA4t", 0, 0},
      {"x.c\xCE\x9C"
       "d",
       0, 0},
      {"x.bat ", COVEY_EUNQUOTABLE, 5},
      {"x.bat.", COVEY_EUNQUOTABLE, 5},
      {"x.bat. . ..", COVEY_EUNQUOTABLE, 10},
      {"x.exe.", COVEY_EUNQUOTABLE, 5},
      {"x.bat::$DATA", COVEY_EUNQUOTABLE, 5},
      {"C:\\x.bat:y", COVEY_EUNQUOTABLE, 8},
      {"1:x", COVEY_EUNQUOTABLE, 1},
      {"x\\", COVEY_EUNQUOTABLE, 1},
      {"x.bat/", COVEY_EUNQUOTABLE, 5},
      {"C:", COVEY_EUNQUOTABLE, 1},
      {"a\"b", COVEY_EUNQUOTABLE, 1},
      {"a\tb", COVEY_EUNQUOTABLE, 1},
      {"a<b", COVEY_EUNQUOTABLE, 1},
      {"a>b", COVEY_EUNQUOTABLE, 1},
      {"a|b", COVEY_EUNQUOTABLE, 1},
      {"a*b", COVEY_EUNQUOTABLE, 1},
      {"a?b", COVEY_EUNQUOTABLE, 1},
      {"\\??\\C:\\x.bat", COVEY_EUNQUOTABLE, 1},
      {"//?/C:/x.bat", COVEY_EUNQUOTABLE, 2},
      {"", COVEY_EINVAL, -1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int r = cvy_is_batch_name(cases[i].path, strlen(cases[i].path));
    if (r != cases[i].wanted) TEST_FAIL("\"%s\": %d", cases[i].path, r);
    if (r < 0) CHECK_INT(covey_last_failure()->offset, cases[i].offset);
  }
  CHECK_ERR(cvy_is_batch_name("a\0.bat", 6), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 1);
}

/* No byte behind a batch file's name may hide it: it is a batch file, an error, or truly another name. */
TEST(quote_cmd, no_suffix_hides_a_batch_file)
{
  for (int c = 1; c < 256; c++) {
    char path[16];
    snprintf(path, sizeof path, "C:\\x.bat%c", c);
    int r = cvy_is_batch_name(path, strlen(path));
    bool dropped = c == ' ' || c == '.';
    CHECK(dropped ? r == COVEY_EUNQUOTABLE : r != 1);
  }
}
