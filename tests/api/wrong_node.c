/* Every function of covey/node.h, called as nobody should. */
#include "support/test.h"

#include <covey/message.h>

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

static void peer_refused(covey_peer_options options)
{
  covey_peer *peer;

  test_fill(&peer, sizeof peer);
  CHECK_WRONG(covey_peer_open(NULL, &options, &peer));
  CHECK(test_is_filled(&peer, sizeof peer));
}

TEST(wrong_node, peer_open)
{
  covey_peer *peer;

  CHECK_WRONG(covey_peer_open(NULL, NULL, &peer));
  CHECK_WRONG(covey_peer_open(NULL, &(covey_peer_options){.pid = 1}, NULL));
  peer_refused((covey_peer_options){0});
  peer_refused((covey_peer_options){.pid = -1});
  peer_refused((covey_peer_options){.pid = test_pid(), .name = "x"});
  peer_refused((covey_peer_options){.name = "../x"});
  peer_refused((covey_peer_options){.pid = test_pid(), .timeout = -2});
  peer_refused((covey_peer_options){.pid = test_pid(), .reserved0 = 1});
  for (int i = 1; i < 32; i++) peer_refused((covey_peer_options){.pid = test_pid(), .flags = 1u << i});
  for (int i = 0; i < 4; i++) {
    covey_peer_options options = {.pid = test_pid()};
    options.reserved[i] = 1;
    peer_refused(options);
  }
}

TEST(wrong_node, peer_of_ourselves)
{
  covey_peer *peer;
  covey_peer_description d;
  covey_peer_group g;

  REQUIRE_OK(covey_peer_open(NULL, &(covey_peer_options){.pid = test_pid()}, &peer));
  test_fill(&g, sizeof g);
  CHECK_WRONG(covey_peer_describe(NULL, &d));
  CHECK_WRONG(covey_peer_describe(peer, NULL));
  CHECK_WRONG(covey_peer_wait(NULL, 0, NULL));
  CHECK_WRONG(covey_peer_wait(peer, -2, NULL));
  CHECK_WRONG(covey_peer_groups(NULL, 0, NULL, &g, 1));
  CHECK_WRONG(covey_peer_groups(peer, -2, NULL, &g, 1));
  CHECK_WRONG(covey_peer_groups(peer, 0, NULL, NULL, 1));
  CHECK(test_is_filled(&g, sizeof g));
  CHECK_INT(covey_peer_groups(peer, TEST_SOON, NULL, &g, 1), 1);
  CHECK_STR(g.name, "default");
  covey_peer_close(peer);
  covey_peer_close(NULL);
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
}

TEST(wrong_node, peers_statistics_watch_and_list)
{
  covey_node_entry e;

  CHECK_WRONG(covey_node_peers(NULL, NULL, 1));
  CHECK_WRONG(covey_node_statistics(NULL, NULL));
  CHECK_WRONG(covey_node_watch(NULL, NULL, 2));
  CHECK_WRONG(covey_node_watch(NULL, NULL, -1));
  CHECK_WRONG(covey_node_watch(NULL, "", 1));
  CHECK_WRONG(covey_node_watch(NULL, COVEY_ANY_GROUP, 1));
  CHECK_WRONG(covey_node_list(NULL, NULL, NULL, 1));
  CHECK_WRONG(covey_node_list("a/b", NULL, &e, 1));
  if (!test_is_windows()) CHECK_WRONG(covey_node_list(NULL, "not/absolute", &e, 1));
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
}
