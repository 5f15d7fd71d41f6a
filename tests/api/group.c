#include "support/test.h"

#include <covey/message.h>

enum { PATIENCE = 30000 };

static void send_text(const char *group, const char *text, int priority)
{
  covey_send_options to = {.pid = test_pid(), .group = group, .priority = priority, .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){text, strlen(text)}, 1, NULL));
}

static void expect(const char *group, const char *text, uint64_t lost)
{
  covey_message m = {0};
  REQUIRE_OK(covey_receive(NULL, group, 0, &m));
  CHECK_STR(m.data, text);
  CHECK_UINT(m.lost, lost);
  covey_message_free(&m);
}

TEST(group, opens_once_and_closes_once)
{
  covey_group_options bad = {.full = 7}, word = {.reserved = {1}}, huge = {.max_bytes = (size_t)512 << 20};
  REQUIRE_OK(covey_group_open(NULL, "jobs", NULL));
  CHECK_ERR(covey_group_open(NULL, "jobs", NULL), COVEY_EEXIST);
  CHECK_ERR(covey_group_open(NULL, "default", NULL), COVEY_EEXIST);
  CHECK_ERR(covey_group_open(NULL, NULL, NULL), COVEY_EEXIST);
  CHECK_ERR(covey_group_open(NULL, "", NULL), COVEY_EINVAL);
  CHECK_ERR(covey_group_open(NULL, COVEY_ANY_GROUP, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_group_open(NULL, test_format("%065d", 1), NULL), COVEY_EINVAL);
  CHECK_ERR(covey_group_open(NULL, "x", &bad), COVEY_EINVAL);
  CHECK_ERR(covey_group_open(NULL, "x", &word), COVEY_EINVAL);
  CHECK_ERR(covey_group_open(NULL, "x", &huge), COVEY_EQUOTA);
  CHECK(strstr(covey_last_failure()->what, "max_bytes") != NULL);
  REQUIRE_OK(covey_group_close(NULL, "jobs"));
  CHECK_ERR(covey_group_close(NULL, "jobs"), COVEY_ENOTFOUND);
  CHECK_ERR(covey_group_close(NULL, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_group_close(NULL, "default"), COVEY_EINVAL);
  CHECK_ERR(covey_group_close(NULL, COVEY_ANY_GROUP), COVEY_EINVAL);
}

TEST(group, opens_again_and_again)
{
  const char *argv[] = {test_helper(), "node-echo", NULL};
  int64_t pid = test_start(argv);
  covey_message m;
  for (int i = 0; i < 6000; i++) { /* more than there are numbers: they are used again */
    REQUIRE_OK(covey_group_open(NULL, "passing", NULL));
    if (i % 500 == 0) {
      REQUIRE_OK(covey_send(NULL, pid, NULL, "x", 1, PATIENCE));
      REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
      covey_message_free(&m);
      send_text("passing", "x", 0);
      expect("passing", "x", 0);
      send_text("passing", "left", 0);
    }
    REQUIRE_OK(covey_group_close(NULL, "passing"));
  }
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

TEST(group, many_at_once)
{
  covey_message m;
  for (int i = 0; i < 4095; i++) REQUIRE_OK(covey_group_open(NULL, test_format("g%d", i), NULL));
  CHECK_ERR(covey_group_open(NULL, "one more", NULL), COVEY_ELIMIT);
  for (int i = 0; i < 4095; i += 100) {
    send_text(test_format("g%d", i), "x", 0);
    REQUIRE_OK(covey_receive(NULL, COVEY_ANY_GROUP, PATIENCE, &m));
    CHECK_STR(m.group, test_format("g%d", i));
    covey_message_free(&m);
  }
}

static test_counter woken;

static void receive_in_it(void *arg)
{
  covey_message m;
  *(int *)arg = covey_receive(NULL, "closing", COVEY_FOREVER, &m);
  test_add(&woken, 1);
}

static bool is_open(void *arg)
{
  (void)arg;
  return covey_group_open(NULL, "closing", NULL) == COVEY_EEXIST;
}

TEST(group, close_wakes_its_receivers)
{
  int results[3] = {1, 1, 1};
  test_thread *threads[3];
  REQUIRE_OK(covey_group_open(NULL, "closing", NULL));
  for (int i = 0; i < 3; i++) threads[i] = test_thread_start(receive_in_it, &results[i]);
  CHECK(test_wait_until(is_open, NULL, PATIENCE));
  test_pause(50);
  REQUIRE_OK(covey_group_close(NULL, "closing"));
  /* who begins after that opens the group anew */
  for (int64_t until = test_now() + PATIENCE; test_add(&woken, 0) < 3 && test_now() < until; test_pause(50))
    (void)covey_group_close(NULL, "closing");
  for (int i = 0; i < 3; i++) {
    test_thread_join(threads[i]);
    CHECK_INT(results[i], COVEY_ECLOSED);
  }
}

TEST(group, close_discards_and_gives_the_room_back)
{
  char block[10000] = {0};
  for (int i = 0; i < 40; i++) {
    REQUIRE_OK(covey_group_open(NULL, "room", NULL));
    int n = 0;
    while (covey_send(NULL, test_pid(), "room", block, sizeof block, 0) == 0) n++;
    CHECK_INT(n, 262144 / 10064);
    REQUIRE_OK(covey_group_close(NULL, "room"));
    CHECK_ERR(covey_send(NULL, test_pid(), "room", block, 1, 0), COVEY_ENOGROUP);
  }
}

TEST(group, any_receives_in_the_order_of_arrival)
{
  REQUIRE_OK(covey_group_open(NULL, "a", NULL));
  REQUIRE_OK(covey_group_open(NULL, "b", NULL));
  send_text("b", "1", 0);
  send_text("a", "2", 0);
  send_text(NULL, "3", 0);
  send_text("a", "4", 0);
  expect(COVEY_ANY_GROUP, "1", 0);
  expect("a", "2", 0);
  expect(COVEY_ANY_GROUP, "3", 0);
  expect(COVEY_ANY_GROUP, "4", 0);
  covey_message m;
  CHECK_ERR(covey_receive(NULL, COVEY_ANY_GROUP, 0, &m), COVEY_ETIMEDOUT);
}

TEST(group, priorities_go_first_where_they_count)
{
  covey_group_options options = {.priorities = 1};
  REQUIRE_OK(covey_group_open(NULL, "urgent", &options));
  REQUIRE_OK(covey_group_open(NULL, "plain", NULL));
  static const char *const groups[] = {"urgent", "plain"};
  for (int i = 0; i < 2; i++) {
    send_text(groups[i], "low1", 0);
    send_text(groups[i], "high1", 7);
    send_text(groups[i], "mid", 3);
    send_text(groups[i], "high2", 7);
    send_text(groups[i], "low2", 0);
  }
  static const char *const ordered[] = {"high1", "high2", "mid", "low1", "low2"};
  static const char *const arrived[] = {"low1", "high1", "mid", "high2", "low2"};
  for (int i = 0; i < 5; i++) expect("urgent", ordered[i], 0);
  for (int i = 0; i < 5; i++) expect("plain", arrived[i], 0);
}

TEST(group, full_by_count)
{
  covey_group_options options = {.max_count = 3};
  REQUIRE_OK(covey_group_open(NULL, "three", &options));
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 3; i++) send_text("three", "x", 0);
    CHECK_ERR(covey_send(NULL, test_pid(), "three", "x", 1, 0), COVEY_EAGAIN);
    for (int i = 0; i < 3; i++) expect("three", "x", 0);
  }
}

static void wants_receipt(void *arg)
{
  covey_send_options to = {
      .pid = test_pid(), .group = "closes", .level = COVEY_LEVEL_CONSUMED, .timeout = PATIENCE};
  int64_t begin = test_now();
  (void)arg;
  CHECK_ERR(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, NULL), COVEY_ENOGROUP);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_SENT);
  CHECK(test_now() - begin < PATIENCE); /* the close tells it, not the deadline */
}

