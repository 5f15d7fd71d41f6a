/* Every function of covey/message.h, called as nobody should. The node that they meet goes on as if nothing had been. */
#include "support/test.h"

#include <covey/message.h>

static const char *too_long(void)
{
  return test_format("%0*d", COVEY_NAME_MAX + 1, 1);
}

/* Nothing was sent, and nothing is disturbed: the only message that comes is this one. */
static void still_works(void)
{
  covey_message m;

  REQUIRE_OK(covey_send(NULL, test_pid(), NULL, "fine", 4, TEST_SOON));
  REQUIRE_OK(covey_receive(NULL, COVEY_ANY_GROUP, TEST_SOON, &m));
  CHECK_STR(m.data, "fine");
  covey_message_free(&m);
  CHECK_ERR(covey_receive(NULL, COVEY_ANY_GROUP, 0, &m), COVEY_ETIMEDOUT);
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
}

static void group_refused(covey_group_options options)
{
  CHECK_WRONG(covey_group_open(NULL, "g", &options));
}

TEST(wrong_message, group_open)
{
  CHECK_ERR(covey_group_open(NULL, NULL, NULL), COVEY_EEXIST); /* "default" always is */
  CHECK_ERR(covey_group_open(NULL, "default", NULL), COVEY_EEXIST);
  CHECK_WRONG(covey_group_open(NULL, "", NULL));
  CHECK_WRONG(covey_group_open(NULL, COVEY_ANY_GROUP, NULL));
  CHECK_WRONG(covey_group_open(NULL, too_long(), NULL));
  group_refused((covey_group_options){.full = -1});
  group_refused((covey_group_options){.full = COVEY_FULL_DROP_OLD + 1});
  group_refused((covey_group_options){.priorities = 2});
  group_refused((covey_group_options){.priorities = -1});
  group_refused((covey_group_options){.handles = 2});
  for (int i = 0; i < 4; i++) {
    covey_group_options options = {0};
    options.reserved[i] = 1;
    group_refused(options);
  }
  CHECK_ERR(covey_group_open(NULL, "g", &(covey_group_options){.max_bytes = SIZE_MAX}), COVEY_EQUOTA);
  CHECK_ERR(covey_group_close(NULL, "g"), COVEY_ENOTFOUND); /* none of them was opened */
  still_works();
}

TEST(wrong_message, group_close)
{
  CHECK_WRONG(covey_group_close(NULL, NULL));
  CHECK_WRONG(covey_group_close(NULL, "default"));
  CHECK_WRONG(covey_group_close(NULL, ""));
  CHECK_WRONG(covey_group_close(NULL, COVEY_ANY_GROUP));
  CHECK_WRONG(covey_group_close(NULL, too_long()));
  CHECK_ERR(covey_group_close(NULL, "never-opened"), COVEY_ENOTFOUND);
  still_works();
}

static void never(covey_message *m, void *arg)
{
  (void)arg;
  CHECK(m == NULL);
}

TEST(wrong_message, group_on_message)
{
  CHECK_WRONG(covey_group_on_message(NULL, "", never, NULL));
  CHECK_WRONG(covey_group_on_message(NULL, COVEY_ANY_GROUP, never, NULL));
  CHECK_WRONG(covey_group_on_message(NULL, COVEY_ANY_GROUP, NULL, NULL));
  CHECK_WRONG(covey_group_on_message(NULL, too_long(), never, NULL));
  still_works();
}

static void never_room(const covey_room *room, void *arg)
{
  (void)arg;
  CHECK(room == NULL);
}

/* Every function may be a callback, and NULL takes it away: only the node can be wrong. */
TEST(wrong_message, node_on_room)
{
  CHECK_OK(covey_node_on_room(NULL, NULL, NULL)); /* nothing to take away */
  CHECK_OK(covey_node_on_room(NULL, never_room, NULL));
  CHECK_OK(covey_node_on_room(NULL, NULL, NULL));
  still_works();
}

