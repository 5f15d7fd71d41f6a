/* Every function of covey/node.h, called as nobody should. */
#include "support/test.h"

#include <covey/node.h>

static void refused(covey_node_options options)
{
  covey_node *node;

  test_fill(&node, sizeof node);
  CHECK_WRONG(covey_node_open(&options, &node));
  CHECK(test_is_filled(&node, sizeof node));
}

TEST(wrong_node, open)
{
  static const char *const names[] = {"", ".", ".x", "a/b", "a\\b", "a b", "a\n", "a*", "\xc3\xa4", "../x"};
  const char *too_long = test_format("%065d", 1), *longest = test_format("%064d", 1);
  covey_node *node;

  CHECK_WRONG(covey_node_open(NULL, NULL));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    refused((covey_node_options){.name = names[i]});
    refused((covey_node_options){.app = names[i]});
  }
  refused((covey_node_options){.name = too_long});
  refused((covey_node_options){.app = too_long});
  refused((covey_node_options){.window = 1});
  refused((covey_node_options){.window = 4095});
  refused((covey_node_options){.window = ((size_t)1 << 30) + 1});
  refused((covey_node_options){.max_message = ((size_t)1 << 30) + 1});
  refused((covey_node_options){.max_memory = 1});
  refused((covey_node_options){.max_memory = (1 << 20) - 1});
  refused((covey_node_options){.max_memory = 2000000, .max_message = 1000001});
  for (int i = 1; i < 32; i++) refused((covey_node_options){.flags = 1u << i});
  for (int i = 0; i < 8; i++) {
    covey_node_options options = {0};
    options.reserved[i] = 1;
    refused(options);
  }
  /* the ends of what is allowed */
  REQUIRE_OK(covey_node_open(
      &(covey_node_options){.app = "wrong", .window = 4096, .max_memory = 1 << 20, .max_message = 1}, &node));
  CHECK_OK(covey_node_close(node, TEST_SOON));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = longest, .flags = COVEY_NODE_NO_LISTEN}, &node));
  CHECK_OK(covey_node_close(node, TEST_SOON));
}

TEST(wrong_node, identity)
{
  CHECK_WRONG(covey_node_identity(NULL, NULL));
}

TEST(wrong_node, close)
{
  covey_node *node;
  covey_identity who;

  CHECK_WRONG(covey_node_close(NULL, -2));
  CHECK_OK(covey_node_close(NULL, 0)); /* there is none */
  REQUIRE_OK(covey_node_open(NULL, &node));
  CHECK_WRONG(covey_node_close(node, -2));
  CHECK_WRONG(covey_node_close(node, INT64_MIN));
  CHECK_OK(covey_node_identity(node, &who)); /* it is still open */
  CHECK_OK(covey_node_close(node, TEST_SOON));
}

TEST(wrong_node, spawn)
{
  covey_process_options good = {.argv = TEST_HELPER("nothing")};
  covey_process *p;

  test_fill(&p, sizeof p);
  CHECK_WRONG(covey_node_spawn(NULL, NULL, &p));
  CHECK_WRONG(covey_node_spawn(NULL, &good, NULL));
  CHECK_WRONG(covey_node_spawn(NULL, &(covey_process_options){0}, &p));
  CHECK_WRONG(covey_node_spawn(NULL, &(covey_process_options){.argv = good.argv, .flags = 1u << 31}, &p));
  CHECK_ERR(
      covey_node_spawn(NULL, &(covey_process_options){.argv = TEST_WORDS("covey-has-no-such-program")}, &p),
      COVEY_ENOTFOUND);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_LOOKUP);
  CHECK(test_is_filled(&p, sizeof p));
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
}
