/* A node whose files a cleaner of temporary folders has taken away. */
#include "support/test.h"

#include "loop/loop.h"
#include "msg/address.h"

#include <covey/message.h>
#include <covey/node.h>

#include <uv.h>

enum { ENOUGH = 30000, SOON = 300 };

static uv_fs_t fs;

static int keep(void *node)
{
  cvy_address_keep(node);
  return 0;
}

/* A fresh node, so that no connection is there yet, sends to the node named there. */
static int send_anew(const char *dir, int64_t timeout)
{
  covey_node *node;
  covey_node_options o = {.directory = dir, .name = "sender", .flags = COVEY_NODE_NO_LISTEN};
  covey_send_options to = {.name = "there", .timeout = timeout};
  covey_buffer text = {"hello", 5};
  REQUIRE_OK(covey_node_open(&o, &node));
  int r = covey_message_send(node, &to, &text, 1, NULL);
  CHECK_OK(covey_node_close(node, ENOUGH));
  return r;
}

static void expect_hello(covey_node *node)
{
  covey_message m;
  REQUIRE_OK(covey_receive(node, NULL, ENOUGH, &m));
  CHECK_STR(m.data, "hello");
  covey_message_free(&m);
}

static const char *private_folder(void)
{
  const char *dir = test_format("%s/d", test_temp_dir());
  REQUIRE(uv_fs_mkdir(NULL, &fs, dir, 0700, NULL) == 0);
  return dir;
}

TEST(node_address, taken_again)
{
  covey_node *node;
  const char *dir = private_folder();
  static const char *const files[] = {"covey~n-there.s", "covey~n-there.lock"};
  covey_node_options o = {.directory = dir, .name = "there"};
  if (test_is_windows()) TEST_SKIP("a pipe has no file");
  REQUIRE_OK(covey_node_open(&o, &node));
  REQUIRE_OK(send_anew(dir, ENOUGH));
  expect_hello(node);
  for (int which = 0; which < 3; which++) {
    for (int i = 0; i < 2; i++) {
      const char *file = test_format("%s/%s", dir, files[i]);
      if (which == i || which == 2) REQUIRE(uv_fs_unlink(NULL, &fs, file, NULL) == 0);
    }
    if (which == 0) CHECK_ERR(send_anew(dir, SOON), COVEY_ETIMEDOUT); /* its lock says that it lives */
    if (which == 2) CHECK_ERR(send_anew(dir, SOON), COVEY_ENOPEER);
    REQUIRE_OK(cvy_loop_call(node->loop, keep, node));
    REQUIRE_OK(send_anew(dir, ENOUGH));
    expect_hello(node);
    REQUIRE_OK(cvy_loop_call(node->loop, keep, node)); /* nothing to do */
    REQUIRE_OK(send_anew(dir, ENOUGH));
    expect_hello(node);
  }
  CHECK_OK(covey_node_close(node, ENOUGH));
}

/* While somebody else has the name, the node lives on without it, and takes it when it is free. */
TEST(node_address, lost_for_a_while)
{
  covey_node *node, *other;
  const char *dir = private_folder();
  covey_node_options o = {.directory = dir, .name = "there"};
  if (test_is_windows()) TEST_SKIP("a pipe has no file");
  REQUIRE_OK(covey_node_open(&o, &node));
  REQUIRE(uv_fs_unlink(NULL, &fs, test_format("%s/covey~n-there.lock", dir), NULL) == 0);
  REQUIRE_OK(covey_node_open(&o, &other));
  REQUIRE_OK(cvy_loop_call(node->loop, keep, node));
  REQUIRE_OK(send_anew(dir, ENOUGH));
  expect_hello(other);
  CHECK_OK(covey_node_close(other, ENOUGH));
  REQUIRE_OK(cvy_loop_call(node->loop, keep, node));
  REQUIRE_OK(send_anew(dir, ENOUGH));
  expect_hello(node);
  CHECK_OK(covey_node_close(node, ENOUGH));
}

/* Closing in the middle of it. */
TEST(node_address, closed_while_it_is_taken_again)
{
  covey_node *node;
  const char *dir = private_folder();
  covey_node_options o = {.directory = dir, .name = "there"};
  if (test_is_windows()) TEST_SKIP("a pipe has no file");
  for (int i = 0; i < 50; i++) {
    REQUIRE_OK(covey_node_open(&o, &node));
    REQUIRE(uv_fs_unlink(NULL, &fs, test_format("%s/covey~n-there.s", dir), NULL) == 0);
    REQUIRE_OK(cvy_loop_call(node->loop, keep, node));
    CHECK_OK(covey_node_close(node, ENOUGH));
  }
  REQUIRE_OK(covey_node_open(&o, &node));
  REQUIRE_OK(send_anew(dir, ENOUGH));
  expect_hello(node);
  CHECK_OK(covey_node_close(node, ENOUGH));
}
