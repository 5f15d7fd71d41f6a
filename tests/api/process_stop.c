/* Stopping one process: who follows, and who does not. */
#include "process_words.h"

#include "support/test.h"

TEST(process, stop_is_followed)
{
  covey_exit e = {0};

  if (test_is_windows())
    TEST_SKIP("asking a console program: process.stop_at_the_end_of_input is the way under wine");
  covey_process *p = process_spawn_piped(TEST_HELPER("stop"));
  CHECK_STR(process_read_line(p), "ready");
  CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
  CHECK_INT(e.how, COVEY_HOW_EXITED);
  CHECK_INT(e.why, COVEY_WHY_STOP);
  CHECK_UINT(e.code, 7);
  CHECK_STR(process_read_line(p), "stopping");
  covey_process_close(p);
}

TEST(process, stop_at_the_end_of_input)
{
  covey_exit e = {0};

  if (!test_is_windows()) TEST_SKIP("only Windows takes the end of the input for a request");
  covey_process *p = process_spawn(&(covey_process_options){
      .argv = TEST_HELPER("stop-at-end"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE});
  CHECK_STR(process_read_line(p), "ready");
  CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_STOP);
  CHECK_UINT(e.code, 7);
  covey_process_close(p);
}

TEST(process, stop_kills_who_does_not_listen)
{
  covey_exit e = {0};
  covey_process *p = process_spawn_piped(TEST_HELPER("ignore"));

  CHECK_STR(process_read_line(p), "ready");
  int64_t begin = test_now();
  CHECK_OK(covey_process_stop(p, 200, &e));
  CHECK(test_now() - begin < TEST_SOON);
  CHECK_INT(e.why, COVEY_WHY_KILL);
  CHECK_UINT(e.code, 137);
  covey_process_close(p);
}

TEST(process, stop_of_one_that_has_ended)
{
  covey_exit e = {0};
  covey_process *p = process_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "4")});

  process_end(p);
  CHECK_OK(covey_process_stop(p, TEST_SOON, &e));
  CHECK_INT(e.why, COVEY_WHY_SELF);
  CHECK_UINT(e.code, 4);
  CHECK_ERR(covey_process_stop(p, -2, &e), COVEY_EINVAL);
  covey_process_close(p);
}

TEST(process, timeout)
{
  covey_process *p = process_spawn(&(covey_process_options){
      .argv = TEST_HELPER("ignore"), .out.kind = COVEY_STDIO_NULL, .timeout = 300, .grace = 100});
  covey_exit e = process_end(p);

  CHECK_INT(e.why, COVEY_WHY_TIMEOUT);
  CHECK_INT(e.signal, COVEY_SIGNAL_KILL);
  covey_process_close(p);
}