TEST(wrong_message, send)
{
  CHECK_WRONG(covey_send(NULL, 0, NULL, "x", 1, 0));
  CHECK_WRONG(covey_send(NULL, -4, NULL, "x", 1, 0));
  CHECK_WRONG(covey_send(NULL, INT64_MIN, NULL, "x", 1, 0));
  CHECK_WRONG(covey_send(NULL, test_pid(), NULL, NULL, 1, 0));
  CHECK_WRONG(covey_send(NULL, test_pid(), NULL, "x", 1, -2));
  CHECK_WRONG(covey_send(NULL, test_pid(), "", "x", 1, 0));
  CHECK_WRONG(covey_send(NULL, test_pid(), COVEY_ANY_GROUP, "x", 1, 0));
  CHECK_WRONG(covey_send(NULL, test_pid(), too_long(), "x", 1, 0));
  CHECK_ERR(covey_send(NULL, INT64_MAX, NULL, "x", 1, TEST_SOON),
            COVEY_ENOPEER); /* at once: no such process */
  CHECK_ERR(covey_send(NULL, test_pid(), NULL, "x", SIZE_MAX, TEST_SOON), COVEY_ETOOBIG);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  still_works();
}

static void to_refused(covey_send_options to)
{
  uint64_t id;

  test_fill(&id, sizeof id);
  CHECK_WRONG(covey_message_send(NULL, &to, &(covey_buffer){"x", 1}, 1, &id));
  CHECK(test_is_filled(&id, sizeof id));
}

TEST(wrong_message, message_send_to_whom)
{
  covey_message nothing = {0};
  int64_t pid = test_pid();

  CHECK_WRONG(covey_message_send(NULL, NULL, NULL, 0, NULL));
  to_refused((covey_send_options){0});
  to_refused((covey_send_options){.pid = pid, .name = "x"});
  to_refused((covey_send_options){.pid = pid, .reply_to = &nothing});
  to_refused((covey_send_options){.reply_to = &nothing}); /* was never received */
  to_refused((covey_send_options){.pid = -1});
  to_refused((covey_send_options){.name = ""});
  to_refused((covey_send_options){.name = "../x"});
  to_refused((covey_send_options){.name = too_long()});
  to_refused((covey_send_options){.pid = pid, .priority = 8});
  to_refused((covey_send_options){.pid = pid, .priority = -1});
  to_refused((covey_send_options){.pid = pid, .level = COVEY_LEVEL_CONSUMED + 1});
  to_refused((covey_send_options){.pid = pid, .level = -1});
  to_refused((covey_send_options){.pid = pid, .timeout = -2});
  to_refused((covey_send_options){.pid = pid, .group = ""});
  to_refused((covey_send_options){.pid = pid, .group = COVEY_ANY_GROUP});
  to_refused((covey_send_options){.pid = pid, .group = too_long()});
  to_refused((covey_send_options){.pid = pid, .reserved0 = 1});
  for (int i = 1; i < 32; i++) to_refused((covey_send_options){.pid = pid, .flags = 1u << i});
  to_refused((covey_send_options){.pid = pid, .handle_count = 1});
  to_refused((covey_send_options){.pid = pid, .handles = &(covey_native){0}});
  CHECK_STR(covey_last_failure()->what, "handles without handle_count");
  to_refused(
      (covey_send_options){.pid = pid, .handles = &(covey_native){0}, .handle_count = COVEY_HANDLES_MAX + 1});
  for (int i = 0; i < 4; i++) {
    covey_send_options to = {.pid = pid};
    to.reserved[i] = 1;
    to_refused(to);
  }
  still_works();
}

TEST(wrong_message, message_send_what)
{
  const covey_buffer bad[] = {{"x", 1}, {NULL, 0}, {NULL, 3}},
                     endless[] = {{"x", SIZE_MAX / 2}, {"y", SIZE_MAX / 2}};
  covey_send_options to = {.pid = test_pid(), .timeout = TEST_SOON};
  covey_message m;
  uint64_t id;

  test_fill(&id, sizeof id);
  CHECK_WRONG(covey_message_send(NULL, &to, NULL, 1, &id));
  CHECK_WRONG(covey_message_send(NULL, &to, bad, 3, &id));
  CHECK_INT(covey_last_failure()->index, 2);
  CHECK_ERR(covey_message_send(NULL, &to, endless, 2, &id), COVEY_ETOOBIG);
  CHECK_ERR(covey_message_send(NULL, &to, endless, 1, &id), COVEY_ETOOBIG);
  CHECK(test_is_filled(&id, sizeof id));
  REQUIRE_OK(covey_message_send(NULL, &to, NULL, 0, NULL)); /* an empty message is one */
  REQUIRE_OK(covey_receive(NULL, NULL, TEST_SOON, &m));
  CHECK_UINT(m.size, 0);
  CHECK(m.data != NULL);
  covey_message_free(&m);
  still_works();
}

