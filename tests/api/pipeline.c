/* covey_pipeline: programs that read what the one before writes. */
#include "support/test.h"

#include "core/fault.h"

#include <covey/process.h>

#define COMMAND(...)                                                                                         \
  {                                                                                                          \
    .argv = TEST_HELPER(__VA_ARGS__)                                                                         \
  }
/* the last one: the console host that wine gives each child holds its streams a little longer */
#define CAPTURED(...)                                                                                        \
  {                                                                                                          \
    .argv = TEST_HELPER(__VA_ARGS__), .out.kind = COVEY_STDIO_CAPTURE, .drain = test_is_wine() ? 3000 : 0,   \
    .drain_max = test_is_wine() ? 20000 : 0                                                                  \
  }

static covey_pipeline_result run(const covey_process_options *commands, size_t count,
                                 const covey_pipeline_options *options)
{
  covey_pipeline_result r = {0};
  REQUIRE_OK(covey_pipeline(commands, count, options, &r));
  REQUIRE(r.count == count && r.results != NULL);
  return r;
}

TEST(pipeline, every_byte_passes)
{
  test_no_child_handles_lost();
  covey_process_options commands[] = {COMMAND("out", "3000000"), COMMAND("cat"), COMMAND("cat"),
                                      CAPTURED("count")};
  covey_pipeline_result r = run(commands, 4, NULL);
  CHECK_INT(r.failed, -1);
  for (size_t i = 0; i < 4; i++) CHECK(COVEY_EXIT_OK(&r.results[i].exit));
  CHECK_STR(r.results[3].out, "3000000 pattern\n");
  CHECK_STR(r.results[0].out, "");
  covey_pipeline_result_free(&r);
  CHECK(r.results == NULL);
  covey_pipeline_result_free(&r);
  covey_pipeline_result_free(NULL);
}

TEST(pipeline, one_command)
{
  covey_process_options commands[] = {CAPTURED("say", "x")};
  covey_pipeline_result r = run(commands, 1, NULL);
  CHECK_STR(r.results[0].out, "x\n");
  covey_pipeline_result_free(&r);
}

TEST(pipeline, input_and_errors)
{
  covey_process_options commands[] = {COMMAND("cat"), COMMAND("both", "3000", "2000"), CAPTURED("count")};
  commands[0].input = "text";
  commands[0].input_size = 4;
  commands[1].err.kind = COVEY_STDIO_CAPTURE;
  covey_pipeline_result r = run(commands, 3, NULL);
  CHECK_UINT(r.results[1].err_size, 2000);
  CHECK_STR(r.results[2].out, "3000 pattern\n");
  covey_pipeline_result_free(&r);
  commands[1].argv = TEST_HELPER("say-err", "down the pipe");
  commands[1].err.kind = COVEY_STDIO_MERGE;
  commands[2].argv = TEST_HELPER("cat");
  r = run(commands, 3, NULL);
  CHECK_STR(r.results[1].err, "");
  CHECK_STR(r.results[2].out, "down the pipe\n");
  covey_pipeline_result_free(&r);
}

TEST_LIMIT(pipeline, the_most, 120)
{
  covey_process_options commands[COVEY_PIPELINE_MOST + 1] = {COMMAND("out", "1000")};
  size_t count = test_is_wine() ? 8 : COVEY_PIPELINE_MOST;
  const char *const *cat = TEST_HELPER("cat");
  for (size_t i = 1; i <= COVEY_PIPELINE_MOST; i++) commands[i].argv = cat;
  commands[count - 1] = (covey_process_options)CAPTURED("count");
  covey_pipeline_result r = run(commands, count, NULL);
  CHECK_STR(r.results[count - 1].out, "1000 pattern\n");
  covey_pipeline_result_free(&r);
  CHECK_ERR(covey_pipeline(commands, COVEY_PIPELINE_MOST + 1, NULL, NULL), COVEY_EINVAL);
}

