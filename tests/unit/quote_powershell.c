#include "support/model.h"
#include "support/test.h"

#include "core/mem.h"
#include "core/quote.h"
#include "core/utf.h"

#include <covey/shell.h>

TEST(quote_powershell, every_short_word_comes_back)
{
  /* letters of the test: A-E stand for the five quotes, the rest for itself */
  static const char *const quotes[] = {"'", "\xE2\x80\x98", "\xE2\x80\x99", "\xE2\x80\x9A", "\xE2\x80\x9B"};
  model_strings s = MODEL_STRINGS("ABCDE$x", 5);
  while (model_next(&s)) {
    char word[64] = "", value[128], *text;
    size_t size = 0;
    for (size_t i = 0; i < s.size; i++) {
      bool quote = s.text[i] >= 'A' && s.text[i] <= 'E';
      size += (size_t)snprintf(word + size, sizeof word - size, "%s",
                               quote ? quotes[s.text[i] - 'A'] : (char[]){s.text[i], 0});
    }
    REQUIRE_OK(covey_quote(COVEY_DIALECT_POWERSHELL, word, size, &text));
    if (model_powershell(text, value, sizeof value) != strlen(text) || strcmp(value, word))
      TEST_FAIL("[%s] became [%s]", word, text);
    covey_free(text);
    if (test_failures()) return;
  }
}

TEST(quote_powershell, bytes_beside_the_quotes_stay_single)
{
  static const char word[] = "\xE2\x80\x97\xE2\x80\x9C\xE2\x81\x98`\"\r\n\t";
  char *text;
  REQUIRE_OK(covey_quote(COVEY_DIALECT_POWERSHELL, word, SIZE_MAX, &text));
  CHECK_UINT(strlen(text), sizeof word - 1 + 2);
  CHECK_MEM(text + 1, word, sizeof word - 1);
  covey_free(text);
}

TEST(quote_powershell, joins_with_the_call_operator)
{
  char *text;
  REQUIRE_OK(covey_join(COVEY_DIALECT_POWERSHELL, (const char *const[]){"a b", "-x", "it's", ""}, 4, &text));
  CHECK_STR(text, "& 'a b' '-x' 'it''s' ''");
  covey_free(text);
}

TEST(quote_powershell, refusals)
{
  char *text = NULL;
  CHECK_ERR(covey_quote(COVEY_DIALECT_POWERSHELL, "ab\0", 3, &text), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 2);
  CHECK_ERR(covey_quote(COVEY_DIALECT_POWERSHELL, "ab\xE2\x80", 4, &text), COVEY_EENCODING);
  CHECK_INT(covey_last_failure()->offset, 2);
  CHECK_ERR(cvy_powershell_encode("a\0", 2, &text), COVEY_EUNQUOTABLE);
  CHECK_ERR(cvy_powershell_encode("ab\xED\xA0\x80", 5, &text), COVEY_EUNQUOTABLE);
  CHECK_INT(covey_last_failure()->offset, 2);
  CHECK_ERR(cvy_powershell_encode("\xFF", 1, &text), COVEY_EENCODING);
  CHECK(text == NULL);
}

static int digit(char c)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

TEST(quote_powershell, encoded_commands_decode)
{
  static const char *const scripts[] = {"",
                                        "a",
                                        "ab",
                                        "abc",
                                        "abcd",
                                        "\xED\x9F\xBF",
                                        "\xF0\x9F\x98\x80 'x'\r\n",
                                        "Write-Output \xC3\xA4\xE2\x82\xAC"};
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
    char *text;
    unsigned char bytes[256];
    uint16_t units[128];
    size_t size = 0;
    REQUIRE_OK(cvy_powershell_encode(scripts[i], strlen(scripts[i]), &text));
    CHECK_UINT(strlen(text) % 4, 0);
    uint32_t bits = 0;
    int held = 0;
    for (const char *p = text; *p && *p != '='; p++) {
      REQUIRE(digit(*p) >= 0);
      bits = bits << 6 | (uint32_t)digit(*p);
      held += 6;
      if (held >= 8) bytes[size++] = (unsigned char)(bits >> (held -= 8));
    }
    REQUIRE(size % 2 == 0);
    for (size_t k = 0; k < size / 2; k++) units[k] = (uint16_t)(bytes[2 * k] | bytes[2 * k + 1] << 8);
    char back[256];
    size_t length = cvy_utf16_to_8(units, size / 2, back);
    back[length] = '\0';
    CHECK_STR(back, scripts[i]);
    cvy_free(text);
  }
  char *text;
  REQUIRE_OK(cvy_powershell_encode("dir", 3, &text));
  CHECK_STR(text, "ZABpAHIA");
  cvy_free(text);
}
