/* covey/topic.h, called as nobody should. */
#include "support/test.h"

#include <covey/topic.h>

static const char *too_long(void)
{
  return test_format("%065d", 1);
}

static covey_topic *open_topic(void)
{
  covey_topic *t = NULL;
  REQUIRE_OK(covey_topic_open(NULL, "t", NULL, &t));
  return t;
}

TEST(wrong_topic, topic_open)
{
  covey_topic *t;
  test_fill(&t, sizeof t);
  CHECK_WRONG(covey_topic_open(NULL, NULL, NULL, &t));
  CHECK_WRONG(covey_topic_open(NULL, "", NULL, &t));
  CHECK_WRONG(covey_topic_open(NULL, COVEY_ANY_GROUP, NULL, &t));
  CHECK_WRONG(covey_topic_open(NULL, too_long(), NULL, &t));
  CHECK_WRONG(covey_topic_open(NULL, "t", NULL, NULL));
  CHECK_WRONG(covey_topic_open(NULL, "t", &(covey_topic_options){.slow = -1}, &t));
  CHECK_WRONG(covey_topic_open(NULL, "t", &(covey_topic_options){.slow = COVEY_SLOW_END + 1}, &t));
  CHECK_WRONG(covey_topic_open(NULL, "t", &(covey_topic_options){.keep_last = 2}, &t));
  CHECK(strstr(covey_last_failure()->what, "keep_last") != NULL);
  CHECK_WRONG(covey_topic_open(NULL, "t", &(covey_topic_options){.reserved0 = 1}, &t));
  for (int i = 0; i < 4; i++) {
    covey_topic_options o = {.slow = 0};
    o.reserved[i] = 1;
    CHECK_WRONG(covey_topic_open(NULL, "t", &o, &t));
  }
  CHECK(test_is_filled(&t, sizeof t));
  covey_topic_close(open_topic());
  covey_topic_close(NULL);
}

TEST(wrong_topic, publish)
{
  const covey_buffer bad[] = {{"x", 1}, {NULL, 0}, {NULL, 3}},
                     endless[] = {{"x", SIZE_MAX / 2}, {"y", SIZE_MAX / 2}};
  covey_topic *t = open_topic();
  CHECK_WRONG(covey_publish(NULL, "x", 1, 0));
  CHECK_WRONG(covey_publish(t, NULL, 1, 0));
  CHECK_WRONG(covey_publish(t, "x", 1, -2));
  CHECK_ERR(covey_publish(t, "x", SIZE_MAX, 0), COVEY_ETOOBIG);
  CHECK_WRONG(covey_topic_publish(NULL, NULL, NULL, 0));
  CHECK_WRONG(covey_topic_publish(t, NULL, NULL, 1));
  CHECK_WRONG(covey_topic_publish(t, NULL, bad, 3));
  CHECK_INT(covey_last_failure()->index, 2);
  CHECK_ERR(covey_topic_publish(t, NULL, endless, 2), COVEY_ETOOBIG);
  CHECK_WRONG(covey_topic_publish(t, &(covey_publish_options){.timeout = -2}, NULL, 0));
  for (int i = 0; i < 4; i++) {
    covey_publish_options o = {.timeout = 1};
    o.reserved[i] = 1;
    CHECK_WRONG(covey_topic_publish(t, &o, NULL, 0));
  }
  CHECK_WRONG(covey_topic_wait(NULL, 0, 0));
  CHECK_WRONG(covey_topic_wait(t, 0, -2));
  CHECK_INT(covey_topic_publish(t, NULL, NULL, 0), 0);
  CHECK_INT(covey_topic_wait(t, 0, 0), 0);
  covey_topic_close(t);
}

static void refused(covey_subscribe_options o)
{
  covey_subscription *s;
  test_fill(&s, sizeof s);
  CHECK_WRONG(covey_topic_subscribe(NULL, &o, &s));
  CHECK(test_is_filled(&s, sizeof s));
}