TEST(pipeline, the_last_that_failed)
{
  covey_process_options commands[] = {COMMAND("exit", "3"), COMMAND("exit", "4"), CAPTURED("say", "fine")};
  covey_pipeline_result r = run(commands, 3, NULL);
  CHECK_INT(r.failed, 1);
  CHECK_UINT(r.results[0].exit.code, 3);
  CHECK_UINT(r.results[1].exit.code, 4);
  CHECK_STR(r.results[2].out, "fine\n");
  covey_pipeline_result_free(&r);

  commands[0].flags = COVEY_PROCESS_CHECK; /* not the one that decides */
  r = run(commands, 3, NULL);
  covey_pipeline_result_free(&r);
  commands[1].flags = COVEY_PROCESS_CHECK;
  r.count = 77;
  CHECK_ERR(covey_pipeline(commands, 3, NULL, &r), COVEY_EFAILED);
  CHECK_UINT(r.count, 77);
  CHECK(strstr(covey_last_failure()->what, "command 2: ") == covey_last_failure()->what);
  CHECK_INT(covey_last_failure()->index, 4);
}

/* The reader of a program that writes without end has enough: that ends the writer too. */
TEST(pipeline, a_reader_that_has_enough)
{
  if (test_is_windows()) TEST_SKIP("a broken pipe is no signal there, and the helper writes on");
  covey_process_options commands[] = {COMMAND("flood"), COMMAND("cat"), CAPTURED("read", "100")};
  covey_pipeline_result r = run(commands, 3, NULL);
  CHECK_INT(r.failed, 1);
  CHECK_INT(r.results[0].exit.signal, COVEY_SIGNAL_PIPE);
  CHECK_INT(r.results[1].exit.signal, COVEY_SIGNAL_PIPE);
  CHECK(COVEY_EXIT_OK(&r.results[2].exit));
  covey_pipeline_result_free(&r);
  r = run(commands, 3, &(covey_pipeline_options){.flags = COVEY_PIPELINE_ALLOW_SIGPIPE});
  CHECK_INT(r.failed, -1);
  covey_pipeline_result_free(&r);
}

TEST(pipeline, too_much_output)
{
  covey_process_options commands[] = {COMMAND("out", "100000"), CAPTURED("cat")};
  commands[1].capture_max = 1000;
  commands[1].grace = 100;
  covey_pipeline_result r = run(commands, 2, NULL);
  CHECK_INT(r.results[1].exit.why, COVEY_WHY_OUTPUT);
  CHECK_INT(r.results[1].failure.code, COVEY_ETOOBIG);
  CHECK_UINT(r.results[1].out_size, 1000);
  CHECK_INT(r.failed, 1);
  covey_pipeline_result_free(&r);
}

TEST(pipeline, a_command_that_cannot_start)
{
  test_no_child_handles_lost();
  covey_process_options commands[] = {COMMAND("ignore"), COMMAND("ignore"), CAPTURED("cat")};
  covey_pipeline_result r = {.count = 77};
  int64_t begun = test_now();
  commands[1].argv = TEST_WORDS("covey-no-such-program");
  CHECK_ERR(covey_pipeline(commands, 3, NULL, &r), COVEY_ENOTFOUND);
  CHECK_INT(covey_last_failure()->stage, COVEY_STAGE_LOOKUP);
  CHECK(strstr(covey_last_failure()->what, "command 2: ") == covey_last_failure()->what);
  CHECK(strstr(covey_last_failure()->what, "covey-no-such-program") != NULL);
  CHECK_UINT(r.count, 77);
  CHECK(test_now() - begun < 20000);
}

