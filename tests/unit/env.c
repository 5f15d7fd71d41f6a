#include "support/model.h"
#include "support/test.h"

#include "core/env.h"
#include "core/env_block.h"
#include "core/fold.h"
#include "core/mem.h"
#include "core/sort.h"

/* The entries, each followed by `;`. */
static const char *shown(char **env)
{
  static char text[4096];
  size_t used = 0;
  text[0] = '\0';
  for (; *env; env++) used += (size_t)snprintf(text + used, sizeof text - used, "%s;", *env);
  return text;
}

static void check_merge(int rules, const char *const *base, const char *const *changes, bool clear,
                        const char *wanted)
{
  char **env;
  size_t count, n = 0;
  REQUIRE_OK(cvy_env_merge(rules, base, changes, clear, &env, &count));
  CHECK_STR(shown(env), wanted);
  while (env[n]) n++;
  CHECK_UINT(count, n);
  cvy_free(env);
}

TEST(env, merge_by_the_rules_of_posix)
{
  check_merge(CVY_ENV_POSIX, NULL, NULL, false, "");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1", "B=2"), NULL, false, "A=1;B=2;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1", "B=2"), TEST_WORDS("B=3"), false, "A=1;B=3;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1", "B=2"), TEST_WORDS("B"), false, "A=1;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1"), TEST_WORDS("A=2", "A", "A=3", "A=4"), false, "A=4;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1"), TEST_WORDS("A=2", "A"), false, "");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1"), TEST_WORDS("A="), false, "A=;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1"), TEST_WORDS("a=2"), false, "A=1;a=2;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1=2"), TEST_WORDS("B=x=y"), false, "A=1=2;B=x=y;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1", "A=2"), NULL, false, "A=1;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1", "A=2"), TEST_WORDS("A=3"), false, "A=3;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("junk", "=x", "", "A=1"), TEST_WORDS("junk=2"), false, "A=1;junk=2;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("A=1", "SystemRoot=x"), TEST_WORDS("B=2"), true, "B=2;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("AB=1", "A=2", "ABC=3"), TEST_WORDS("AB"), false, "A=2;ABC=3;");
  check_merge(CVY_ENV_POSIX, TEST_WORDS("\xFF=\xFE"), TEST_WORDS("\xFE=1"), false, "\xFF=\xFE;\xFE=1;");
}

TEST(env, merge_by_the_rules_of_windows)
{
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("Path=1", "B=2"), TEST_WORDS("PATH=3"), false, "B=2;PATH=3;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("Path=1", "B=2"), TEST_WORDS("path"), false, "B=2;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("=C:=C:\\x", "=ExitCode=0", "A=1"), TEST_WORDS("B=2"), false,
              "=C:=C:\\x;=ExitCode=0;A=1;B=2;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("=C:=C:\\x", "SYSTEMROOT=C:\\W", "A=1"), TEST_WORDS("B=2"), true,
              "SYSTEMROOT=C:\\W;B=2;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("SystemRoot=C:\\W", "A=1"), TEST_WORDS("systemroot"), true, "");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("SystemRoot=C:\\W"), TEST_WORDS("systemroot=D:"), true,
              "systemroot=D:;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("\xC3\xA4=1"), TEST_WORDS("\xC3\x84=2"), false, "\xC3\x84=2;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("\xC9\x90=1"), TEST_WORDS("\xE2\xB1\xAF=2"), false,
              "\xE2\xB1\xAF=2;"); /* U+0250, U+2C6F */
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("PATH=1"), TEST_WORDS("P\xC4\xB1TH=2"), false,
              "PATH=1;P\xC4\xB1TH=2;");
  check_merge(CVY_ENV_WINDOWS, TEST_WORDS("A=\xED\xA0\x80"), NULL, false, "A=\xED\xA0\x80;");
}

TEST(env, merge_refuses_bad_names)
{
  static const struct {
    int rules;
    const char *bad;
    int code;
    int64_t offset;
  } cases[] = {{CVY_ENV_POSIX, "", COVEY_EINVAL, 0},
               {CVY_ENV_POSIX, "=1", COVEY_EINVAL, 0},
               {CVY_ENV_WINDOWS, "", COVEY_EINVAL, 0},
               {CVY_ENV_WINDOWS, "=", COVEY_EINVAL, 0},
               {CVY_ENV_WINDOWS, "=C:=C:\\", COVEY_EINVAL, 0},
               {CVY_ENV_WINDOWS, "=C:", COVEY_EINVAL, 0},
               {CVY_ENV_WINDOWS, "A=\xFF", COVEY_EENCODING, 2},
               {CVY_ENV_WINDOWS, "A\x80", COVEY_EENCODING, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char **env = NULL;
    CHECK_ERR(
        cvy_env_merge(cases[i].rules, TEST_WORDS("X=1"), TEST_WORDS("A=1", cases[i].bad), false, &env, NULL),
        cases[i].code);
    CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_ENVIRONMENT);
    CHECK_INT(covey_last_failure()->index, 1);
    CHECK_INT(covey_last_failure()->offset, cases[i].offset);
    CHECK(env == NULL);
  }
  char **env = NULL;
  CHECK_ERR(cvy_env_merge(CVY_ENV_WINDOWS, TEST_WORDS("X=\xFF"), NULL, false, &env, NULL), COVEY_EENCODING);
  CHECK_INT(covey_last_failure()->index, -1);
}

