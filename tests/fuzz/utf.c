/* WTF-8: valid bytes come back through UTF-16; any units come back through bytes. */
#include "fuzz.h"

#include "core/mem.h"
#include "core/utf.h"

#include <covey/shell.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *text = size ? (const char *)data : "";
  int64_t bad = cvy_utf8_check(text, size);
  uint16_t *units;
  char *back;
  size_t count, length;
  FUZZ_REQUIRE(bad >= -1 && bad < (int64_t)size);
  int r = cvy_utf8_dup16(text, size, &units, &count);
  FUZZ_REQUIRE(r == (bad < 0 ? 0 : COVEY_EENCODING));
  if (r == 0) {
    FUZZ_REQUIRE(units[count] == 0 && cvy_utf16_dup8(units, count, &back, &length) == 0);
    FUZZ_REQUIRE(length == size && !memcmp(back, text, size));
    cvy_free(back);
    cvy_free(units);
  } else {
    FUZZ_REQUIRE(cvy_utf8_check(text, (size_t)bad) == -1); /* all is well up to there */
  }

  uint16_t *wide = malloc(size + 2), *again;
  FUZZ_REQUIRE(wide != NULL);
  if (size) memcpy(wide, data, size / 2 * 2);
  FUZZ_REQUIRE(cvy_utf16_dup8(wide, size / 2, &back, &length) == 0);
  FUZZ_REQUIRE(cvy_utf8_check(back, length) == -1);
  FUZZ_REQUIRE(cvy_utf8_dup16(back, length, &again, &count) == 0);
  FUZZ_REQUIRE(count == size / 2 && !memcmp(again, wide, count * 2));
  cvy_free(again);
  cvy_free(back);
  free(wide);
  return 0;
}