TEST(pipeline, one_deadline)
{
  covey_process_options commands[] = {COMMAND("ignore"), COMMAND("ignore"), CAPTURED("ignore")};
  covey_pipeline_options o = {.timeout = 300, .grace = 100};
  int64_t begun = test_now();
  covey_pipeline_result r = run(commands, 3, &o);
  CHECK(test_now() - begun >= 300);
  CHECK(test_now() - begun < 25000);
  for (size_t i = 0; i < 3; i++) CHECK_INT(r.results[i].exit.why, COVEY_WHY_TIMEOUT);
  CHECK_INT(r.results[2].failure.code, COVEY_ETIMEDOUT);
  CHECK_INT(r.failed, 2);
  covey_pipeline_result_free(&r);
}

static void fire(void *cancel)
{
  test_pause(200);
  covey_cancel_fire(cancel);
}

TEST(pipeline, cancel)
{
  covey_process_options commands[] = {COMMAND("ignore"), CAPTURED("ignore")};
  covey_pipeline_options o = {.grace = 100};
  REQUIRE_OK(covey_cancel_new(&o.cancel));
  test_thread *t = test_thread_start(fire, o.cancel);
  covey_pipeline_result r = run(commands, 2, &o);
  test_thread_join(t);
  for (size_t i = 0; i < 2; i++) CHECK_INT(r.results[i].exit.why, COVEY_WHY_CANCEL);
  covey_pipeline_result_free(&r);
  CHECK_ERR(covey_pipeline(commands, 2, &o, NULL), COVEY_ECANCELED);
  covey_cancel_free(o.cancel);
}

TEST(pipeline, bad_arguments)
{
  covey_process_options good[] = {COMMAND("say", "x"), CAPTURED("cat")}, bad[2];
  covey_cancel *cancel;
  CHECK_ERR(covey_pipeline(NULL, 1, NULL, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_pipeline(good, 0, NULL, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_pipeline(good, 2, &(covey_pipeline_options){.flags = 2}, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_pipeline(good, 2, &(covey_pipeline_options){.timeout = -2}, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_pipeline(good, 2, &(covey_pipeline_options){.grace = -2}, NULL), COVEY_EINVAL);
  CHECK_ERR(covey_pipeline(good, 2, &(covey_pipeline_options){.reserved = {1}}, NULL), COVEY_EINVAL);
  REQUIRE_OK(covey_cancel_new(&cancel));
  for (int i = 0; i < 7; i++) {
    memcpy(bad, good, sizeof bad);
    switch (i) {
    case 0: bad[0].out.kind = COVEY_STDIO_CAPTURE; break;
    case 1: bad[1].in.kind = COVEY_STDIO_NULL; break;
    case 2: bad[1].input = "x", bad[1].input_size = 1; break;
    case 3: bad[1].cancel = cancel; break;
    case 4: bad[1].argv = NULL; break;
    case 5: bad[1].scope = COVEY_SCOPE_DETACHED; break;
    default: bad[1].out.kind = COVEY_STDIO_PIPE; break;
    }
    CHECK_ERR(covey_pipeline(bad, 2, NULL, NULL), COVEY_EINVAL);
    CHECK(strstr(covey_last_failure()->what, i == 0 ? "command 1: " : "command 2: ") != NULL);
  }
  covey_cancel_free(cancel);
}

/* Whatever fails on the way, nothing stays behind. */
TEST_LIMIT(pipeline, fault_walk, 300)
{
  covey_process_options commands[] = {COMMAND("out", "3000"), COMMAND("cat"), CAPTURED("count")};
  int failed = 0;
  test_no_child_handles_lost();
  for (int64_t n = 1;; n++) {
    covey_pipeline_result r;
    cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 12); /* no resources, out of memory */
    int code = covey_pipeline(commands, 3, NULL, &r);
    bool over = cvy_fault_seen() < n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (code < 0) {
      failed++;
      CHECK_INT(covey_last_failure()->code, code);
    } else {
      CHECK_UINT(r.count, 3);
      covey_pipeline_result_free(&r);
    }
    if (over) break;
  }
  CHECK(failed > 6);
}
