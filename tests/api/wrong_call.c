/* covey/call.h, called as nobody should. */
#include "support/test.h"

#include <covey/call.h>

static const char *too_long(void)
{
  return test_format("%065d", 1);
}

static void nothing(covey_request *q, void *arg)
{
  (void)q;
  (void)arg;
}

static void still_works(void)
{
  covey_request q;
  covey_reply reply;
  covey_pending *p;
  covey_call_options o = {.pid = test_pid(), .function = "f", .timeout = TEST_SOON};

  CHECK_ERR(covey_call_receive(NULL, "f", 0, &q), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_call_start(NULL, &o, &(covey_buffer){"x", 1}, 1, &p));
  REQUIRE_OK(covey_call_receive(NULL, "f", TEST_SOON, &q));
  CHECK_OK(covey_call_reply(&q, 0, "y", 1));
  covey_request_free(&q);
  REQUIRE_OK(covey_call_wait(p, TEST_SOON, &reply));
  CHECK_STR(reply.data, "y");
  covey_reply_free(&reply);
  covey_call_close(p);
}

TEST(wrong_call, call)
{
  covey_reply r;

  test_fill(&r, sizeof r);
  CHECK_WRONG(covey_call(NULL, 0, "f", "x", 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, -4, "f", "x", 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), NULL, "x", 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), "", "x", 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), COVEY_ANY_GROUP, "x", 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), too_long(), "x", 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), "f", NULL, 1, 0, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), "f", "x", 1, -2, &r));
  CHECK_WRONG(covey_call(NULL, test_pid(), "f", "x", 1, 0, NULL));
  CHECK_ERR(covey_call(NULL, INT64_MAX, "f", "x", 1, TEST_SOON, &r), COVEY_ENOPEER); /* at once */
  CHECK_ERR(covey_call(NULL, test_pid(), "f", "x", SIZE_MAX, TEST_SOON, &r), COVEY_ETOOBIG);
  CHECK(test_is_filled(&r, sizeof r));
  still_works();
}

static void refused(covey_call_options o)
{
  covey_reply r;
  covey_pending *p;

  test_fill(&r, sizeof r);
  test_fill(&p, sizeof p);
  CHECK_WRONG(covey_call_run(NULL, &o, &(covey_buffer){"x", 1}, 1, &r));
  CHECK_WRONG(covey_call_start(NULL, &o, &(covey_buffer){"x", 1}, 1, &p));
  CHECK(test_is_filled(&r, sizeof r));
  CHECK(test_is_filled(&p, sizeof p));
}

static void never(covey_pending *p, void *arg)
{
  (void)arg;
  covey_call_close(p);
  TEST_FAIL("called back");
}

TEST(wrong_call, call_run_and_start)
{
  covey_message none = {0};
  covey_reply r;
  covey_pending *p;
  int64_t pid = test_pid();
  const covey_buffer bad[] = {{"x", 1}, {NULL, 0}, {NULL, 3}},
                     endless[] = {{"x", SIZE_MAX / 2}, {"y", SIZE_MAX / 2}};
  covey_call_options o = {.pid = pid, .function = "f"};

  CHECK_WRONG(covey_call_run(NULL, NULL, NULL, 0, &r));
  CHECK_WRONG(covey_call_start(NULL, NULL, NULL, 0, &p));
  CHECK_WRONG(covey_call_run(NULL, &o, NULL, 0, NULL));
  CHECK_WRONG(covey_call_start(NULL, &o, NULL, 0, NULL));
  CHECK_WRONG(covey_call_run(NULL, &o, NULL, 1, &r));
  CHECK_WRONG(covey_call_start(NULL, &o, NULL, 1, &p));
  CHECK_WRONG(covey_call_run(NULL, &o, bad, 3, &r));
  CHECK_INT(covey_last_failure()->index, 2);
  CHECK_WRONG(covey_call_start(NULL, &o, bad, 3, &p));
  CHECK_ERR(covey_call_run(NULL, &o, endless, 2, &r), COVEY_ETOOBIG);
  refused((covey_call_options){0});
  refused((covey_call_options){.function = "f"});
  refused((covey_call_options){.pid = pid});
  refused((covey_call_options){.pid = pid, .name = "x", .function = "f"});
  refused((covey_call_options){.pid = pid, .reply_to = &none, .function = "f"});
  refused((covey_call_options){.reply_to = &none, .function = "f"});
  refused((covey_call_options){.pid = -1, .function = "f"});
  refused((covey_call_options){.name = "../x", .function = "f"});
  refused((covey_call_options){.pid = pid, .function = ""});
  refused((covey_call_options){.pid = pid, .function = too_long()});
  refused((covey_call_options){.pid = pid, .function = COVEY_ANY_GROUP});
  refused((covey_call_options){.pid = pid, .function = "f", .timeout = -2});
  refused((covey_call_options){.pid = pid, .function = "f", .priority = 8});
  refused((covey_call_options){.pid = pid, .function = "f", .priority = -1});
  refused((covey_call_options){.pid = pid, .function = "f", .reply_max = SIZE_MAX});
  for (int i = 1; i < 32; i++) refused((covey_call_options){.pid = pid, .function = "f", .flags = 1u << i});
  for (int i = 0; i < 6; i++) {
    covey_call_options word = {.pid = pid, .function = "f"};
    word.reserved[i] = 1;
    refused(word);
  }
  o.on_done = never;
  CHECK_WRONG(covey_call_run(NULL, &o, NULL, 0, &r));
  o.pid = INT64_MAX;
  CHECK_ERR(covey_call_start(NULL, &o, NULL, 0, &p), COVEY_ENOPEER); /* and nobody is called back */
  still_works();
}

