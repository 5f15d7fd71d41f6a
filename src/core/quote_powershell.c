#include "core/quote.h"
#include "core/error.h"
#include "core/mem.h"
#include "core/utf.h"

#include <string.h>

/* Bytes of the single quote at p: U+0027, or U+2018 .. U+201B (E2 80 98 .. E2 80 9B); 0 for anything else. */
static size_t quote_at(const char *p, size_t left)
{
  if (*p == '\'') return 1;
  if (left < 3 || memcmp(p, "\xE2\x80", 2) != 0) return 0;
  unsigned char last = (unsigned char)p[2];
  return last >= 0x98 && last <= 0x9B ? 3 : 0;
}

int cvy_quote_powershell(cvy_str *out, const char *word, size_t size, int64_t index)
{
  int r = cvy_quote_check(word, size, "", true, index);
  if (r < 0) return r;
  cvy_str_add_char(out, '\'');
  for (size_t i = 0; i < size;) {
    size_t quote = quote_at(word + i, size - i);
    cvy_str_add(out, word + i, quote);
    cvy_str_add(out, word + i, quote ? quote : 1);
    i += quote ? quote : 1;
  }
  cvy_str_add_char(out, '\'');
  return 0;
}

int cvy_quote_powershell_head(cvy_str *out, const char *word, size_t size, int64_t index)
{
  cvy_str_add_text(out, "& ");
  return cvy_quote_powershell(out, word, size, index);
}

const cvy_dialect cvy_dialect_powershell = {cvy_quote_powershell, cvy_quote_powershell_head, NULL, 0};

static int64_t find_lone_surrogate(const char *text, size_t size)
{
  for (size_t i = 0; i + 1 < size; i++)
    if ((unsigned char)text[i] == 0xED && (unsigned char)text[i + 1] >= 0xA0) return (int64_t)i;
  return -1;
}

static void add_base64(cvy_str *out, const unsigned char *data, size_t size)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    uint32_t three = (uint32_t)data[i] << 16;
    if (i + 1 < size) three |= (uint32_t)data[i + 1] << 8;
    if (i + 2 < size) three |= data[i + 2];
    cvy_str_add_char(out, digits[three >> 18]);
    cvy_str_add_char(out, digits[three >> 12 & 63]);
    cvy_str_add_char(out, i + 1 < size ? digits[three >> 6 & 63] : '=');
    cvy_str_add_char(out, i + 2 < size ? digits[three & 63] : '=');
  }
}

int cvy_powershell_encode(const char *script, size_t size, char **ret_text)
{
  int r = cvy_quote_check(script, size, "", true, -1);
  if (r < 0) return r;
  int64_t lone = find_lone_surrogate(script, size);
  if (lone >= 0)
    return cvy_fail_at(COVEY_EUNQUOTABLE, COVEY_STAGE_ARGUMENTS, -1, lone, "a lone surrogate in a script");
  uint16_t *units;
  size_t count;
  r = cvy_utf8_dup16(script, size, &units, &count);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_ARGUMENTS, "script");
  unsigned char *bytes = (unsigned char *)units;
  for (size_t i = 0; i < count; i++) {
    uint16_t unit = units[i];
    bytes[2 * i] = (unsigned char)(unit & 0xFF);
    bytes[2 * i + 1] = (unsigned char)(unit >> 8);
  }
  cvy_str out = {0};
  add_base64(&out, bytes, 2 * count);
  cvy_free(units);
  return cvy_str_take(&out, ret_text, NULL);
}