/* The plain way to say what a merge must give, for POSIX: walk from the end. */
static void check_against_walk(const char *const *base, const char *const *changes)
{
  char **env;
  REQUIRE_OK(cvy_env_merge(CVY_ENV_POSIX, base, changes, false, &env, NULL));
  for (char name = 'A'; name <= 'C'; name++) {
    const char *wanted = NULL;
    for (size_t i = 0; base[i] && !wanted; i++)
      if (base[i][0] == name) wanted = base[i] + 2;
    for (size_t i = 0; changes[i]; i++)
      if (changes[i][0] == name) wanted = changes[i][1] ? changes[i] + 2 : NULL;
    const char *got = cvy_env_get(CVY_ENV_POSIX, (const char *const *)env, (char[]){name, 0});
    size_t times = 0;
    for (size_t i = 0; env[i]; i++) times += env[i][0] == name;
    if ((wanted != NULL) != (got != NULL) || (got && strcmp(got, wanted)) || times > 1)
      TEST_FAIL("%c in %s", name, shown(env));
  }
  cvy_free(env);
}

TEST(env, every_short_pair_of_lists)
{
  static const char *const settings[] = {"A=1", "A=2", "A", "B=1", "B", "C="};
  model_strings s = MODEL_STRINGS("012345", 6);
  while (model_next(&s) && !test_failures())
    for (size_t split = 0; split <= s.size; split++) {
      const char *base[8] = {0}, *changes[8] = {0};
      bool good = true;
      for (size_t i = 0; i < s.size; i++) {
        const char *setting = settings[s.text[i] - '0'];
        if (i < split) good = good && setting[1];
        (i < split ? base : changes)[i < split ? i : i - split] = setting;
      }
      if (good) check_against_walk(base, changes);
    }
}

TEST(env, get)
{
  CHECK(cvy_env_get(CVY_ENV_POSIX, NULL, "A") == NULL);
  CHECK(cvy_env_get(CVY_ENV_POSIX, TEST_WORDS("AB=1", "A"), "A") == NULL);
  CHECK_STR(cvy_env_get(CVY_ENV_POSIX, TEST_WORDS("a=0", "A=1", "A=2"), "A"), "1");
  CHECK_STR(cvy_env_get(CVY_ENV_WINDOWS, TEST_WORDS("Pathx=0", "Path=1"), "PATH"), "1");
  CHECK_STR(cvy_env_get(CVY_ENV_WINDOWS, TEST_WORDS("=C:=C:\\x"), "=c:"), "C:\\x");
  CHECK(cvy_env_get(CVY_ENV_POSIX, TEST_WORDS("Path=1"), "PATH") == NULL);
}

static void check_block(const char *const *env, const char *wanted)
{
  uint16_t *block;
  size_t count;
  char **back;
  REQUIRE_OK(cvy_env_block(env, &block, &count));
  REQUIRE(count >= 2 && block[count - 1] == 0 && block[count - 2] == 0);
  REQUIRE_OK(cvy_env_unblock(block, count, &back, NULL));
  CHECK_STR(shown(back), wanted);
  cvy_free(back);
  REQUIRE_OK(cvy_env_unblock(block, SIZE_MAX, &back, NULL));
  CHECK_STR(shown(back), wanted);
  cvy_free(back);
  cvy_free(block);
}

TEST(env_block, sorted_unique_drives_first)
{
  check_block(NULL, "");
  check_block(TEST_WORDS("b=1", "A=2", "C=3"), "A=2;b=1;C=3;");
  check_block(TEST_WORDS("A=1", "a=2", "A=3", "B=0"), "A=3;B=0;");
  check_block(TEST_WORDS("_=1", "Z=2", "a=3"), "a=3;Z=2;_=1;");
  check_block(TEST_WORDS("A=1", "=D:=D:\\", "0=2", "=C:=C:\\"), "=C:=C:\\;=D:=D:\\;0=2;A=1;");
  check_block(TEST_WORDS("=::=::\\", "==x"), "==x;=::=::\\;");
  check_block(TEST_WORDS("AB=1", "A=2", "A.B=3"), "A=2;A.B=3;AB=1;");
  check_block(TEST_WORDS("A="), "A=;");
  /* by unit, not by code point: the pair D83D DE00 stands before U+FF61 */
  check_block(TEST_WORDS("\xEF\xBD\xA1=1", "\xF0\x9F\x98\x80=2"), "\xF0\x9F\x98\x80=2;\xEF\xBD\xA1=1;");
}

