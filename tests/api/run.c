/* covey_run: one call from the start to the end. */
#include "support/test.h"

#include <covey/process.h>

/* Runs options, whose output is captured; the result is the caller's. */
static covey_result run(covey_process_options options)
{
  covey_result result = {0};

  if (options.out.kind == COVEY_STDIO_DEFAULT) options.out.kind = COVEY_STDIO_CAPTURE;
  if (options.err.kind == COVEY_STDIO_DEFAULT) options.err.kind = COVEY_STDIO_CAPTURE;
  if (test_is_wine()) { /* the console host that wine gives each child holds its streams a little longer */
    options.drain = 3000;
    options.drain_max = 20000;
  }
  REQUIRE_OK(covey_run(&options, &result));
  REQUIRE(result.out != NULL && result.err != NULL);
  return result;
}

TEST(run, output_and_code)
{
  test_no_child_handles_lost();
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("say", "a", "b")});
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_STR(r.out, "a\nb\n");
  CHECK_UINT(r.out_size, 4);
  CHECK_STR(r.err, "");
  CHECK_INT(r.failure.code, 0);
  CHECK_UINT(r.flags, 0);
  covey_result_free(&r);
  CHECK(r.out == NULL);
  covey_result_free(&r);
  covey_result_free(NULL);
  r = run((covey_process_options){.argv = TEST_HELPER("exit", "9")});
  CHECK_UINT(r.exit.code, 9);
  CHECK_INT(r.exit.why, COVEY_WHY_SELF);
  CHECK_INT(r.failure.code, 0);
  covey_result_free(&r);
}

TEST(run, without_result)
{
  CHECK_OK(covey_run(
      &(covey_process_options){.argv = TEST_HELPER("say", "x"), .out.kind = COVEY_STDIO_CAPTURE}, NULL));
}

TEST(run, both_streams_at_once)
{
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("both", "3000000", "2000000")});

  CHECK_UINT(r.out_size, 3000000);
  CHECK_UINT(r.err_size, 2000000);
  CHECK(test_is_pattern(r.out, r.out_size, 0));
  CHECK(test_is_pattern(r.err, r.err_size, 0));
  CHECK_INT(r.out[r.out_size], 0);
  covey_result_free(&r);
}

TEST(run, merged)
{
  covey_result r = run(
      (covey_process_options){.argv = TEST_HELPER("both", "5000", "5000"), .err.kind = COVEY_STDIO_MERGE});

  CHECK_UINT(r.out_size, 10000);
  CHECK_UINT(r.err_size, 0);
  CHECK_STR(r.err, "");
  covey_result_free(&r);
}

TEST(run, input_of_any_size)
{
  size_t size = 10000000;
  char *data = malloc(size);

  REQUIRE(data != NULL);
  test_no_child_handles_lost();
  test_make_pattern(data, size, 0);
  covey_result r =
      run((covey_process_options){.argv = TEST_HELPER("count"), .input = data, .input_size = size});
  CHECK_STR(r.out, "10000000 pattern\n");
  covey_result_free(&r);
  r = run((covey_process_options){
      .argv = TEST_HELPER("cat"), .input = data, .input_size = size}); /* echoed while it is fed */
  CHECK_UINT(r.out_size, size);
  CHECK(test_is_pattern(r.out, r.out_size, 0));
  covey_result_free(&r);
  r = run((covey_process_options){.argv = TEST_HELPER("count"), .input = data, .input_size = 0});
  CHECK_STR(r.out, "0 pattern\n");
  covey_result_free(&r);
  r = run((covey_process_options){
      .argv = TEST_HELPER("read", "5"), .input = data, .input_size = size}); /* not read to the end */
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_INT(r.failure.code, 0);
  covey_result_free(&r);
  free(data);
}

