/* covey/channel.h, called as nobody should. */
#include "support/test.h"

#include <covey/channel.h>

static const char *too_long(void)
{
  return test_format("%065d", 1);
}

static void open_pair(covey_channel **l, covey_channel **r)
{
  covey_channel_options o = {.pid = test_pid(), .endpoint = "e", .flags = COVEY_CHANNEL_TRY};
  covey_endpoint_open(NULL, "e", NULL);
  REQUIRE_OK(covey_channel_open(NULL, &o, l));
  REQUIRE_OK(covey_channel_accept(NULL, "e", 0, r));
}

static void still_works(covey_channel *l, covey_channel *r)
{
  covey_message m;
  CHECK_OK(covey_channel_send(l, "x", 1, 0));
  REQUIRE_OK(covey_channel_receive(r, TEST_SOON, &m));
  CHECK_STR(m.data, "x");
  covey_message_free(&m);
}

static void refused(covey_channel_options o)
{
  covey_channel *c;
  test_fill(&c, sizeof c);
  CHECK_WRONG(covey_channel_open(NULL, &o, &c));
  CHECK(test_is_filled(&c, sizeof c));
}

TEST(wrong_channel, open)
{
  covey_message none = {0};
  covey_channel *c, *l, *r;
  int64_t pid = test_pid();
  covey_channel_options o = {.pid = pid, .endpoint = "e"};

  open_pair(&l, &r);
  CHECK_WRONG(covey_channel_open(NULL, NULL, &c));
  CHECK_WRONG(covey_channel_open(NULL, &o, NULL));
  refused((covey_channel_options){0});
  refused((covey_channel_options){.pid = pid});
  refused((covey_channel_options){.endpoint = "e"});
  refused((covey_channel_options){.pid = pid, .name = "x", .endpoint = "e"});
  refused((covey_channel_options){.pid = pid, .reply_to = &none, .endpoint = "e"});
  refused((covey_channel_options){.reply_to = &none, .endpoint = "e"});
  refused((covey_channel_options){.pid = -1, .endpoint = "e"});
  refused((covey_channel_options){.name = "../x", .endpoint = "e"});
  refused((covey_channel_options){.pid = pid, .endpoint = ""});
  refused((covey_channel_options){.pid = pid, .endpoint = too_long()});
  refused((covey_channel_options){.pid = pid, .endpoint = COVEY_ANY_GROUP});
  refused((covey_channel_options){.pid = pid, .endpoint = "e", .timeout = -2});
  refused((covey_channel_options){.pid = pid, .endpoint = "e", .window = 4095});
  refused((covey_channel_options){.pid = pid, .endpoint = "e", .reserved0 = 1});
  for (int i = 1; i < 32; i++)
    refused((covey_channel_options){.pid = pid, .endpoint = "e", .flags = 1u << i});
  for (int i = 0; i < 6; i++) {
    covey_channel_options word = o;
    word.reserved[i] = 1;
    refused(word);
  }
  o.window = SIZE_MAX;
  CHECK_ERR(covey_channel_open(NULL, &o, &c), COVEY_EQUOTA);
  still_works(l, r);
  covey_channel_close(l, 0);
  covey_channel_close(r, 0);
}

static void never_opened(covey_channel *channel, int code, void *arg)
{
  TEST_FAIL("called with %p, %d, %p", (void *)channel, code, arg);
}

TEST(wrong_channel, endpoints)
{
  covey_channel *c;
  covey_receive_options o = {.group = "e", .flags = COVEY_RECEIVE_TRY};

  test_fill(&c, sizeof c);
  CHECK_WRONG(covey_channel_accept(NULL, NULL, 0, &c));
  CHECK_WRONG(covey_channel_accept(NULL, "", 0, &c));
  CHECK_WRONG(covey_channel_accept(NULL, COVEY_ANY_GROUP, 0, &c));
  CHECK_WRONG(covey_channel_accept(NULL, too_long(), 0, &c));
  CHECK_WRONG(covey_channel_accept(NULL, "e", -2, &c));
  CHECK_WRONG(covey_channel_accept(NULL, "e", 0, NULL));
  CHECK_WRONG(covey_endpoint_accept(NULL, NULL, &c));
  CHECK_WRONG(covey_endpoint_accept(NULL, &o, NULL));
  CHECK_WRONG(covey_endpoint_accept(NULL, &(covey_receive_options){0}, &c));
  CHECK_WRONG(covey_endpoint_accept(NULL, &(covey_receive_options){.group = "e", .flags = 2}, &c));
  CHECK_WRONG(covey_endpoint_accept(NULL, &(covey_receive_options){.group = "e", .timeout = -2}, &c));
  CHECK_WRONG(covey_endpoint_accept(NULL, &(covey_receive_options){.group = "e", .reserved0 = 1}, &c));
  CHECK_ERR(covey_endpoint_accept(NULL, &o, &c), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&c, sizeof c));
  CHECK_WRONG(covey_endpoint_on_channel(NULL, NULL, never_opened, NULL));
  CHECK_WRONG(covey_endpoint_on_channel(NULL, "", never_opened, NULL));
  CHECK_WRONG(covey_endpoint_on_channel(NULL, COVEY_ANY_GROUP, never_opened, NULL));
  CHECK_WRONG(covey_endpoint_on_channel(NULL, too_long(), never_opened, NULL));
  CHECK_OK(covey_endpoint_on_channel(NULL, "of nobody", NULL, NULL));
  CHECK_WRONG(covey_endpoint_open(NULL, NULL, NULL));
  CHECK_WRONG(covey_endpoint_open(NULL, "", NULL));
  CHECK_WRONG(covey_endpoint_open(NULL, COVEY_ANY_GROUP, NULL));
  CHECK_WRONG(covey_endpoint_open(NULL, too_long(), NULL));
  CHECK_WRONG(covey_endpoint_open(NULL, "x", &(covey_group_options){.max_bytes = 1}));
  CHECK_WRONG(covey_endpoint_open(NULL, "x", &(covey_group_options){.full = COVEY_FULL_DROP_NEW}));
  CHECK_WRONG(covey_endpoint_open(NULL, "x", &(covey_group_options){.priorities = 1}));
  CHECK(strstr(covey_last_failure()->what, "priorities") != NULL);
  CHECK_WRONG(covey_endpoint_open(NULL, "x", &(covey_group_options){.handles = 1}));
  CHECK_WRONG(covey_endpoint_open(NULL, "x", &(covey_group_options){.reserved = {0, 0, 0, 1}}));
  CHECK_ERR(covey_endpoint_open(NULL, "x", &(covey_group_options){.max_bytes = SIZE_MAX}), COVEY_EQUOTA);
  CHECK_ERR(covey_endpoint_open(NULL, "e", NULL), COVEY_EEXIST); /* by the accept */
  CHECK_WRONG(covey_endpoint_close(NULL, NULL));
  CHECK_WRONG(covey_endpoint_close(NULL, ""));
  CHECK_WRONG(covey_endpoint_close(NULL, COVEY_ANY_GROUP));
  CHECK_WRONG(covey_endpoint_close(NULL, too_long()));
  CHECK_ERR(covey_endpoint_close(NULL, "x"), COVEY_ENOTFOUND);
}