static bool something_waits(void *arg)
{
  covey_statistics now;
  (void)arg;
  REQUIRE_OK(covey_node_statistics(NULL, &now));
  return now.waiting > 0;
}

/* What waits in a group that closes is discarded: whoever wants to know that it was read learns so. */
TEST(group, a_close_tells_who_waits_for_a_receipt)
{
  REQUIRE_OK(covey_group_open(NULL, "closes", NULL));
  test_thread *thread = test_thread_start(wants_receipt, NULL);
  CHECK(test_wait_until(something_waits, NULL, PATIENCE));
  REQUIRE_OK(covey_group_close(NULL, "closes"));
  test_thread_join(thread);
}

TEST(group, full_drops_the_new)
{
  covey_group_options options = {.max_count = 2, .full = COVEY_FULL_DROP_NEW};
  covey_send_options receipt = {
      .pid = test_pid(), .group = "new", .level = COVEY_LEVEL_CONSUMED, .timeout = PATIENCE};
  REQUIRE_OK(covey_group_open(NULL, "new", &options));
  send_text("new", "1", 0);
  send_text("new", "2", 0);
  send_text("new", "3", 0);
  send_text("new", "4", 0);
  CHECK_ERR(covey_message_send(NULL, &receipt, NULL, 0, NULL), COVEY_EAGAIN);
  expect("new", "1", 0);
  expect("new", "2", 0);
  send_text("new", "5", 0);
  expect("new", "5", 3);
}