TEST(run, timeout)
{
  int64_t begin = test_now();
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("ignore"), .timeout = 1500, .grace = 100});

  CHECK(test_now() - begin >= 1500);
  CHECK_INT(r.exit.why, COVEY_WHY_TIMEOUT);
  CHECK_UINT(r.exit.code, 137);
  CHECK_INT(r.failure.code, COVEY_ETIMEDOUT);
  CHECK(!COVEY_EXIT_OK(&r.exit));
  CHECK_STR(r.out, "ready\n"); /* what came before is there */
  covey_result_free(&r);
}

TEST(run, idle)
{
  int64_t begin = test_now();
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("ignore"), .idle = 700, .grace = 100});

  CHECK(test_now() - begin >= 700);
  CHECK_INT(r.exit.why, COVEY_WHY_IDLE);
  CHECK_UINT(r.exit.code, 137);
  CHECK_INT(r.failure.code, COVEY_ETIMEDOUT);
  CHECK_STR(r.out, "ready\n");
  covey_result_free(&r);
}

/* Each piece of output starts the time anew. */
TEST(run, idle_of_a_child_that_talks)
{
  int64_t begin = test_now();
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("drip", "8", "500"), .idle = 3000});

  CHECK(test_now() - begin > 3500);
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.out_size, 8 * 5);
  covey_result_free(&r);
}

/* A child that a full pipe holds is not silent; one that has been read and says no more is. */
TEST(run, idle_behind_a_full_pipe)
{
  static char data[1 << 16];
  covey_process *p;
  covey_exit end;
  covey_process_options o = {
      .argv = TEST_HELPER("out", "2000000"), .out.kind = COVEY_STDIO_PIPE, .idle = 400, .grace = 100};
  size_t size = 0;
  int n;

  REQUIRE_OK(covey_spawn(&o, &p));
  CHECK_ERR(covey_process_wait(p, 1500, NULL), COVEY_ETIMEDOUT);
  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, sizeof data)) > 0) size += (size_t)n;
  CHECK_OK(n);
  CHECK_UINT(size, 2000000);
  CHECK_OK(covey_process_wait(p, TEST_SOON, &end));
  CHECK_INT(end.why, COVEY_WHY_SELF);
  covey_process_close(p);
  o.argv = TEST_HELPER("ignore");
  REQUIRE_OK(covey_spawn(&o, &p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, &end));
  CHECK_INT(end.why, COVEY_WHY_IDLE);
  covey_process_close(p);
}

/* A child that ends in time by itself when it is asked: the code is its own, the reason is ours. */
TEST(run, timeout_that_is_obeyed)
{
  if (test_is_windows()) TEST_SKIP("asking a console program under wine");
  covey_result r =
      run((covey_process_options){.argv = TEST_HELPER("stop"), .timeout = 1500, .grace = TEST_SOON});
  CHECK_INT(r.exit.why, COVEY_WHY_TIMEOUT);
  CHECK_INT(r.exit.how, COVEY_HOW_EXITED);
  CHECK_UINT(r.exit.code, 7);
  CHECK_STR(r.out, "ready\nstopping\n");
  covey_result_free(&r);
}

static void fire(void *arg)
{
  test_pause(300);
  covey_cancel_fire(arg);
}

TEST(run, cancel)
{
  covey_cancel *cancel;
  covey_result r;

  REQUIRE_OK(covey_cancel_new(&cancel));
  test_thread *t = test_thread_start(fire, cancel);
  r = run((covey_process_options){.argv = TEST_HELPER("ignore"), .cancel = cancel, .grace = 50});
  test_thread_join(t);
  CHECK_INT(r.exit.why, COVEY_WHY_CANCEL);
  CHECK_INT(r.failure.code, COVEY_ECANCELED);
  covey_result_free(&r);
  /* fired before the start: nothing is started */
  CHECK_ERR(covey_run(&(covey_process_options){.argv = TEST_HELPER("hang"), .cancel = cancel}, &r),
            COVEY_ECANCELED);
  covey_cancel_free(cancel);
}

