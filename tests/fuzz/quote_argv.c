/* Windows argv: what is quoted is read the same by all parsers; what is split says the same when joined again. */
#include "../support/model.h"
#include "fuzz.h"

#include "core/quote.h"
#include "core/utf.h"

#include <covey/shell.h>

static model_words words;

static void check_list(const char *const *argv, size_t count)
{
  char *line, **back;
  size_t found;
  int r = cvy_command_line(argv, count, &line);
  if (r < 0) {
    FUZZ_REQUIRE(r == COVEY_EUNQUOTABLE || r == COVEY_EENCODING || r == COVEY_ETOOBIG);
    return;
  }
  model_ucrt(line, &words);
  FUZZ_REQUIRE(model_same(&words, argv, count));
  model_msvcrt(line, &words);
  FUZZ_REQUIRE(model_same(&words, argv, count));
  model_shell32(line, &words);
  FUZZ_REQUIRE(model_same(&words, argv, count));
  FUZZ_REQUIRE(covey_split(COVEY_DIALECT_ARGV, line, SIZE_MAX, &back, &found) == 0);
  FUZZ_REQUIRE(found == count);
  for (size_t i = 0; i < count; i++) FUZZ_REQUIRE(!strcmp(argv[i], back[i]));
  covey_free(back);
  covey_free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *list[512];
  char *block, **argv;
  size_t count = fuzz_texts(data, size < 60000 ? size : 60000, list, 512, &block);
  if (count) check_list(list, count);
  free(block);
  int r = covey_split(COVEY_DIALECT_ARGV, size ? (const char *)data : "", size, &argv, &count);
  if (r < 0) {
    FUZZ_REQUIRE(r == COVEY_EINVAL || r == COVEY_EENCODING);
    FUZZ_REQUIRE(covey_last_failure()->offset >= 0 && (size_t)covey_last_failure()->offset < size);
    return 0;
  }
  if (count && count < 4000 && size < 60000) check_list((const char *const *)argv, count);
  covey_free(argv);
  return 0;
}
