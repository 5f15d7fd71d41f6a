/* covey call: what it prints, and its exit codes. */
#include "tool.h"

#include "support/test.h"

#include <covey/call.h>
#include <covey/process.h>
#include <covey/topic.h>

enum { PATIENCE = 30000 };

/* Runs the tool with these words; input may be NULL. */
static covey_result call(const char *const *words, const char *input, uint32_t code)
{
  const char *all[12] = {"call"};
  covey_result r;
  for (size_t i = 0; words[i]; i++) all[1 + i] = words[i];
  tool(&r, input, all);
  if (r.exit.code != code) TEST_FAIL("%s: code %u, \"%s\"", words[0], (unsigned)r.exit.code, r.err);
  return r;
}

TEST(cli_call, answers)
{
  int64_t pid = test_start(TEST_HELPER("call-serve", "f"));
  const char *number = test_format("%" PRId64, pid);
  covey_result r = call(TEST_WORDS(number, "f", "two", "words"), NULL, 0);
  CHECK_UINT(r.out_size, 9);
  CHECK_STR(r.out, "two words");
  covey_result_free(&r);
  r = call(TEST_WORDS(number, "f"), "from input\n", 0);
  CHECK_STR(r.out, "from input\n");
  covey_result_free(&r);
  r = call(TEST_WORDS("--timeout", "20000", "--max=70000", number, "f", "size 70000"), NULL, 0);
  CHECK_UINT(r.out_size, 70000);
  CHECK(test_is_pattern(r.out, r.out_size, 0));
  covey_result_free(&r);
  r = call(TEST_WORDS("--max", "69999", number, "f", "size 70000"), NULL, 1);
  CHECK(strstr(r.err, "too big") != NULL);
  CHECK_UINT(r.out_size, 0);
  covey_result_free(&r);
  r = call(TEST_WORDS(number, "f", "status -3"), NULL, 1);
  CHECK(strstr(r.err, "covey call: status -3") != NULL);
  covey_result_free(&r);
  r = call(TEST_WORDS(number, "f", "drop"), NULL, 1);
  CHECK(strstr(r.err, "without an answer") != NULL);
  covey_result_free(&r);
  r = call(TEST_WORDS("--timeout", "300", number, "g", "x"), NULL, 1);
  CHECK(strstr(r.err, "does not serve") != NULL);
  covey_result_free(&r);
  test_process_kill(pid);
  CHECK(test_process_ended(pid, PATIENCE));
}

TEST(cli_call, mistakes)
{
  static const struct {
    uint32_t code;
    const char *said, *words[4];
  } cases[] = {
      {2, "PID or NAME is missing", {NULL}},
      {2, "FUNCTION is missing", {"1"}},
      {2, "no process has the number 0", {"0", "f"}},
      {2, "from 1 on, not \"0\"", {"--max", "0", "1"}},
      {2, "--timeout needs a value", {"--timeout"}},
      {2, "no option --group", {"--group", "g", "1"}},
      {2, "reply_max", {"--max=99999999999", "1", "f"}},
      {1, "process 2147483632: no such process", {"2147483632", "f"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    covey_result r =
        call((const char *const[]){cases[i].words[0], cases[i].words[1], cases[i].words[2], NULL}, "",
             cases[i].code);
    if (!strstr(r.err, cases[i].said) || r.out_size) TEST_FAIL("case %u: \"%s\"", (unsigned)i, r.err);
    covey_result_free(&r);
  }
}

TEST(cli_call, no_answer_in_time)
{
  covey_request q;
  const char *argv[] = {test_program_beside("covey"),        "call", "--timeout", "700",
                        test_format("%" PRId64, test_pid()), "f",    "x",         NULL};
  covey_process *p;
  covey_exit end;
  CHECK_ERR(covey_call_receive(NULL, "f", 0, &q), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .err.kind = COVEY_STDIO_NULL}, &p));
  if (covey_call_receive(NULL, "f", PATIENCE, &q) == 0) {
    REQUIRE_OK(covey_process_wait(p, PATIENCE, &end));
    CHECK_UINT(end.code, 124);
    covey_request_free(&q);
  }
  covey_process_close(p);
  CHECK_OK(covey_node_close(NULL, PATIENCE));
}

/* ---- in a namespace of their own ---- */

static void answer_all(covey_request *q, void *arg)
{
  (void)arg;
  covey_call_reply(q, 0, "yes", 3);
}

static void serve_one(void *arg)
{
  CHECK_OK(covey_serve_run(arg, PATIENCE, NULL));
}

static void run_tool(const char *const *words, uint32_t code, const char *out)
{
  covey_result r;
  covey_process_options options = {.argv = words,
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE,
                                   .timeout = 2 * PATIENCE};
  REQUIRE_OK(covey_run(&options, &r));
  if (r.exit.code != code) TEST_FAIL("%s: code %u, \"%s\"", words[1], (unsigned)r.exit.code, r.err);
  if (out) CHECK_STR(r.out, out);
  covey_result_free(&r);
}

TEST(cli_call, in_a_namespace)
{
  const char *covey = test_program_beside("covey"), *app = test_format("App-%" PRId64, test_pid());
  covey_node_options options = {.app = app, .name = "there"};
  covey_node *node;
  covey_message m;
  covey_topic *topic;
  covey_process *p;
  REQUIRE_OK(covey_node_open(&options, &node));
  run_tool(TEST_WORDS(covey, "send", "--timeout", "300", "there", "lost"), 1, NULL); /* not in this one */
  run_tool(TEST_WORDS(covey, "send", "--app", "a/b", "there", "lost"), 2, NULL);
  run_tool(TEST_WORDS(covey, "send", "--app", app, "--timeout", "500", "--consumed", "there", "hello"), 124,
           NULL); /* nobody takes it */
  REQUIRE_OK(covey_receive(node, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "hello");
  covey_message_free(&m);

  REQUIRE_OK(covey_serve(node, "f", answer_all, NULL));
  test_thread *thread = test_thread_start(serve_one, node);
  run_tool(TEST_WORDS(covey, "call", "--app", app, "there", "f", "?"), 0, "yes");
  test_thread_join(thread);

  covey_process_options receive = {
      .argv = TEST_WORDS(covey, "receive", "--app", app, "--name", "tool", "--count", "1"),
      .out.kind = COVEY_STDIO_CAPTURE,
      .err.kind = COVEY_STDIO_NULL};
  REQUIRE_OK(covey_spawn(&receive, &p));
  covey_send_options to = {.name = "tool", .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(node, &to, &(covey_buffer){"in", 2}, 1, NULL));
  covey_exit end;
  REQUIRE_OK(covey_process_wait(p, PATIENCE, &end));
  CHECK_UINT(end.code, 0);
  covey_process_close(p);

  REQUIRE_OK(covey_topic_open(node, "t", &(covey_topic_options){.keep_last = 1}, &topic));
  CHECK_INT(covey_publish(topic, "kept", 4, 0), 0);
  run_tool(TEST_WORDS(covey, "subscribe", "--app", app, "--count", "1", "there", "t"), 0, "kept\n");
  covey_topic_close(topic);
  run_tool(TEST_WORDS(covey, "publish", "--app", app, "--wait", "0", "t", "text"), 0, NULL);
  CHECK(covey_node_close(node, PATIENCE) >= 0);
}