TEST(wrong_message, send_many)
{
  const covey_buffer bad[] = {{"x", 1}, {NULL, 0}, {NULL, 3}};
  covey_send_options to = {.pid = test_pid(), .timeout = TEST_SOON};

  CHECK_WRONG(covey_send_many(NULL, NULL, bad, 1));
  CHECK_WRONG(covey_send_many(NULL, &(covey_send_options){0}, bad, 1));
  CHECK_WRONG(covey_send_many(NULL, &to, NULL, 1));
  CHECK_WRONG(covey_send_many(NULL, &to, bad, SIZE_MAX));
  CHECK_WRONG(covey_send_many(NULL, &to, bad, 3));
  CHECK_INT(covey_last_failure()->index, 2);
  CHECK_ERR(covey_send_many(NULL, &to, &(covey_buffer){"x", SIZE_MAX}, 1), COVEY_ETOOBIG);
  to.reserved0 = 1;
  CHECK_WRONG(covey_send_many(NULL, &to, bad, 1));
  still_works();
}

TEST(wrong_message, receive_many_and_into)
{
  covey_message m;
  covey_identity from;
  char data[4];
  covey_receive_options look = {.flags = COVEY_RECEIVE_TRY}, bad = {.timeout = -2};

  test_fill(&m, sizeof m);
  test_fill(&from, sizeof from);
  CHECK_WRONG(covey_receive_many(NULL, &look, NULL, 1));
  CHECK_WRONG(covey_receive_many(NULL, &look, &m, 0));
  CHECK_WRONG(covey_receive_many(NULL, &look, &m, SIZE_MAX));
  CHECK_WRONG(covey_receive_many(NULL, &bad, &m, 1));
  CHECK_WRONG(covey_receive_into(NULL, &look, NULL, 1, &from));
  CHECK_WRONG(covey_receive_into(NULL, &bad, data, sizeof data, &from));
  CHECK_ERR(covey_receive_many(NULL, &look, &m, 1), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_receive_into(NULL, &look, data, sizeof data, &from), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&m, sizeof m) && test_is_filled(&from, sizeof from));
  still_works();
}

TEST(wrong_message, receive)
{
  covey_message m;

  test_fill(&m, sizeof m);
  CHECK_WRONG(covey_receive(NULL, NULL, 0, NULL));
  CHECK_WRONG(covey_receive(NULL, NULL, -2, &m));
  CHECK_WRONG(covey_receive(NULL, "", 0, &m));
  CHECK_WRONG(covey_receive(NULL, too_long(), 0, &m));
  CHECK_ERR(covey_receive(NULL, NULL, 0, &m), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&m, sizeof m));
  still_works();
}

static void options_refused(covey_receive_options options)
{
  covey_message m;

  test_fill(&m, sizeof m);
  CHECK_WRONG(covey_message_receive(NULL, &options, &m));
  CHECK(test_is_filled(&m, sizeof m));
}

TEST(wrong_message, message_receive)
{
  CHECK_WRONG(covey_message_receive(NULL, NULL, NULL));
  CHECK_WRONG(covey_message_receive(NULL, &(covey_receive_options){.flags = COVEY_RECEIVE_TRY}, NULL));
  options_refused((covey_receive_options){.timeout = -2});
  options_refused((covey_receive_options){.group = ""});
  options_refused((covey_receive_options){.group = too_long()});
  options_refused((covey_receive_options){.reserved0 = 1});
  for (int i = 1; i < 32; i++) options_refused((covey_receive_options){.flags = 1u << i});
  for (int i = 0; i < 4; i++) {
    covey_receive_options options = {0};
    options.reserved[i] = 1;
    options_refused(options);
  }
  still_works();
}

TEST(wrong_message, message_free)
{
  covey_message nothing = {0};

  covey_message_free(NULL);
  covey_message_free(&nothing);
  covey_message_free(&nothing);
}
