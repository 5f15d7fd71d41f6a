#include "support/test.h"

#include "core/mem.h"
#include "core/utf.h"

/* Every unit that begins or ends a class. */
static const uint16_t units[] = {0x0000, 0x0041, 0x007F, 0x0080, 0x07FF, 0x0800, 0xD7FF, 0xD800,
                                 0xD83D, 0xDBFF, 0xDC00, 0xDE00, 0xDFFF, 0xE000, 0xFFFD, 0xFFFF};
#define UNITS (sizeof units / sizeof *units)

/* The first bad byte by the grammar of WTF-8, from its tables: one row a form of sequence. */
static int64_t first_bad(const unsigned char *p, size_t size)
{
  static const struct {
    unsigned char lead_from, lead_to, second_from, second_to;
    size_t length;
  } forms[] = {{0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
               {0xE1, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4},
               {0xF4, 0xF4, 0x80, 0x8F, 4}};
  for (size_t at = 0, length; at < size; at += length) {
    length = 0;
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
      if (p[at] >= forms[f].lead_from && p[at] <= forms[f].lead_to) {
        length = forms[f].length;
        if (length > size - at) return (int64_t)at;
        if (length > 1 && (p[at + 1] < forms[f].second_from || p[at + 1] > forms[f].second_to))
          return (int64_t)at;
        for (size_t i = 2; i < length; i++)
          if (p[at + i] < 0x80 || p[at + i] > 0xBF) return (int64_t)at;
      }
    if (!length) return (int64_t)at;
    bool high = length == 3 && p[at] == 0xED && p[at + 1] >= 0xA0 && p[at + 1] <= 0xAF;
    if (high && size - at >= 6 && p[at + 3] == 0xED && p[at + 4] >= 0xB0 && p[at + 5] >= 0x80 &&
        p[at + 5] <= 0xBF)
      return (int64_t)at;
  }
  return -1;
}

TEST(utf, every_sequence_of_four_bytes)
{
  static const unsigned char bytes[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xAF, 0xB0,
                                        0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                        0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFE, 0xFF};
  const size_t n = sizeof bytes;
  size_t good = 0;
  for (size_t size = 0; size <= 4; size++) {
    size_t total = 1;
    for (size_t i = 0; i < size; i++) total *= n;
    for (size_t k = 0; k < total; k++) {
      unsigned char text[4];
      uint16_t out[4];
      size_t rest = k;
      for (size_t i = 0; i < size; i++, rest /= n) text[i] = bytes[rest % n];
      int64_t wanted = first_bad(text, size), got = cvy_utf8_check((const char *)text, size);
      if (got != wanted) {
        TEST_FAIL("%02X %02X %02X %02X (%d): %d, not %d", text[0], text[1], text[2], text[3], (int)size,
                  (int)got, (int)wanted);
        return;
      }
      int64_t count = cvy_utf16_length((const char *)text, size);
      REQUIRE(count == cvy_utf8_to_16((const char *)text, size, out));
      REQUIRE((count < 0) == (got >= 0));
      if (count < 0) continue;
      char back[12];
      REQUIRE(cvy_utf8_length(out, (size_t)count) == size);
      REQUIRE(cvy_utf16_to_8(out, (size_t)count, back) == size && !memcmp(back, text, size));
      good++;
    }
  }
  CHECK(good > 1000);
}

TEST(utf, a_pair_of_three_byte_forms_over_six_bytes)
{
  for (unsigned high = 0xA0; high <= 0xBF; high++)
    for (unsigned low = 0xA0; low <= 0xBF; low++) {
      unsigned char text[7] = {'x', 0xED, (unsigned char)high, 0x80, 0xED, (unsigned char)low, 0xBF};
      bool pair = high <= 0xAF && low >= 0xB0;
      CHECK_INT(cvy_utf8_check((const char *)text, 7), pair ? 1 : -1);
      CHECK_INT(first_bad(text, 7), pair ? 1 : -1);
    }
}

TEST(utf, units_come_back)
{
  for (size_t k = 0; k < UNITS * UNITS * UNITS * UNITS; k++) {
    uint16_t in[4] = {units[k % UNITS], units[k / UNITS % UNITS], units[k / UNITS / UNITS % UNITS],
                      units[k / UNITS / UNITS / UNITS]};
    char text[12];
    uint16_t out[12];
    size_t size = cvy_utf16_to_8(in, 4, text);
    REQUIRE(size <= sizeof text && size == cvy_utf8_length(in, 4));
    REQUIRE(cvy_utf8_check(text, size) == -1);
    REQUIRE(cvy_utf8_to_16(text, size, out) == 4 && !memcmp(in, out, sizeof in));
  }
}

TEST(utf, every_code_point)
{
  for (uint32_t c = 0; c <= 0x10FFFF; c++) {
    uint16_t in[2] = {(uint16_t)c, 0}, out[4];
    if (c >= 0x10000) {
      in[0] = (uint16_t)(0xD7C0 + (c >> 10));
      in[1] = (uint16_t)(0xDC00 | (c & 0x3FF));
    }
    size_t count = c >= 0x10000 ? 2 : 1;
    char text[4];
    size_t size = cvy_utf16_to_8(in, count, text);
    REQUIRE(size == (c < 0x80 ? 1u : c < 0x800 ? 2u : c < 0x10000 ? 3u : 4u));
    REQUIRE(cvy_utf8_to_16(text, size, out) == (int64_t)count && !memcmp(in, out, count * 2));
  }
}

TEST(utf, known_forms)
{
  static const uint16_t text[] = {'a', 0xE4, 0x20AC, 0xD83D, 0xDE00, 0xD800, 'b', 0xDC00};
  static const char wanted[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\xED\xA0\x80"
                               "b\xED\xB0\x80";
  char *got;
  size_t size, count;
  uint16_t *back;
  REQUIRE_OK(cvy_utf16_dup8(text, 8, &got, &size));
  CHECK_UINT(size, sizeof wanted - 1);
  CHECK_STR(got, wanted);
  REQUIRE_OK(cvy_utf8_dup16(got, size, &back, &count));
  CHECK_UINT(count, 8);
  CHECK_MEM(back, text, sizeof text);
  CHECK_UINT(back[8], 0);
  cvy_free(got);
  cvy_free(back);
}

TEST(utf, refusals_leave_the_outputs)
{
  uint16_t *untouched = NULL;
  size_t count = 7;
  CHECK_INT(cvy_utf8_dup16("a\xFF", 2, &untouched, &count), COVEY_EENCODING);
  CHECK(untouched == NULL);
  CHECK_UINT(count, 7);
  cvy_mem_fail_after(1);
  CHECK_INT(cvy_utf8_dup16("a", 1, &untouched, NULL), COVEY_ENOMEM);
  char *text = NULL;
  cvy_mem_fail_after(1);
  CHECK_INT(cvy_utf16_dup8((const uint16_t[]){'a'}, 1, &text, NULL), COVEY_ENOMEM);
  CHECK(text == NULL && untouched == NULL);
  REQUIRE_OK(cvy_utf8_dup16("", 0, &untouched, &count));
  CHECK_UINT(count, 0);
  cvy_free(untouched);
}
