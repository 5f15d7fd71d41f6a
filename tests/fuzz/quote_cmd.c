/* cmd.exe: whatever the arguments and the variables, a batch file's program gets them unchanged and nothing else runs. The first text is
 * the script, the others are its arguments. */
#include "../support/model.h"
#include "fuzz.h"

#include "core/quote.h"

#include <covey/shell.h>

static model_run run;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char text[16384];
  const char *list[11];
  char *block, *line;
  size_t count = fuzz_texts(data, size, list, 11, &block);
  if (count) {
    cvy_is_batch_name(list[0], strlen(list[0]));
    int r = cvy_batch_line(list[0], list + 1, count - 1, &line);
    FUZZ_REQUIRE(r == 0 || r == COVEY_EUNQUOTABLE || r == COVEY_EENCODING || r == COVEY_ETOOBIG ||
                 r == COVEY_EINVAL);
    for (int kind = MODEL_ALL; r == 0 && kind <= MODEL_TWICE; kind++) {
      FUZZ_REQUIRE(model_cmd_text(line, text, sizeof text));
      model_cmd(text, kind, count - 1, model_hostile, &run);
      FUZZ_REQUIRE(!run.acted && !run.lost);
      FUZZ_REQUIRE(model_same(&run.words, list + 1, count - 1));
    }
    if (r == 0) covey_free(line);
  }
  free(block);
  return 0;
}