TEST(run, capture_limit)
{
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("out", "1000"), .capture_max = 1000});

  CHECK_INT(r.exit.why, COVEY_WHY_SELF); /* exactly the limit is not too much */
  CHECK_UINT(r.flags, 0);
  CHECK_UINT(r.out_size, 1000);
  covey_result_free(&r);
  r = run((covey_process_options){.argv = TEST_HELPER("flood"), .capture_max = 1000, .grace = 50});
  CHECK_INT(r.exit.why, COVEY_WHY_OUTPUT);
  CHECK_INT(r.failure.code, COVEY_ETOOBIG);
  CHECK_INT(r.failure.index, COVEY_STDOUT);
  CHECK_UINT(r.flags & COVEY_RESULT_OUT_CUT, COVEY_RESULT_OUT_CUT);
  CHECK_UINT(r.out_size, 1000);
  CHECK(test_is_pattern(r.out, 1000, 0));
  covey_result_free(&r);
  r = run((covey_process_options){
      .argv = TEST_HELPER("both", "50000", "10"), .capture_max = 1000, .flags = COVEY_PROCESS_KEEP_HEAD});
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_INT(r.failure.code, 0);
  CHECK_UINT(r.flags, COVEY_RESULT_OUT_CUT);
  CHECK_UINT(r.out_size, 1000);
  CHECK_UINT(r.err_size, 10);
  covey_result_free(&r);
}

TEST(run, check)
{
  covey_process_options o = {.argv = TEST_HELPER("nothing"),
                             .flags = COVEY_PROCESS_CHECK,
                             .out.kind = COVEY_STDIO_NULL,
                             .err.kind = COVEY_STDIO_CAPTURE};
  covey_result r;

  REQUIRE_OK(covey_run(&o, &r));
  covey_result_free(&r);
  o.argv = TEST_HELPER("exit", "3");
  CHECK_ERR(covey_run(&o, &r), COVEY_EFAILED);
  CHECK_INT(covey_last_failure()->index, 3);
  CHECK(strstr(covey_last_failure()->what, "exit code 3") != NULL);
  o.argv = TEST_HELPER("no-such-behaviour");
  CHECK_ERR(covey_run(&o, &r), COVEY_EFAILED);
  CHECK(strstr(covey_last_failure()->what, "no behaviour is called no-such-behaviour") != NULL);
  o.argv = TEST_HELPER("hang");
  o.timeout = 300;
  CHECK_ERR(covey_run(&o, &r), COVEY_ETIMEDOUT);
}

/* ---- what the child is given ---- */

TEST(run, arguments_arrive)
{
  covey_result r = run(
      (covey_process_options){.argv = TEST_HELPER("args", "", "a b", "\"", "\\", "a\\\"b", "trailing\\",
                                                  "%PATH%", "$HOME", "*", "\xc3\xa9", "a'b", "^&|<>", "-x")});

  CHECK_STR(r.out, "[0]\n[3]a "
                   "b\n[1]\"\n[1]\\\n[4]a\\\"b\n[9]trailing\\\n[6]%PATH%\n[5]$HOME\n[1]*\n[2]\xc3\xa9\n[3]a'"
                   "b\n[5]^&|<>\n[2]-x\n");
  covey_result_free(&r);
}

TEST(run, file_apart_from_argv0)
{
  covey_result r =
      run((covey_process_options){.file = test_helper(), .argv = TEST_WORDS("another name", "say", "x")});

  CHECK_STR(r.out, "x\n");
  covey_result_free(&r);
}

TEST(run, environment)
{
  covey_result r;

  test_set_env("COVEY_OURS", "ours");
  test_set_env("COVEY_GONE", "gone");
  r = run((covey_process_options){
      .argv = TEST_HELPER("env", "COVEY_OURS", "COVEY_GONE", "COVEY_NEW", "COVEY_EMPTY"),
      .env = TEST_WORDS("COVEY_NEW=a=b", "COVEY_GONE", "COVEY_OURS=first", "COVEY_OURS=theirs",
                        "COVEY_EMPTY=")});
  CHECK_STR(r.out, test_is_windows() ? r.out : "[6]theirs\nunset\n[3]a=b\n[0]\n");
  CHECK(strncmp(r.out, "[6]theirs\nunset\n[3]a=b\n", 23) == 0);
  covey_result_free(&r);
  r = run((covey_process_options){.argv = TEST_HELPER("env", "COVEY_OURS", "COVEY_NEW"),
                                  .env = TEST_WORDS("COVEY_NEW=1"),
                                  .flags = COVEY_PROCESS_ENV_CLEAR});
  CHECK_STR(r.out, "unset\n[1]1\n");
  covey_result_free(&r);
  r = run((covey_process_options){.argv = TEST_HELPER("env", "COVEY_OURS")});
  CHECK_STR(r.out, "[4]ours\n");
  covey_result_free(&r);
  test_set_env("COVEY_OURS", NULL);
  test_set_env("COVEY_GONE", NULL);
}