TEST(wrong_call, call_wait)
{
  covey_pending *none[2] = {NULL, NULL}, *p;
  covey_reply r;
  covey_request q;
  covey_call_options o = {.pid = test_pid(), .function = "f", .timeout = TEST_SOON};

  CHECK_ERR(covey_call_receive(NULL, "f", 0, &q), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_call_start(NULL, &o, NULL, 0, &p));
  CHECK_WRONG(covey_call_wait(NULL, 0, &r));
  CHECK_WRONG(covey_call_wait(p, 0, NULL));
  CHECK_WRONG(covey_call_wait(p, -2, &r));
  CHECK_WRONG(covey_call_wait_any(NULL, 0, 0));
  CHECK_WRONG(covey_call_wait_any(NULL, 2, 0));
  CHECK_WRONG(covey_call_wait_any(none, 2, 0));
  CHECK_WRONG(covey_call_wait_any(none, 0, 0));
  CHECK_WRONG(covey_call_wait_any(&p, 1, -2));
  CHECK_ERR(covey_call_wait_any(&p, 1, 0), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_call_wait(p, 0, &r), COVEY_EAGAIN);
  covey_call_close(p);
  covey_call_close(NULL);
  covey_call_cancel(NULL);
  covey_reply_free(NULL);
  covey_reply_free(&(covey_reply){0});
}

TEST(wrong_call, call_receive)
{
  covey_request q;
  covey_receive_options o = {.group = "f", .flags = COVEY_RECEIVE_TRY};

  test_fill(&q, sizeof q);
  CHECK_WRONG(covey_call_receive(NULL, NULL, 0, &q));
  CHECK_WRONG(covey_call_receive(NULL, "", 0, &q));
  CHECK_WRONG(covey_call_receive(NULL, too_long(), 0, &q));
  CHECK_WRONG(covey_call_receive(NULL, "f", -2, &q));
  CHECK_WRONG(covey_call_receive(NULL, "f", 0, NULL));
  CHECK_WRONG(covey_request_receive(NULL, NULL, &q));
  CHECK_WRONG(covey_request_receive(NULL, &o, NULL));
  CHECK_WRONG(covey_request_receive(NULL, &(covey_receive_options){0}, &q));
  CHECK_WRONG(covey_request_receive(NULL, &(covey_receive_options){.group = "f", .flags = 2}, &q));
  CHECK_WRONG(covey_request_receive(NULL, &(covey_receive_options){.group = "f", .timeout = -2}, &q));
  CHECK_WRONG(covey_request_receive(NULL, &(covey_receive_options){.group = "f", .reserved0 = 1}, &q));
  CHECK_WRONG(covey_request_receive(NULL, &(covey_receive_options){.group = "f", .reserved = {0, 1}}, &q));
  CHECK(test_is_filled(&q, sizeof q));
  still_works();
}

TEST(wrong_call, call_reply)
{
  covey_request none = {0};

  CHECK_WRONG(covey_call_reply(NULL, 0, NULL, 0));
  CHECK_WRONG(covey_call_reply(&none, 0, NULL, 0));
  CHECK_WRONG(covey_call_reply(&none, 0, NULL, 1));
  CHECK_WRONG(covey_request_wanted(NULL));
  CHECK_WRONG(covey_request_wanted(&none));
  CHECK_INT(covey_request_left(NULL), 0);
  CHECK_INT(covey_request_left(&none), 0);
  covey_request_free(NULL);
  covey_request_free(&none);
}

TEST(wrong_call, serve)
{
  CHECK_WRONG(covey_serve(NULL, NULL, nothing, NULL));
  CHECK_WRONG(covey_serve(NULL, "", nothing, NULL));
  CHECK_WRONG(covey_serve(NULL, COVEY_ANY_GROUP, nothing, NULL));
  CHECK_WRONG(covey_serve(NULL, too_long(), nothing, NULL));
  CHECK_WRONG(covey_serve(NULL, "f", NULL, NULL));
  CHECK_WRONG(covey_serve_run(NULL, -2, NULL));
  CHECK_ERR(covey_serve_run(NULL, 0, NULL), COVEY_ETIMEDOUT);
  CHECK_WRONG(covey_serve_close(NULL, NULL));
  CHECK_WRONG(covey_serve_close(NULL, ""));
  CHECK_WRONG(covey_serve_close(NULL, COVEY_ANY_GROUP));
  CHECK_WRONG(covey_serve_close(NULL, too_long()));
  CHECK_ERR(covey_serve_close(NULL, "f"), COVEY_ENOTFOUND);
  still_works();
}