static void not_to_be_sent(covey_channel *c, covey_send_options o)
{
  CHECK_WRONG(covey_channel_message_send(c, &o, &(covey_buffer){"x", 1}, 1));
}

static void never(covey_message *message, int code, void *arg)
{
  TEST_FAIL("called with %p, %d, %p", (void *)message, code, arg);
}

static void never_room(covey_channel *channel, void *arg)
{
  TEST_FAIL("called with %p, %p", (void *)channel, arg);
}

TEST(wrong_channel, send_and_receive)
{
  covey_channel *l, *r;
  covey_message m, none = {0};
  covey_identity who;

  open_pair(&l, &r);
  test_fill(&m, sizeof m);
  CHECK_WRONG(covey_channel_send(NULL, "x", 1, 0));
  CHECK_WRONG(covey_channel_send(l, NULL, 1, 0));
  CHECK_WRONG(covey_channel_send(l, "x", 1, -2));
  CHECK_ERR(covey_channel_send(l, "x", SIZE_MAX / 2 - 1, 0), COVEY_ETOOBIG);
  CHECK_WRONG(covey_channel_message_send(NULL, NULL, NULL, 0));
  CHECK_WRONG(covey_channel_message_send(l, NULL, NULL, 1));
  CHECK_WRONG(covey_channel_message_send(l, NULL, &(covey_buffer){NULL, 2}, 1));
  not_to_be_sent(l, (covey_send_options){.pid = 1});
  not_to_be_sent(l, (covey_send_options){.name = "x"});
  not_to_be_sent(l, (covey_send_options){.reply_to = &none});
  not_to_be_sent(l, (covey_send_options){.group = "x"});
  not_to_be_sent(l, (covey_send_options){.priority = 1});
  not_to_be_sent(l, (covey_send_options){.level = COVEY_LEVEL_CONSUMED});
  not_to_be_sent(l, (covey_send_options){.handles = &(covey_native){0}, .handle_count = 1});
  not_to_be_sent(l, (covey_send_options){.timeout = -2});
  not_to_be_sent(l, (covey_send_options){.flags = 2});
  not_to_be_sent(l, (covey_send_options){.reserved0 = 1});
  not_to_be_sent(l, (covey_send_options){.reserved = {0, 0, 0, 1}});
  CHECK_WRONG(covey_channel_receive(NULL, 0, &m));
  CHECK_WRONG(covey_channel_receive(l, -2, &m));
  CHECK_WRONG(covey_channel_receive(l, 0, NULL));
  CHECK_WRONG(covey_channel_message_receive(NULL, NULL, &m));
  CHECK_WRONG(covey_channel_message_receive(l, NULL, NULL));
  CHECK_WRONG(covey_channel_message_receive(l, &(covey_receive_options){.group = "e"}, &m));
  CHECK_WRONG(covey_channel_message_receive(l, &(covey_receive_options){.flags = 2}, &m));
  CHECK_WRONG(covey_channel_message_receive(l, &(covey_receive_options){.timeout = -2}, &m));
  CHECK(test_is_filled(&m, sizeof m));
  CHECK_WRONG(covey_channel_on_message(NULL, never, NULL));
  CHECK_WRONG(covey_channel_on_message(NULL, NULL, NULL));
  CHECK_OK(covey_channel_on_message(l, NULL, NULL)); /* nothing to take away */
  CHECK_WRONG(covey_channel_on_room(NULL, never_room, NULL));
  CHECK_WRONG(covey_channel_on_room(NULL, NULL, NULL));
  CHECK_OK(covey_channel_on_room(l, NULL, NULL)); /* nothing to take away */
  CHECK_WRONG(covey_channel_identity(NULL, &who));
  CHECK_WRONG(covey_channel_identity(l, NULL));
  CHECK_WRONG(covey_channel_end(NULL));
  CHECK_WRONG(covey_channel_close(l, -2));
  CHECK_INT(covey_channel_close(NULL, 0), 0);
  still_works(l, r);
  still_works(r, l);
  covey_channel_close(l, 0);
  covey_channel_close(r, 0);
}
