/* A cancel object that was fired before the call: nothing waits, and what needs no wait is done. */
#include "support/test.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/message.h>
#include <covey/process.h>
#include <covey/topic.h>

static covey_cancel *fired(void)
{
  covey_cancel *c = NULL;
  REQUIRE_OK(covey_cancel_new(&c));
  covey_cancel_fire(c);
  return c;
}

TEST(cancel_fired, messages)
{
  covey_cancel *c = fired();
  covey_receive_options from = {.group = "g", .cancel = c};
  covey_send_options to = {.pid = test_pid(), .group = "g", .cancel = c};
  covey_buffer one = {"x", 1};
  covey_message m;
  char byte;

  REQUIRE_OK(covey_group_open(NULL, "g", &(covey_group_options){.max_count = 2}));
  CHECK_OK(covey_message_send(NULL, &to, &one, 1, NULL));
  CHECK_INT(covey_send_many(NULL, &to, &one, 1), 1);
  CHECK_ERR(covey_message_send(NULL, &to, &one, 1, NULL), COVEY_ECANCELED); /* no room */
  REQUIRE_OK(covey_message_receive(NULL, &from, &m));
  covey_message_free(&m);
  CHECK_INT(covey_receive_into(NULL, &from, &byte, 1, NULL), 1);
  CHECK_ERR(covey_message_receive(NULL, &from, &m), COVEY_ECANCELED);
  CHECK_ERR(covey_receive_many(NULL, &from, &m, 1), COVEY_ECANCELED);
  covey_cancel_reset(c);
  REQUIRE_OK(covey_send(NULL, test_pid(), "g", "y", 1, TEST_SOON));
  REQUIRE_OK(covey_message_receive(NULL, &from, &m));
  covey_message_free(&m);
  CHECK_INT(covey_node_close(NULL, TEST_SOON), 0);
  covey_cancel_free(c);
}

TEST(cancel_fired, topics_channels_and_calls)
{
  covey_cancel *c = fired();
  covey_receive_options from = {.cancel = c};
  covey_topic *topic;
  covey_subscription *s;
  covey_channel *channel, *side;
  covey_message m;
  covey_reply reply;

  REQUIRE_OK(covey_topic_open(NULL, "t", NULL, &topic));
  REQUIRE_OK(covey_subscribe(NULL, test_pid(), "t", TEST_SOON, &s));
  CHECK_INT(covey_publish(topic, "x", 1, 0), 1);
  REQUIRE_OK(covey_topic_receive(s, &from, &m));
  covey_message_free(&m);
  CHECK_ERR(covey_topic_receive(s, &from, &m), COVEY_ECANCELED);
  covey_unsubscribe(s);
  covey_topic_close(topic);

  REQUIRE_OK(covey_endpoint_open(NULL, "e", NULL));
  covey_channel_options to = {.pid = test_pid(), .endpoint = "e", .cancel = c};
  CHECK_ERR(covey_channel_open(NULL, &to, &channel), COVEY_ECANCELED); /* nobody accepts */
  to = (covey_channel_options){.pid = test_pid(), .endpoint = "e", .flags = COVEY_CHANNEL_TRY};
  REQUIRE_OK(covey_channel_open(NULL, &to, &channel));
  covey_receive_options at = {.group = "e", .cancel = c};
  REQUIRE_OK(covey_endpoint_accept(NULL, &at, &side));
  REQUIRE_OK(covey_channel_send(side, "x", 1, TEST_SOON));
  REQUIRE_OK(covey_channel_message_receive(channel, &from, &m));
  covey_message_free(&m);
  CHECK_ERR(covey_channel_message_receive(channel, &from, &m), COVEY_ECANCELED);
  CHECK_OK(covey_channel_close(channel, 0));
  CHECK_OK(covey_channel_close(side, 0));

  covey_call_options call = {.pid = test_pid(), .function = "f", .cancel = c};
  CHECK_ERR(covey_call_run(NULL, &call, NULL, 0, &reply), COVEY_ECANCELED);
  CHECK_OK(covey_node_close(NULL, TEST_SOON));
  covey_cancel_free(c);
}

TEST(cancel_fired, processes)
{
  covey_cancel *c = fired();
  covey_process_options o = {.argv = TEST_HELPER("exit", "3"), .cancel = c};
  covey_process *p;
  covey_result r;
  covey_exit e;

  CHECK_ERR(covey_run(&o, &r), COVEY_ECANCELED);
  REQUIRE_OK(covey_spawn(&o, &p)); /* this one waits for nothing */
  covey_cancel_reset(c);
  REQUIRE_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_cancel_fire(c);
  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e)); /* known already */
  CHECK_UINT(e.code, 3);
  covey_process_close(p);
  o.argv = TEST_HELPER("hang");
  REQUIRE_OK(covey_spawn(&o, &p));
  CHECK_ERR(covey_process_wait(p, TEST_SOON, NULL), COVEY_ECANCELED);
  covey_process_close(p);
  covey_cancel_free(c);
}

/* The object of one is not the others': a wait for any of them goes on until there is nobody left to wait for. */
TEST(cancel_fired, processes_of_several_objects)
{
  covey_cancel *c[2] = {fired(), NULL};
  covey_process *p[3];
  size_t index = 9;

  REQUIRE_OK(covey_cancel_new(&c[1]));
  for (int i = 0; i < 3; i++) {
    covey_process_options o = {.argv = TEST_HELPER("hang"), .cancel = c[i % 2], .out.kind = COVEY_STDIO_NULL};
    REQUIRE_OK(covey_spawn(&o, &p[i]));
  }
  CHECK_ERR(covey_process_wait_any(p, 3, 50, &index), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_process_wait_any(p, 1, TEST_SOON, &index), COVEY_ECANCELED);
  CHECK_OK(covey_process_kill(p[2]));
  CHECK_OK(covey_process_wait_any(p, 3, TEST_SOON, &index)); /* a cancelled one that has ended has ended */
  CHECK_UINT(index, 2);
  covey_process_cancel(p[1]);
  CHECK_ERR(covey_process_wait_any(p, 2, TEST_SOON, &index), COVEY_ECANCELED);
  CHECK_UINT(index, 2);
  CHECK_OK(covey_process_stop(p[0], 0, NULL)); /* it cleans up behind */
  for (int i = 0; i < 3; i++) covey_process_close(p[i]);
  covey_cancel_free(c[0]);
  covey_cancel_free(c[1]);
}

static void fire(void *arg)
{
  test_pause(50); /* so that it waits, as a rule */
  covey_cancel_fire(arg);
}

TEST(cancel_fired, while_any_is_waited_for)
{
  for (int own = 0; own < 2; own++) {
    covey_cancel *c[2] = {NULL, NULL};
    covey_process *p[2];
    test_thread *t[2];
    size_t index = 9;

    for (int i = 0; i < 2; i++) {
      if (i == 0 || own) REQUIRE_OK(covey_cancel_new(&c[i]));
      covey_process_options o = {
          .argv = TEST_HELPER("hang"), .cancel = own ? c[i] : c[0], .out.kind = COVEY_STDIO_NULL};
      REQUIRE_OK(covey_spawn(&o, &p[i]));
    }
    for (int i = 0; i < 2; i++) t[i] = test_thread_start(fire, c[i]);
    CHECK_ERR(covey_process_wait_any(p, 2, TEST_SOON, &index), COVEY_ECANCELED);
    CHECK_UINT(index, 9);
    for (int i = 0; i < 2; i++) {
      test_thread_join(t[i]);
      covey_process_close(p[i]);
      covey_cancel_free(c[i]);
    }
  }
}