TEST(group, full_drops_the_old)
{
  covey_group_options options = {.max_count = 2, .full = COVEY_FULL_DROP_OLD};
  covey_send_options receipt = {
      .pid = test_pid(), .group = "old", .level = COVEY_LEVEL_CONSUMED, .timeout = PATIENCE};
  REQUIRE_OK(covey_group_open(NULL, "old", &options));
  for (int i = 1; i <= 2000; i++) send_text("old", test_format("%d", i), 0);
  expect("old", "1999", 1998);
  expect("old", "2000", 0);
  CHECK_ERR(covey_message_send(NULL, &receipt, NULL, 0, NULL), COVEY_ENOTSUP);
}

TEST(group, full_drops_the_old_by_bytes)
{
  covey_group_options options = {.max_bytes = 10000, .full = COVEY_FULL_DROP_OLD};
  char block[4000] = {0};
  covey_message m;
  REQUIRE_OK(covey_group_open(NULL, "old", &options));
  for (int i = 0; i < 100; i++)
    REQUIRE_OK(covey_send(NULL, test_pid(), "old", block, sizeof block, PATIENCE));
  REQUIRE_OK(covey_receive(NULL, "old", 0, &m));
  CHECK_UINT(m.lost, 98);
  covey_message_free(&m);
  REQUIRE_OK(covey_receive(NULL, "old", 0, &m));
  covey_message_free(&m);
  CHECK_ERR(covey_receive(NULL, "old", 0, &m), COVEY_ETIMEDOUT);
}

TEST(group, a_message_larger_than_its_window)
{
  covey_group_options options = {.max_bytes = 4096};
  uint8_t *data = malloc(3000000);
  covey_message m;
  test_make_pattern(data, 3000000, 0);
  REQUIRE_OK(covey_group_open(NULL, "narrow", &options));
  static const size_t sizes[] = {0, 2000, 2048, 4000, 4096, 5000, 3000000, 10, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    REQUIRE_OK(covey_send(NULL, test_pid(), "narrow", data, sizes[i], PATIENCE));
    REQUIRE_OK(covey_receive(NULL, "narrow", PATIENCE, &m));
    CHECK_UINT(m.size, sizes[i]);
    CHECK(test_is_pattern(m.data, m.size, 0));
    covey_message_free(&m);
  }
  free(data);
}
