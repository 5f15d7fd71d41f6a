/* sh: every word comes back through its quotes, and every line that can be split says the same when joined again. */
#include "fuzz.h"

#include <covey/shell.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text, **argv, **again;
  size_t count, more;
  const char *line = size ? (const char *)data : "";
  int r = covey_quote(COVEY_DIALECT_SH, line, size, &text);
  FUZZ_REQUIRE(r == (memchr(line, '\0', size) ? COVEY_EUNQUOTABLE : 0));
  if (r == 0) {
    FUZZ_REQUIRE(covey_split(COVEY_DIALECT_SH, text, SIZE_MAX, &argv, &count) == 0);
    FUZZ_REQUIRE(count == 1 && strlen(argv[0]) == size && !memcmp(argv[0], line, size));
    covey_free(argv);
    covey_free(text);
  }
  r = covey_split(COVEY_DIALECT_SH, line, size, &argv, &count);
  if (r < 0) {
    const covey_failure *failure = covey_last_failure();
    FUZZ_REQUIRE(r == COVEY_EINVAL && failure->offset >= 0 && (size_t)failure->offset < size);
    return 0;
  }
  FUZZ_REQUIRE(covey_join(COVEY_DIALECT_SH, (const char *const *)argv, count, &text) == 0);
  FUZZ_REQUIRE(covey_split(COVEY_DIALECT_SH, text, SIZE_MAX, &again, &more) == 0);
  FUZZ_REQUIRE(more == count);
  for (size_t i = 0; i < count; i++) FUZZ_REQUIRE(!strcmp(argv[i], again[i]));
  covey_free(again);
  covey_free(text);
  covey_free(argv);
  return 0;
}