TEST(env_block, the_form_of_a_block)
{
  static const uint16_t wanted[] = {'A', '=', '1', 0, 'B', '=', 0, 0};
  uint16_t *block;
  size_t count;
  REQUIRE_OK(cvy_env_block(TEST_WORDS("B=", "A=1"), &block, &count));
  CHECK_UINT(count, 8);
  CHECK_MEM(block, wanted, sizeof wanted);
  cvy_free(block);
  REQUIRE_OK(cvy_env_block(TEST_WORDS(NULL), &block, &count));
  CHECK_UINT(count, 2);
  CHECK(block[0] == 0 && block[1] == 0);
  cvy_free(block);
}

TEST(env_block, refusals)
{
  static char big[40000];
  uint16_t *block = NULL;
  CHECK_ERR(cvy_env_block(TEST_WORDS("A=1", "B"), &block, NULL), COVEY_EINVAL);
  CHECK_INT(covey_last_failure()->index, 1);
  CHECK_ERR(cvy_env_block(TEST_WORDS("=x"), &block, NULL), COVEY_EINVAL);
  CHECK_ERR(cvy_env_block(TEST_WORDS(""), &block, NULL), COVEY_EINVAL);
  CHECK_ERR(cvy_env_block(TEST_WORDS("A=1", "A=2", "A\xFF=1"), &block, NULL), COVEY_EENCODING);
  CHECK_INT(covey_last_failure()->index, 2);
  CHECK_INT(covey_last_failure()->offset, 1);
  memset(big, 'x', 32769);
  memcpy(big, "A=", 2);
  CHECK_ERR(cvy_env_block(TEST_WORDS(big), &block, NULL), COVEY_ETOOBIG);
  CHECK(block == NULL);
  big[32768] = '\0';
  REQUIRE_OK(cvy_env_block(TEST_WORDS(big), &block, NULL));
  cvy_free(block);
}

TEST(env_block, blocks_without_an_end_are_refused)
{
  static const uint16_t block[] = {'A', '=', '1', 0, 0};
  char **env = NULL;
  for (size_t count = 0; count < 5; count++)
    CHECK_ERR(cvy_env_unblock(block, count, &env, NULL), COVEY_EINVAL);
  CHECK(env == NULL);
  REQUIRE_OK(cvy_env_unblock(block, 5, &env, NULL));
  CHECK_STR(shown(env), "A=1;");
  cvy_free(env);
  REQUIRE_OK(cvy_env_unblock(block + 4, 1, &env, NULL));
  CHECK_STR(shown(env), "");
  cvy_free(env);
}

TEST(env_block, large_environments)
{
  enum { COUNT = 20000 };
  static char texts[COUNT][24];
  static const char *list[COUNT + 1];
  uint64_t seed = 5;
  char **env, **back;
  uint16_t *block;
  size_t count, units;
  for (size_t i = 0; i < COUNT; i++) {
    snprintf(texts[i], sizeof texts[i], "%c%u=%u", model_random(&seed) % 2 ? 'v' : 'V',
             (unsigned)(model_random(&seed) % 5000), (unsigned)i);
    list[i] = texts[i];
  }
  int64_t start = test_now();
  REQUIRE_OK(cvy_env_merge(CVY_ENV_WINDOWS, NULL, list, false, &env, &count));
  REQUIRE_OK(cvy_env_block((const char *const *)env, &block, &units));
  REQUIRE_OK(cvy_env_unblock(block, units, &back, &count));
  CHECK(count > 4000 && count <= 5000);
  for (size_t i = 0; i + 1 < count; i++) {
    char a[24], b[24];
    sscanf(back[i] + 1, "%23[^=]", a);
    sscanf(back[i + 1] + 1, "%23[^=]", b);
    REQUIRE(strcmp(a, b) < 0);
  }
  CHECK(test_now() - start < 5000);
  cvy_free(env);
  cvy_free(back);
  cvy_free(block);
}

