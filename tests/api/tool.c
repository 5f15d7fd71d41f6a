#include "tool.h"

#include "support/test.h"

enum { PATIENCE = 60000, WORDS = 26 };

void tool(covey_result *ret, const char *input, const char *const *words)
{
  const char *argv[WORDS] = {test_program_beside("covey")};
  for (size_t i = 0; words[i]; i++) argv[i + 1] = words[i];
  covey_process_options options = {.argv = argv,
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE,
                                   .input = input,
                                   .input_size = input ? strlen(input) : 0,
                                   .timeout = PATIENCE};
  memset(ret, 0, sizeof *ret);
  REQUIRE_OK(covey_run(&options, ret));
  CHECK_INT(ret->exit.why, COVEY_WHY_SELF);
}

void tool_code(uint32_t code, const char *const *words)
{
  covey_result r;
  tool(&r, NULL, words);
  CHECK_UINT(r.exit.code, code);
  if (code) CHECK(r.err_size > 0); /* it says why */
  covey_result_free(&r);
}