TEST(wrong_topic, subscribe)
{
  covey_message none = {0};
  covey_subscription *s;
  int64_t pid = test_pid();
  covey_topic *t = open_topic();
  test_fill(&s, sizeof s);
  CHECK_WRONG(covey_subscribe(NULL, 0, "t", 0, &s));
  CHECK_WRONG(covey_subscribe(NULL, -4, "t", 0, &s));
  CHECK_WRONG(covey_subscribe(NULL, pid, NULL, 0, &s));
  CHECK_WRONG(covey_subscribe(NULL, pid, "", 0, &s));
  CHECK_WRONG(covey_subscribe(NULL, pid, COVEY_ANY_GROUP, 0, &s));
  CHECK_WRONG(covey_subscribe(NULL, pid, too_long(), 0, &s));
  CHECK_WRONG(covey_subscribe(NULL, pid, "t", -2, &s));
  CHECK_WRONG(covey_subscribe(NULL, pid, "t", TEST_SOON, NULL));
  CHECK_ERR(covey_subscribe(NULL, INT64_MAX, "t", TEST_SOON, &s), COVEY_ENOPEER); /* at once */
  CHECK_WRONG(covey_topic_subscribe(NULL, NULL, &s));
  CHECK_WRONG(covey_topic_subscribe(NULL, &(covey_subscribe_options){.pid = pid, .topic = "t"}, NULL));
  CHECK_ERR(covey_topic_subscribe(
                NULL, &(covey_subscribe_options){.pid = pid, .topic = "t", .max_bytes = SIZE_MAX}, &s),
            COVEY_EQUOTA);
  CHECK(test_is_filled(&s, sizeof s));
  refused((covey_subscribe_options){0});
  refused((covey_subscribe_options){.topic = "t"});
  refused((covey_subscribe_options){.pid = pid});
  refused((covey_subscribe_options){.pid = pid, .name = "x", .topic = "t"});
  refused((covey_subscribe_options){.pid = pid, .reply_to = &none, .topic = "t"});
  refused((covey_subscribe_options){.reply_to = &none, .topic = "t"});
  refused((covey_subscribe_options){.name = "../x", .topic = "t"});
  refused((covey_subscribe_options){.pid = pid, .topic = too_long()});
  refused((covey_subscribe_options){.pid = pid, .topic = "t", .timeout = -2});
  for (int i = 1; i < 32; i++) refused((covey_subscribe_options){.pid = pid, .topic = "t", .flags = 1u << i});
  for (int i = 0; i < 6; i++) {
    covey_subscribe_options o = {.pid = pid, .topic = "t"};
    o.reserved[i] = 1;
    refused(o);
  }
  REQUIRE_OK(covey_subscribe(NULL, pid, "t", TEST_SOON, &s));
  covey_unsubscribe(s);
  covey_unsubscribe(NULL);
  covey_topic_close(t);
}

static void never(covey_message *message, int code, void *arg)
{
  TEST_FAIL("called with %p, %d, %p", (void *)message, code, arg);
}

TEST(wrong_topic, topic_next)
{
  covey_subscription *s;
  covey_message m;
  covey_topic *t = open_topic();
  REQUIRE_OK(covey_subscribe(NULL, test_pid(), "t", TEST_SOON, &s));
  test_fill(&m, sizeof m);
  CHECK_WRONG(covey_topic_next(NULL, 0, &m));
  CHECK_WRONG(covey_topic_next(s, 0, NULL));
  CHECK_WRONG(covey_topic_next(s, -2, &m));
  CHECK_WRONG(covey_topic_receive(NULL, NULL, &m));
  CHECK_WRONG(covey_topic_receive(s, NULL, NULL));
  CHECK_WRONG(covey_topic_receive(s, &(covey_receive_options){.group = "t"}, &m));
  CHECK_WRONG(covey_topic_receive(s, &(covey_receive_options){.timeout = -2}, &m));
  CHECK_WRONG(covey_topic_receive(s, &(covey_receive_options){.flags = 2}, &m));
  CHECK_WRONG(covey_topic_receive(s, &(covey_receive_options){.reserved0 = 1}, &m));
  CHECK_WRONG(covey_topic_receive(s, &(covey_receive_options){.reserved = {0, 0, 0, 1}}, &m));
  CHECK(test_is_filled(&m, sizeof m));
  CHECK_WRONG(covey_topic_on_message(NULL, never, NULL));
  CHECK_WRONG(covey_topic_on_message(NULL, NULL, NULL));
  CHECK_OK(covey_topic_on_message(s, NULL, NULL)); /* nothing to take away */
  CHECK_UINT(covey_subscription_lost(NULL), 0);
  CHECK_INT(covey_publish(t, "x", 1, 0), 1);
  REQUIRE_OK(covey_topic_receive(s, NULL, &m));
  CHECK_STR(m.data, "x");
  covey_message_free(&m);
  covey_unsubscribe(s);
  covey_topic_close(t);
}