TEST(env, no_memory)
{
  for (int64_t n = 1, done = 0; !done; n++) {
    char **env = NULL;
    cvy_mem_fail_after(n);
    int r = cvy_env_merge(CVY_ENV_WINDOWS, TEST_WORDS("A=1", "B=2"), TEST_WORDS("C=3"), false, &env, NULL);
    done = r == 0;
    CHECK(done ? n > 4 : r == COVEY_ENOMEM && !env && covey_last_failure()->code == COVEY_ENOMEM);
    cvy_free(env);
  }
  for (int64_t n = 1, done = 0; !done; n++) {
    uint16_t *block = NULL;
    cvy_mem_fail_after(n);
    int r = cvy_env_block(TEST_WORDS("A=1", "B=2"), &block, NULL);
    done = r == 0;
    CHECK(done ? n > 4 : r == COVEY_ENOMEM && !block && covey_last_failure()->code == COVEY_ENOMEM);
    cvy_free(block);
  }
  for (int64_t n = 1, done = 0; !done; n++) {
    char **env = NULL;
    cvy_mem_fail_after(n);
    int r = cvy_env_unblock((const uint16_t[]){'A', '=', 0, 0}, 4, &env, NULL);
    done = r == 0;
    CHECK(done ? n > 2 : r == COVEY_ENOMEM && !env && covey_last_failure()->code == COVEY_ENOMEM);
    cvy_free(env);
  }
  cvy_mem_fail_after(0);
}

TEST(fold, upper_case)
{
  static const uint16_t cases[][2] = {{'a', 'A'},       {'z', 'Z'},       {'A', 'A'},       {'_', '_'},
                                      {'`', '`'},       {'{', '{'},       {0xDF, 0xDF},     {0xE4, 0xC4},
                                      {0xF7, 0xF7},     {0xFF, 0x178},    {0x131, 0x131},   {0x17F, 0x17F},
                                      {0x101, 0x100},   {0x100, 0x100},   {0x3C3, 0x3A3},   {0x3C2, 0x3C2},
                                      {0x44F, 0x42F},   {0x1E9E, 0x1E9E}, {0x2170, 0x2160}, {0x24D0, 0x24B6},
                                      {0xFF41, 0xFF21}, {0xD800, 0xD800}, {0x212A, 0x212A}, {0x10D0, 0x10D0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) CHECK_UINT(cvy_upper(cases[i][0]), cases[i][1]);
  for (unsigned c = 0; c < 65536; c++) {
    uint16_t up = cvy_upper((uint16_t)c);
    if (cvy_upper(up) != up || (c >= 0x80) != (up >= 0x80)) TEST_FAIL("U+%04X becomes U+%04X", c, up);
  }
}

TEST(fold, windows_agrees)
{
  if (test_system_upper('a') < 0) TEST_SKIP("Windows is not here to ask");
  unsigned different = 0;
  for (unsigned c = 0; c < 65536; c++) {
    int ours = cvy_upper((uint16_t)c), theirs = test_system_upper(c);
    /* what is equal for us must be equal for Windows, else a variable would be lost; ASCII in both directions */
    if (ours != theirs && (ours != (int)c || c < 0x80))
      TEST_FAIL("U+%04X: U+%04X, not U+%04X", c, (unsigned)ours, (unsigned)theirs);
    different += ours != theirs;
  }
  test_log("%u letters keep their case here only", different);
}

TEST(fold, compare)
{
  static const uint16_t ab[] = {'a', 'B'}, abc[] = {'A', 'b', 'c'}, b[] = {'b'};
  CHECK(cvy_compare_upper(ab, 2, abc, 2) == 0);
  CHECK(cvy_compare_upper(ab, 2, abc, 3) < 0);
  CHECK(cvy_compare_upper(abc, 3, ab, 2) > 0);
  CHECK(cvy_compare_upper(abc, 3, b, 1) < 0);
  CHECK(cvy_compare_upper(b, 0, ab, 0) == 0);
}

static int by_first(const void *a, const void *b)
{
  return *(const char *)a - *(const char *)b;
}

TEST(sort, stable)
{
  model_strings s = MODEL_STRINGS("abc", 7);
  while (model_next(&s) && !test_failures()) {
    void *items[8];
    for (size_t i = 0; i < s.size; i++) items[i] = s.text + i;
    REQUIRE(cvy_sort(items, s.size, by_first));
    for (size_t i = 0; i + 1 < s.size; i++) {
      int order = by_first(items[i], items[i + 1]);
      if (order > 0 || (!order && (char *)items[i] >= (char *)items[i + 1])) TEST_FAIL("%s", s.text);
    }
  }
  void *two[] = {"b", "a"};
  cvy_mem_fail_after(1);
  CHECK(!cvy_sort(two, 2, by_first));
  CHECK_STR(two[0], "b");
  cvy_mem_fail_after(0);
}
