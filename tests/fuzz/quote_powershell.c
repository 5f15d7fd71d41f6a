/* PowerShell: a literal ends where it should and has the word as its value; an encoded command has the length of its units. */
#include "../support/model.h"
#include "fuzz.h"

#include "core/quote.h"
#include "core/utf.h"

#include <covey/shell.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text;
  const char *word = size ? (const char *)data : "";
  int64_t units = cvy_utf16_length(word, size);
  int r = covey_quote(COVEY_DIALECT_POWERSHELL, word, size, &text);
  FUZZ_REQUIRE((r == 0) == (units >= 0 && !memchr(word, '\0', size)));
  if (r < 0) return 0;
  char *value = malloc(strlen(text) + 8);
  FUZZ_REQUIRE(value != NULL);
  FUZZ_REQUIRE(model_powershell(text, value, strlen(text) + 8) == strlen(text));
  FUZZ_REQUIRE(strlen(value) == size && !memcmp(value, word, size));
  free(value);
  covey_free(text);
  r = cvy_powershell_encode(word, size, &text);
  FUZZ_REQUIRE(r == 0 || r == COVEY_EUNQUOTABLE);
  if (r == 0) {
    FUZZ_REQUIRE(strlen(text) == ((size_t)units * 2 + 2) / 3 * 4);
    covey_free(text);
  }
  return 0;
}
