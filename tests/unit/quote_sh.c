#include "support/model.h"
#include "support/test.h"

#include "core/mem.h"

#include <covey/shell.h>

static void check_word(const char *word, size_t size)
{
  char *text, **argv;
  size_t count;
  REQUIRE_OK(covey_quote(COVEY_DIALECT_SH, word, size, &text));
  REQUIRE_OK(covey_split(COVEY_DIALECT_SH, text, SIZE_MAX, &argv, &count));
  if (count != 1 || strlen(argv[0]) != size || memcmp(argv[0], word, size) != 0 || argv[1])
    TEST_FAIL("[%s] became [%s]", word, text);
  covey_free(argv);
  covey_free(text);
}

TEST(quote_sh, every_short_word_comes_back)
{
  model_strings s = MODEL_STRINGS(" a'\"\\\n$", 7);
  size_t words = 0;
  for (; model_next(&s) && !test_failures(); words++) check_word(s.text, s.size);
  CHECK_UINT(words, 960800);
}

TEST(quote_sh, every_byte_and_long_words_come_back)
{
  static char word[70001];
  uint64_t seed = 20261121;
  for (int c = 1; c < 256; c++) {
    char pair[3] = {(char)c, 'x', 0};
    check_word(pair, 1);
    check_word(pair, 2);
  }
  for (int i = 0; i < 200; i++) {
    size_t size = model_random(&seed) % 1000;
    for (size_t k = 0; k < size; k++) word[k] = (char)(1 + model_random(&seed) % 255);
    word[size] = '\0';
    check_word(word, size);
  }
  memset(word, '\'', 70000);
  check_word(word, 70000);
}

TEST(quote_sh, words)
{
  static const char *const cases[][2] = {{"", "''"},
                                         {"a", "a"},
                                         {"a b", "'a b'"},
                                         {"it's", "'it'\\''s'"},
                                         {"a=b", "a=b"},
                                         {"=b", "'=b'"},
                                         {"~", "'~'"},
                                         {"-n", "-n"},
                                         {"/usr/bin:x,@%+", "/usr/bin:x,@%+"},
                                         {"\n", "'\n'"},
                                         {"\xFF", "'\xFF'"},
                                         {"if", "if"},
                                         {"!", "'!'"},
                                         {"#", "'#'"},
                                         {"{a,b}", "'{a,b}'"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text;
    REQUIRE_OK(covey_quote(COVEY_DIALECT_SH, cases[i][0], SIZE_MAX, &text));
    CHECK_STR(text, cases[i][1]);
    covey_free(text);
  }
}

TEST(quote_sh, a_nul_is_refused_with_its_place)
{
  char *text = NULL;
  CHECK_ERR(covey_quote(COVEY_DIALECT_SH, "ab\0c", 4, &text), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 2);
  CHECK_INT(covey_last_failure()->index, -1);
  CHECK(text == NULL);
}

TEST(quote_sh, joins_with_a_safe_head)
{
  static const char *const cases[][3] = {{"echo", "if", "echo if"},   {"if", "if", "'if' if"},
                                         {"a=b", "a=b", "'a=b' a=b"}, {"time", "", "'time' ''"},
                                         {"", "x", "'' x"},           {"while", "do", "'while' do"}};
  char *text;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    REQUIRE_OK(covey_join(COVEY_DIALECT_SH, cases[i], 2, &text));
    CHECK_STR(text, cases[i][2]);
    covey_free(text);
  }
  REQUIRE_OK(covey_join(COVEY_DIALECT_SH, NULL, 0, &text));
  CHECK_STR(text, "");
  covey_free(text);
  REQUIRE_OK(covey_join(COVEY_DIALECT_SH, (const char *const[]){"a", "b c", NULL}, SIZE_MAX, &text));
  CHECK_STR(text, "a 'b c'");
  covey_free(text);
}

TEST(quote_sh, every_short_list_comes_back)
{
  model_strings a = MODEL_STRINGS(" x'\"\\", 3);
  while (model_next(&a) && !test_failures()) {
    model_strings b = MODEL_STRINGS(" x'\"\\", 3);
    while (model_next(&b)) {
      const char *list[3] = {a.text, b.text, a.text};
      char *text, **argv;
      size_t count;
      REQUIRE_OK(covey_join(COVEY_DIALECT_SH, list, 3, &text));
      REQUIRE_OK(covey_split(COVEY_DIALECT_SH, text, SIZE_MAX, &argv, &count));
      if (count != 3 || strcmp(argv[0], a.text) || strcmp(argv[1], b.text) || strcmp(argv[2], a.text))
        TEST_FAIL("[%s] [%s] became [%s]", a.text, b.text, text);
      covey_free(argv);
      covey_free(text);
    }
  }
}

TEST(quote_sh, no_memory)
{
  const char *const list[] = {"a long enough word to need a second block of memory", "another one", "'"};
  for (int64_t n = 1;; n++) {
    char *text = NULL;
    cvy_mem_fail_after(n);
    int r = covey_join(COVEY_DIALECT_SH, list, 3, &text);
    if (r == 0) {
      CHECK(n > 2);
      covey_free(text);
      break;
    }
    CHECK_INT(r, COVEY_ENOMEM);
    CHECK(text == NULL);
  }
  cvy_mem_fail_after(0);
}
