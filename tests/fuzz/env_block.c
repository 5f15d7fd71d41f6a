/* Environments: any block is read or refused; a merged environment makes a block that is its own fixed point. The input is a block in
 * UTF-16, and a list of texts: settings up to an empty one, changes behind it. */
#include "fuzz.h"

#include "core/env.h"
#include "core/env_block.h"
#include "core/mem.h"

#include <covey/shell.h>

static void check_env(const char *const *env)
{
  uint16_t *block, *same;
  size_t units, more, count;
  char **back;
  int r = cvy_env_block(env, &block, &units);
  FUZZ_REQUIRE(r == 0 || r == COVEY_EINVAL || r == COVEY_EENCODING || r == COVEY_ETOOBIG);
  if (r < 0) return;
  FUZZ_REQUIRE(cvy_env_unblock(block, units, &back, &count) == 0);
  FUZZ_REQUIRE(cvy_env_block((const char *const *)back, &same, &more) == 0);
  FUZZ_REQUIRE(units == more && !memcmp(block, same, units * sizeof *block));
  cvy_free(back);
  cvy_free(block);
  cvy_free(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  uint16_t *block = malloc(size + 2);
  char **env, *texts;
  size_t count;
  FUZZ_REQUIRE(block != NULL);
  if (size) memcpy(block, data, size / 2 * 2);
  int r = cvy_env_unblock(block, size / 2, &env, &count);
  FUZZ_REQUIRE(r == 0 || r == COVEY_EINVAL);
  if (r == 0) {
    check_env((const char *const *)env);
    cvy_free(env);
  }
  free(block);

  const char *list[256], *nothing[] = {NULL};
  count = fuzz_texts(data, size, list, 256, &texts);
  size_t split = 0;
  while (split < count && *list[split]) split++;
  const char *const *changes = split < count ? list + split + 1 : nothing;
  if (split < count) list[split] = NULL;
  for (int rules = CVY_ENV_POSIX; rules <= CVY_ENV_WINDOWS; rules++) {
    r = cvy_env_merge(rules, list, changes, size % 2, &env, &count);
    FUZZ_REQUIRE(r == 0 || r == COVEY_EINVAL || r == COVEY_EENCODING);
    if (r < 0) continue;
    check_env((const char *const *)env);
    char **again;
    size_t more;
    FUZZ_REQUIRE(cvy_env_merge(rules, (const char *const *)env, NULL, false, &again, &more) == 0);
    FUZZ_REQUIRE(more == count);
    for (size_t i = 0; i < count; i++) FUZZ_REQUIRE(!strcmp(env[i], again[i]));
    cvy_free(again);
    cvy_free(env);
  }
  free(texts);
  return 0;
}
