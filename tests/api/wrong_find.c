/* Every function of covey/find.h, called as nobody should. */
#include "support/test.h"

#include <covey/find.h>

static void fails(int code, int stage, int64_t index, int64_t offset, covey_find_options options)
{
  covey_find_result result;
  test_fill(&result, sizeof result);
  CHECK_ERR(covey_find(&options, &result), code);
  CHECK(test_is_filled(&result, sizeof result));
  CHECK_INT(covey_last_failure()->stage, stage);
  CHECK_INT(covey_last_failure()->index, index);
  CHECK_INT(covey_last_failure()->offset, offset);
  CHECK(covey_last_failure()->what[0] != '\0');
}

#define REFUSED(...)                                                                                         \
  do {                                                                                                       \
    fails(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, -1, -1, (covey_find_options){__VA_ARGS__});                   \
    CHECK_INT(covey_last_failure()->code, COVEY_EINVAL);                                                     \
  } while (0)

TEST(wrong_find, options)
{
  CHECK_WRONG(covey_find(NULL, NULL));
  for (uint32_t field = COVEY_FIELD_ALL + 1; field; field <<= 1) REFUSED(.fields = field);
  for (uint32_t flag = COVEY_FIND_KERNEL << 1; flag; flag <<= 1) REFUSED(.flags = flag);
  REFUSED(.pid = -1);
  REFUSED(.parent = -1);
  REFUSED(.tree = INT64_MIN);
  REFUSED(.pid_start = 1);
  REFUSED(.parent_start = 1);
  REFUSED(.tree_start = 1);
  for (size_t i = 0; i < 16; i++) {
    covey_find_options options = {0};
    options.reserved[i] = 1;
    fails(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, -1, -1, options);
  }
}

TEST(wrong_find, patterns)
{
  const int stage = COVEY_STAGE_ARGUMENTS;
  fails(COVEY_EINVAL, stage, 0, 3, (covey_find_options){.pattern = "ab["});
  fails(COVEY_EINVAL, stage, 1, 1, (covey_find_options){.pattern = "x", .name = "("});
  fails(COVEY_EINVAL, stage, 2, 0, (covey_find_options){.name = "x", .command = "*"});
  fails(COVEY_EENCODING, stage, 2, 0, (covey_find_options){.command = "\xff"});
  fails(COVEY_EENCODING, stage, 1, 1, (covey_find_options){.name = "a\x80", .flags = COVEY_FIND_LITERAL});
  char *pattern = malloc(70000);
  REQUIRE(pattern != NULL);
  memset(pattern, 'a', 69999);
  pattern[69999] = '\0';
  covey_find_result result;
  CHECK_ERR(covey_find(&(covey_find_options){.pattern = pattern}, &result), COVEY_ETOOBIG);
  free(pattern);
}

TEST(wrong_find, who_is_not_there)
{
  const int stage = COVEY_STAGE_LOOKUP, code = COVEY_ENOTFOUND;
  fails(code, stage, -1, -1, (covey_find_options){.pid = INT64_MAX});
  fails(code, stage, -1, -1, (covey_find_options){.pid = INT32_MAX});
  fails(code, stage, -1, -1, (covey_find_options){.parent = INT32_MAX});
  fails(code, stage, -1, -1, (covey_find_options){.tree = INT32_MAX});
  fails(code, stage, -1, -1, (covey_find_options){.pid = test_pid(), .pid_start = 1});
  fails(code, stage, -1, -1, (covey_find_options){.parent = test_pid(), .parent_start = 1});
  fails(code, stage, -1, -1, (covey_find_options){.tree = test_pid(), .tree_start = 1});
  fails(code, COVEY_STAGE_USER, -1, -1, (covey_find_options){.user = "covey-nobody-has-this-name"});
  fails(code, COVEY_STAGE_USER, -1, -1, (covey_find_options){.user = ""});
}

TEST(wrong_find, free_twice)
{
  covey_find_result result;
  covey_find_free(NULL);
  REQUIRE_OK(covey_find(&(covey_find_options){.pid = test_pid()}, &result));
  covey_find_free(&result);
  CHECK(!result.items && !result.count && !result.unjudged);
  covey_find_free(&result);
}
