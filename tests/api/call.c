/* Request and reply: what comes back, many at a time, both ways at once, giving up. */
#include "support/test.h"

#include <covey/call.h>
#include <covey/process.h>

enum { PATIENCE = 30000 };

static int64_t serve(const char *function)
{
  return test_start(TEST_HELPER("call-serve", function));
}

static void end(int64_t pid)
{
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

static void expect(covey_reply *reply, int64_t pid, int32_t status, const char *text)
{
  CHECK_STR(reply->data, text);
  CHECK_UINT(reply->size, strlen(text));
  CHECK_INT(reply->status, status);
  CHECK_INT(reply->from.pid, pid);
  CHECK_UINT((uintptr_t)reply->data % 16, 0);
  covey_reply_free(reply);
  CHECK(reply->data == NULL);
}

static void ask(int64_t pid, const char *text, int32_t status, const char *wanted)
{
  covey_reply reply;
  REQUIRE_OK(covey_call(NULL, pid, "f", text, strlen(text), PATIENCE, &reply));
  expect(&reply, pid, status, wanted);
}

static covey_pending *start(const covey_call_options *o, const char *text)
{
  covey_pending *p = NULL;
  REQUIRE_OK(covey_call_start(NULL, o, &(covey_buffer){text, strlen(text)}, 1, &p));
  return p;
}

TEST(call, another_process_answers)
{
  int64_t pid = serve("f");
  ask(pid, "hello", 0, "hello");
  ask(pid, "", 0, "");
  ask(pid, "pid", 0, test_format("%" PRId64, pid));
  ask(pid, "status -7", -7, "");
  ask(pid, "status 2147483647", 2147483647, "");
  covey_reply reply;
  REQUIRE_OK(covey_call(NULL, pid, "f", "quit", 4, PATIENCE, &reply)); /* a close loses no answer */
  expect(&reply, pid, 0, "quit");
  CHECK(test_process_ended(pid, PATIENCE));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(call, of_every_size)
{
  static const size_t sizes[] = {0, 1, 4000, 65519, 65520, 65521, 65536, 262144, 1000000, 16777216};
  int64_t pid = serve("f");
  uint8_t *data = malloc(16777217);
  test_make_pattern(data, 16777217, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    covey_call_options o = {.pid = pid, .function = "f", .timeout = PATIENCE, .reply_max = 16777216};
    const covey_buffer pieces[] = {
        {data, sizes[i] / 3}, {NULL, 0}, {data + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
    covey_reply reply = {0};
    REQUIRE_OK(covey_call_run(NULL, &o, pieces, 3, &reply));
    CHECK_UINT(reply.size, sizes[i]);
    CHECK(test_is_pattern(reply.data, reply.size, 0));
    CHECK_INT(((const char *)reply.data)[reply.size], 0);
    covey_reply_free(&reply);
    char *text = test_format("size %zu", sizes[i]);
    REQUIRE_OK(covey_call_run(NULL, &o, &(covey_buffer){text, strlen(text)}, 1, &reply));
    CHECK_UINT(reply.size, sizes[i]);
    CHECK(test_is_pattern(reply.data, reply.size, 0));
    covey_reply_free(&reply);
  }
  covey_reply untouched;
  test_fill(&untouched, sizeof untouched);
  CHECK_ERR(covey_call(NULL, pid, "f", data, 16777217, PATIENCE, &untouched), COVEY_ETOOBIG);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK(test_is_filled(&untouched, sizeof untouched));
  free(data);
  end(pid);
}

TEST(call, in_many_small_pieces)
{
  enum { PIECES = 5000 };
  covey_buffer *pieces = malloc(PIECES * sizeof *pieces);
  uint8_t *data = malloc(PIECES * 37);
  covey_reply reply;
  int64_t pid = serve("f");
  covey_call_options o = {.pid = pid, .function = "f", .timeout = PATIENCE};
  test_make_pattern(data, PIECES * 37, 0);
  for (size_t i = 0; i < PIECES; i++) pieces[i] = (covey_buffer){data + i * 37, 37};
  for (size_t count = 6; count < 10; count++) {
    REQUIRE_OK(covey_call_run(NULL, &o, pieces, count, &reply));
    CHECK_UINT(reply.size, count * 37);
    covey_reply_free(&reply);
  }
  REQUIRE_OK(covey_call_run(NULL, &o, pieces, PIECES, &reply));
  CHECK_UINT(reply.size, PIECES * 37);
  CHECK(test_is_pattern(reply.data, reply.size, 0));
  covey_reply_free(&reply);
  free(pieces);
  free(data);
  end(pid);
}

TEST(call, an_answer_that_is_too_long)
{
  int64_t pid = serve("f");
  covey_reply reply;
  covey_call_options o = {.pid = pid, .function = "f", .timeout = PATIENCE, .reply_max = 1000};
  REQUIRE_OK(covey_call_run(NULL, &o, &(covey_buffer){"size 1000", 9}, 1, &reply));
  CHECK_UINT(reply.size, 1000);
  covey_reply_free(&reply);
  REQUIRE_OK(covey_call_run(NULL, &o, &(covey_buffer){"size 1001", 9}, 1, &reply));
  expect(&reply, pid, COVEY_ETOOBIG, "too big"); /* it could answer with less */
  REQUIRE_OK(covey_call(NULL, pid, "f", "size 1048577", 12, PATIENCE, &reply));
  expect(&reply, pid, COVEY_ETOOBIG, "too big");
  o.reply_max = (16 << 20) + 1;
  CHECK_WRONG(covey_call_run(NULL, &o, NULL, 0, &reply));
  end(pid);
}

TEST(call, that_is_dropped_is_answered)
{
  int64_t pid = serve("f");
  covey_reply reply;
  test_fill(&reply, sizeof reply);
  CHECK_ERR(covey_call(NULL, pid, "f", "drop", 4, PATIENCE, &reply), COVEY_EFAILED);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_SENT);
  CHECK(strstr(covey_last_failure()->what, "without an answer") != NULL);
  CHECK(strstr(covey_last_failure()->what, "function f") != NULL);
  CHECK(test_is_filled(&reply, sizeof reply));
  ask(pid, "and works on", 0, "and works on");
  end(pid);
}

TEST(call, start_order_does_not_matter)
{
  covey_reply reply;
  int64_t pid = test_start(TEST_HELPER("node-echo"));
  covey_call_options o = {.pid = pid, .function = "f", .flags = COVEY_CALL_TRY};
  int r, until = 0;
  while ((r = covey_call_run(NULL, &o, NULL, 0, &reply)) == COVEY_EAGAIN || r == COVEY_ENOPEER) {
    test_pause(1);
    REQUIRE(++until < PATIENCE);
  }
  CHECK_INT(r, COVEY_ENOTFOUND); /* at once */
  CHECK_ERR(covey_call(NULL, pid, "default", NULL, 0, 50, &reply),
            COVEY_ENOTFOUND); /* a group is no function */
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  CHECK(strstr(covey_last_failure()->what, "does not serve") != NULL);
  end(pid);
  CHECK_ERR(covey_call(NULL, pid, "f", NULL, 0, PATIENCE, &reply), COVEY_ENOPEER); /* at once */
  pid = serve("late");
  REQUIRE_OK(covey_call(NULL, pid, "late", "x", 1, PATIENCE, &reply));
  expect(&reply, pid, 0, "x");
  CHECK_ERR(covey_send(NULL, pid, "late", "x", 1, 50), COVEY_ENOGROUP); /* nor is a function a group */
  end(pid);
}

TEST(call, by_name_and_by_peer)
{
  const char *name = test_format("server-%" PRId64, test_pid());
  int64_t pid = test_start(TEST_HELPER("call-serve", "f", name));
  covey_call_options o = {.name = name, .function = "f", .timeout = PATIENCE};
  covey_reply reply, again;
  REQUIRE_OK(covey_call_run(NULL, &o, &(covey_buffer){"one", 3}, 1, &reply));
  o.name = NULL;
  o.peer = reply.peer;
  REQUIRE_OK(covey_call_run(NULL, &o, &(covey_buffer){"two", 3}, 1, &again));
  expect(&again, pid, 0, "two");
  end(pid);
  CHECK_ERR(covey_call_run(NULL, &o, &(covey_buffer){"three", 5}, 1, &again), COVEY_EPEERDIED);
  expect(&reply, pid, 0, "one");
}

/* ---- many ---- */

TEST(call, a_thousand_in_flight)
{
  enum { CALLS = 1000 };
  static covey_pending *calls[CALLS];
  covey_reply reply;
  bool seen[CALLS] = {false};
  int64_t pid = serve("f");
  covey_call_options o = {.pid = pid, .function = "f", .timeout = PATIENCE};
  for (int i = 0; i < CALLS; i++) calls[i] = start(&o, test_format("%d", i));
  for (int i = 0; i < CALLS; i++) {
    int which = covey_call_wait_any(calls, CALLS, PATIENCE);
    REQUIRE(which >= 0 && which < CALLS && !seen[which]);
    seen[which] = true;
    REQUIRE_OK(covey_call_wait(calls[which], 0, &reply));
    expect(&reply, pid, 0, test_format("%d", which));
    covey_call_close(calls[which]);
    calls[which] = NULL;
  }
  CHECK_WRONG(covey_call_wait_any(calls, CALLS, 0));
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
  end(pid);
}

struct crowd {
  int64_t pid;
  test_counter number, right;
};

static void call_often(void *arg)
{
  struct crowd *c = arg;
  int64_t me = test_add(&c->number, 1);
  for (int i = 0; i < 100; i++) {
    covey_reply reply;
    char text[32];
    snprintf(text, sizeof text, "%d of %d", i, (int)me);
    REQUIRE_OK(covey_call(NULL, c->pid, "f", text, strlen(text), PATIENCE, &reply));
    if (strcmp(reply.data, text) == 0) test_add(&c->right, 1);
    covey_reply_free(&reply);
  }
}

TEST(call, from_many_threads)
{
  test_thread *threads[8];
  struct crowd c = {.pid = serve("f")};
  for (int i = 0; i < 8; i++) threads[i] = test_thread_start(call_often, &c);
  for (int i = 0; i < 8; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&c.right, 0), 800);
  end(c.pid);
}

TEST(call, is_limited_by_what_may_come_back)
{
  const char *name = test_format("small-%" PRId64, test_pid());
  covey_node_options options = {.name = name, .max_memory = 1 << 20, .max_message = 500000};
  covey_node *node;
  covey_pending *calls[40] = {NULL};
  covey_call_options o = {.name = name, .function = "f", .timeout = PATIENCE, .reply_max = 500000};
  covey_request q;
  covey_reply reply;
  int n = 0, r;
  REQUIRE_OK(covey_node_open(&options, &node));
  CHECK_ERR(covey_call_receive(node, "f", 0, &q), COVEY_ETIMEDOUT);
  while (n < 40 && (r = covey_call_start(node, &o, NULL, 0, &calls[n])) == 0) n++;
  CHECK_INT(n, 33); /* 16 MiB */
  CHECK_INT(r, COVEY_EQUOTA);
  CHECK_INT(covey_last_failure()->reached, COVEY_FAR_NOTHING);
  REQUIRE_OK(covey_call_receive(node, "f", PATIENCE, &q));
  REQUIRE_OK(covey_call_reply(&q, 0, "x", 1));
  covey_request_free(&q);
  REQUIRE_OK(covey_call_wait(calls[0], PATIENCE, &reply));
  covey_reply_free(&reply);
  REQUIRE_OK(covey_call_start(node, &o, NULL, 0, &calls[n++])); /* its place is free again */
  while (n) covey_call_close(calls[--n]);
  o.reply_max = 500001;
  CHECK_WRONG(covey_call_start(node, &o, NULL, 0, &calls[0]));
  CHECK_INT(covey_node_close(node, PATIENCE), 0);
}

/* ---- both ways at once ---- */

static void echo(covey_request *q, void *arg)
{
  int64_t *left = arg;
  CHECK_OK(covey_call_reply(q, 0, q->data, q->size));
  --*left;
}

/* Two processes with one thread each fill each other's windows with requests, and the answers pass. */
TEST_LIMIT(call, both_sides_with_full_windows, 120)
{
  enum { CALLS = 40 };
  char *count = test_format("%d", CALLS), *me = test_format("%" PRId64, test_pid());
  int64_t pid = test_start(TEST_HELPER("call-mutual", me, count, "60000"));
  int64_t left = CALLS;
  uint8_t *data = malloc(60000);
  covey_pending *calls[CALLS];
  covey_message m;
  test_make_pattern(data, 60000, 9);
  REQUIRE_OK(covey_serve(NULL, "echo", echo, &left));
  REQUIRE_OK(covey_serve(NULL, "unfold", echo, &left));
  covey_call_options o = {.pid = pid, .function = "fold", .timeout = PATIENCE, .flags = COVEY_CALL_TRY};
  int r, sent = 0, until = 0;
  while (sent <
         CALLS) { /* as many as find room; the other side's, and its calls back, are served in between */
    r = covey_call_start(NULL, &o, &(covey_buffer){data, 60000}, 1, &calls[sent]);
    if (r == 0)
      sent++;
    else if (!(r == COVEY_EAGAIN || r == COVEY_ENOTFOUND || r == COVEY_ENOPEER))
      TEST_FAIL("%s %s", covey_errname(r), covey_last_failure()->what);
    if (r < 0) r = covey_serve_run(NULL, 10, NULL);
    REQUIRE(r == 0 || r == COVEY_ETIMEDOUT);
    REQUIRE(++until < 100000);
  }
  for (left += CALLS; left > CALLS - CALLS;) {
    r = covey_serve_run(NULL, 100, NULL);
    if (r == COVEY_ETIMEDOUT && covey_call_wait_any(calls, CALLS, 0) == 0 && left <= 0) break;
    REQUIRE(r == 0 || r == COVEY_ETIMEDOUT);
  }
  for (int i = 0; i < CALLS; i++) {
    covey_reply reply;
    REQUIRE_OK(covey_call_wait(calls[i], PATIENCE, &reply));
    CHECK_UINT(reply.size, 60000);
    CHECK(test_is_pattern(reply.data, reply.size, 9));
    covey_reply_free(&reply);
    covey_call_close(calls[i]);
  }
  REQUIRE_OK(covey_receive(NULL, "back", PATIENCE, &m));
  CHECK_STR(m.data, count);
  covey_message_free(&m);
  CHECK(test_process_ended(pid, PATIENCE));
  free(data);
}

/* ---- without waiting ---- */

TEST(call, is_over_when_it_is_over)
{
  int64_t pid = serve("f");
  covey_call_options o = {.pid = pid, .function = "f", .timeout = PATIENCE};
  covey_reply reply;
  covey_pending *p = start(&o, "x");
  CHECK_INT(covey_call_wait_any(&p, 1, PATIENCE), 0);
  REQUIRE_OK(covey_call_wait(p, 0, &reply));
  expect(&reply, pid, 0, "x");
  CHECK_WRONG(covey_call_wait(p, 0, &reply));
  covey_call_cancel(p);
  covey_call_close(p);
  p = start(&o, "never seen");
  covey_call_close(p); /* whatever has come */
  p = start(&o, "y");
  covey_call_cancel(p);
  CHECK(covey_call_wait_any(&p, 1, 0) == 0);
  int r = covey_call_wait(p, 0, &reply);
  CHECK(r == 0 || r == COVEY_ECANCELED);
  if (r == 0) covey_reply_free(&reply);
  covey_call_close(p);
  covey_call_cancel(NULL);
  covey_call_close(NULL);
  covey_reply_free(NULL);
  ask(pid, "fine", 0, "fine");
  end(pid);
}