/* A name without a folder is looked up in the PATH that the child will have. */
TEST(run, looked_up_in_the_childs_path)
{
  char *folder = test_format("%s", test_helper()), *slash = folder;

  for (char *p = folder; *p; p++)
    if (*p == '/' || *p == '\\') slash = p;
  *slash = '\0';
  const char *path = test_format("PATH=%s", folder);
  covey_result r =
      run((covey_process_options){.argv = TEST_WORDS(slash + 1, "say", "found"), .env = TEST_WORDS(path)});
  CHECK_STR(r.out, "found\n");
  covey_result_free(&r);
}

TEST(run, directory)
{
  char *marker = test_format("%s/marker", test_temp_dir());
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("cwd"), .cwd = test_temp_dir()});

  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK(r.out_size > 4);
  r.out[r.out_size - 1] = '\0';
  test_write_file(test_format("%s/marker", r.out), "x", 1); /* the same folder, whatever it is called there */
  CHECK(test_file_exists(marker));
  covey_result_free(&r);
}

TEST(run, no_terminal_no_signals)
{
  covey_result r;

  if (test_is_windows()) TEST_SKIP("signals are of POSIX");
  r = run((covey_process_options){.argv = TEST_HELPER("signals")});
  CHECK_STR(r.out, "blocked:\nignored:\n");
  covey_result_free(&r);
}

/* ---- families ---- */

TEST(run, a_held_pipe_delays_nobody)
{
  int64_t begin = test_now(), pid;
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("spawn-holding", "60000")});

  CHECK(test_now() - begin < TEST_SOON);
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.flags & COVEY_RESULT_HELD, COVEY_RESULT_HELD);
  pid = strtoll(r.out, NULL, 10);
  REQUIRE(pid > 0);
  CHECK(test_process_gone(pid, TEST_SOON)); /* nothing is left of a run */
  covey_result_free(&r);
}

TEST(run, leaves_nothing)
{
  covey_result r = run((covey_process_options){.argv = TEST_HELPER("leave")});
  int64_t pid = strtoll(r.out, NULL, 10);

  if (!test_is_wine())
    CHECK_UINT(r.flags & COVEY_RESULT_HELD, 0); /* there the common console host holds them */
  REQUIRE(pid > 0);
  CHECK(test_process_gone(pid, TEST_SOON));
  covey_result_free(&r);
}

/* ---- threads ---- */

static void run_thread(void *arg)
{
  for (int i = 0; i < 6; i++) {
    covey_result r;

    if (covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "200000", "100000"),
                                           .out.kind = COVEY_STDIO_CAPTURE,
                                           .err.kind = COVEY_STDIO_CAPTURE},
                  &r) < 0)
      continue;
    if (r.out_size == 200000 && r.err_size == 100000 && test_is_pattern(r.out, r.out_size, 0) &&
        COVEY_EXIT_OK(&r.exit))
      test_add(arg, 1);
    covey_result_free(&r);
  }
}

TEST_LIMIT(run, by_six_threads, 240)
{
  test_counter good = {0};
  test_thread *threads[6];

  test_helper();
  for (int i = 0; i < 6; i++) threads[i] = test_thread_start(run_thread, &good);
  for (int i = 0; i < 6; i++) test_thread_join(threads[i]);
  CHECK_INT(test_add(&good, 0), 36);
}
