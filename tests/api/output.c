/* Output and ends by callbacks. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>

#include "core/mem.h"

/* What a callback has seen of the helper's pattern. */
typedef struct seen {
  uint64_t size[3];
  bool other;       /* bytes that are not the pattern */
  uint64_t stop_at; /* bytes of stdout after which no more is wanted */
  int64_t pause;    /* ms in each call */
  int calls, ends;
  covey_exit end;
  covey_process *process;
  int within, answer; /* what to do inside the callback, and what came of it */
} seen;

enum { WAIT = 1, STOP, KILL, POLL, CLOSE };

static int see(int stream, const void *data, size_t size, void *user)
{
  seen *s = user;

  REQUIRE(stream == COVEY_STDOUT || stream == COVEY_STDERR);
  REQUIRE(size > 0);
  if (!test_is_pattern(data, size, s->size[stream])) s->other = true;
  s->size[stream] += size;
  s->calls++;
  if (s->pause) test_pause(s->pause);
  switch (s->calls == 1 ? s->within : 0) {
  case WAIT: s->answer = covey_process_wait(s->process, TEST_SOON, NULL); break;
  case STOP: s->answer = covey_process_stop(s->process, 0, NULL); break;
  case KILL: s->answer = covey_process_kill(s->process); break;
  case POLL: s->answer = covey_process_wait(s->process, 0, NULL); break;
  default: break;
  }
  return s->stop_at && s->size[1] >= s->stop_at;
}

static void see_end(covey_process *p, const covey_exit *e, void *user)
{
  seen *s = user;

  s->ends++;
  s->end = *e;
  if (s->within == CLOSE) covey_process_close(p);
  if (s->within == POLL) s->answer = covey_process_wait(p, TEST_SOON, NULL);
}

TEST(output, of_a_run_beside_its_capture)
{
  seen s = {.calls = 0};
  covey_result r;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "3000000", "2000000"),
                                                .out.kind = COVEY_STDIO_CAPTURE,
                                                .err.kind = COVEY_STDIO_CAPTURE,
                                                .on_output = see,
                                                .user = &s},
                       &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK(r.out_size == 3000000 && test_is_pattern(r.out, r.out_size, 0));
  CHECK(r.err_size == 2000000 && test_is_pattern(r.err, r.err_size, 0));
  CHECK_UINT(s.size[1], 3000000);
  CHECK_UINT(s.size[2], 2000000);
  CHECK(!s.other);
  covey_result_free(&r);
}

/* What is not kept is shown all the same. */
TEST(output, more_than_is_kept)
{
  seen s = {.calls = 0};
  covey_result r;

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("out", "3000000"),
                                                .out.kind = COVEY_STDIO_CAPTURE,
                                                .capture_max = 1000,
                                                .flags = COVEY_PROCESS_KEEP_ENDS,
                                                .on_output = see,
                                                .user = &s},
                       &r));
  CHECK_UINT(r.out_size, 1000);
  CHECK_UINT(r.out_dropped, 3000000 - 1000);
  CHECK_UINT(s.size[1], 3000000);
  CHECK(!s.other);
  covey_result_free(&r);
}

TEST(output, and_nothing_is_kept)
{
  seen s = {.calls = 0};
  covey_result r;

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "3000000", "1000"),
                                                .out.kind = COVEY_STDIO_PIPE,
                                                .err.kind = COVEY_STDIO_PIPE,
                                                .on_output = see,
                                                .user = &s},
                       &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.out_size, 0);
  CHECK_UINT(s.size[1], 3000000);
  CHECK_UINT(s.size[2], 1000);
  CHECK(!s.other);
  covey_result_free(&r);
}

/* A slow callback holds the child up; nothing is lost, however long ago the child has ended. */
TEST(output, a_slow_callback)
{
  seen s = {.pause = 40};
  covey_result r;

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("out", "2000000"),
                                                .out.kind = COVEY_STDIO_CAPTURE,
                                                .on_output = see,
                                                .user = &s,
                                                .drain = 20,
                                                .drain_max = 30},
                       &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.flags, 0);
  CHECK_UINT(s.size[1], 2000000);
  CHECK_UINT(r.out_size, 2000000);
  CHECK(!s.other);
  covey_result_free(&r);
}

TEST(output, a_callback_that_has_enough)
{
  seen s = {.stop_at = 100000};
  covey_result r;
  int calls;

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("flood"),
                                                .out.kind = COVEY_STDIO_PIPE,
                                                .on_output = see,
                                                .user = &s,
                                                .grace = 50},
                       &r));
  CHECK_INT(r.exit.why, COVEY_WHY_CANCEL);
  CHECK_INT(r.failure.code, COVEY_ECANCELED);
  calls = s.calls;
  CHECK(s.size[1] >= 100000);
  covey_result_free(&r);
  CHECK_INT(s.calls, calls);
}

/* A deadline and a cancel come through, although there is always something to show. */
TEST(output, deadlines_in_a_flood)
{
  seen s = {.pause = 1};
  covey_process_options o = {
      .argv = TEST_HELPER("flood"), .out.kind = COVEY_STDIO_PIPE, .on_output = see, .user = &s, .grace = 50};
  covey_process *p;
  covey_cancel *cancel;
  covey_result r;
  int64_t until;

  REQUIRE_OK(covey_spawn(&o, &p));
  until = test_now() + TEST_SOON;
  while (!s.calls && test_now() < until) CHECK_ERR(covey_process_wait(p, 300, NULL), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_process_wait(p, 300, NULL), COVEY_ETIMEDOUT);
  CHECK(s.calls > 0);
  covey_process_close(p);
  s = (seen){.pause = 1};
  o.timeout = 300;
  REQUIRE_OK(covey_run(&o, &r));
  CHECK_INT(r.exit.why, COVEY_WHY_TIMEOUT);
  covey_result_free(&r);
  REQUIRE_OK(covey_cancel_new(&cancel));
  s = (seen){.pause = 1};
  o.timeout = 0;
  o.cancel = cancel;
  REQUIRE_OK(covey_spawn(&o, &p));
  covey_cancel_fire(cancel);
  CHECK_ERR(covey_process_wait(p, TEST_SOON, NULL), COVEY_ECANCELED);
  covey_process_close(p);
  covey_cancel_free(cancel);
}

/* ---- a process of its own ---- */

static covey_process *spawn(seen *s, const char *const *argv, covey_loop *loop)
{
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv,
                                                  .in.kind = COVEY_STDIO_PIPE,
                                                  .out.kind = COVEY_STDIO_PIPE,
                                                  .loop = loop,
                                                  .on_output = see,
                                                  .user = s},
                         &s->process));
  return s->process;
}

TEST(output, while_somebody_waits)
{
  seen s = {.calls = 0};
  char byte;

  test_no_child_handles_lost();
  covey_process *p = spawn(&s, TEST_HELPER("out", "3000000"), NULL);
  CHECK_OK(covey_process_on_end(p, see_end, &s));
  CHECK_ERR(covey_process_read(p, COVEY_STDOUT, 0, &byte, 1), COVEY_EINVAL);
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK_UINT(s.size[1], 3000000); /* all of it, before wait returns */
  CHECK(!s.other);
  CHECK_INT(s.ends, 1);
  CHECK(COVEY_EXIT_OK(&s.end));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK_INT(s.ends, 1);
  covey_process_close(p);
}

/* Nobody waits, nobody dispatches: nothing is called. */
TEST(output, never_elsewhere)
{
  seen s = {.calls = 0}, t = {.calls = 0};
  covey_process *p = spawn(&s, TEST_HELPER("out", "1000"), NULL),
                *q = spawn(&t, TEST_HELPER("out", "1000"), NULL);

  CHECK_OK(covey_process_wait(q, TEST_SOON, NULL));
  CHECK_INT(s.calls, 0);
  CHECK_UINT(t.size[1], 1000);
  covey_process_close(q);
  covey_process_close(p);
  CHECK_INT(s.calls, 0);
}

TEST(output, by_dispatch)
{
  seen s = {.calls = 0};
  covey_loop *loop;
  covey_native handle;
  int64_t until = test_now() + TEST_SOON;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  REQUIRE_OK(covey_loop_handle(loop, &handle));
  covey_process *p = spawn(&s, TEST_HELPER("out", "3000000"), loop);
  CHECK_OK(covey_process_on_end(p, see_end, &s));
  while (!s.ends && test_now() < until) {
    CHECK(test_handle_ready(handle, TEST_SOON));
    CHECK_OK(covey_loop_dispatch(loop));
  }
  CHECK_INT(s.ends, 1);
  CHECK_UINT(s.size[1], 3000000);
  CHECK(!s.other);
  CHECK(COVEY_EXIT_OK(&s.end));
  covey_process_close(p);
  covey_loop_close(loop);
}

/* An end that was before is told too; a second callback takes the place of the first, and none the place of both. */
TEST(output, an_end_that_was)
{
  seen s = {.within = CLOSE}, t = {.calls = 0};
  covey_loop *loop;
  covey_process *p;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "5"), .loop = loop}, &p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK_OK(covey_process_on_end(p, see_end, &t));
  CHECK_OK(covey_process_on_end(p, NULL, NULL));
  CHECK_OK(covey_loop_dispatch(loop));
  CHECK_INT(t.ends, 0);
  CHECK_OK(covey_process_on_end(p, see_end, &t));
  CHECK_OK(covey_process_on_end(p, see_end, &s)); /* which closes p */
  while (!s.ends) CHECK_OK(covey_loop_dispatch(loop));
  CHECK_INT(t.ends, 0);
  CHECK_UINT(s.end.code, 5);
  covey_loop_close(loop);
}

TEST(output, an_adopted_process)
{
  seen s = {.within = POLL};
  covey_process *p, *other;
  covey_identity who;

  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("hang")}, &p));
  REQUIRE_OK(covey_process_identity(p, &who));
  REQUIRE_OK(covey_process_adopt(who.pid, who.start, NULL, &other));
  CHECK_OK(covey_process_on_end(other, see_end, &s));
  CHECK_OK(covey_process_kill(p));
  CHECK_OK(covey_process_wait(other, TEST_SOON, NULL));
  CHECK_INT(s.ends, 1);
  CHECK_INT(s.answer, 0);
  covey_process_close(other);
  covey_process_close(p);
}

/* ---- inside a callback ---- */

TEST(output, calls_inside)
{
  seen s = {.within = WAIT};
  covey_process *p = spawn(&s, TEST_HELPER("flood"), NULL);

  CHECK_ERR(covey_process_wait(p, 500, NULL), COVEY_ETIMEDOUT);
  CHECK_INT(s.answer, COVEY_EDEADLK);
  covey_process_close(p);
  s = (seen){.within = STOP};
  p = spawn(&s, TEST_HELPER("flood"), NULL);
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK(s.answer == COVEY_EDEADLK ||
        s.answer == 0); /* it was killed, though, and its end may have been seen by then */
  covey_process_close(p);
  s = (seen){.within = KILL};
  p = spawn(&s, TEST_HELPER("flood"), NULL);
  CHECK_OK(covey_process_wait(p, TEST_SOON, &s.end));
  CHECK_INT(s.answer, 0);
  CHECK_INT(s.end.why, COVEY_WHY_KILL);
  covey_process_close(p);
  s = (seen){.within = POLL};
  p = spawn(&s, TEST_HELPER("flood"), NULL);
  CHECK_ERR(covey_process_wait(p, 500, NULL), COVEY_ETIMEDOUT);
  CHECK_INT(s.answer, COVEY_ETIMEDOUT);
  covey_process_close(p);
}

static int answer(const covey_line *line, void *user)
{
  seen *s = user;

  s->calls++;
  if (s->calls < 100) return covey_process_write(s->process, "again\n", 6, TEST_SOON) != 6;
  CHECK_UINT(line->number, 100);
  return covey_process_close_input(s->process);
}

/* A conversation: each line is answered inside the callback, also when that came inside a write. */
TEST(output, answers)
{
  seen s = {.calls = 0};

  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("cat"),
                                                  .in.kind = COVEY_STDIO_PIPE,
                                                  .out.kind = COVEY_STDIO_LINES,
                                                  .on_line = answer,
                                                  .user = &s},
                         &s.process));
  CHECK_INT(covey_process_write(s.process, "hello\n", 6, TEST_SOON), 6);
  CHECK_OK(covey_process_wait(s.process, TEST_SOON, NULL));
  CHECK_INT(s.calls, 100);
  covey_process_close(s.process);
}

/* More than all buffers hold is written, and comes back meanwhile: the write shows it. */
TEST(output, inside_a_write)
{
  static char data[3000000];
  seen s = {.calls = 0};
  covey_process *p = spawn(&s, TEST_HELPER("cat"), NULL);

  test_make_pattern(data, sizeof data, 0);
  CHECK_INT(covey_process_write(p, data, sizeof data, TEST_SOON), (int)sizeof data);
  CHECK_OK(covey_process_close_input(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  CHECK_UINT(s.size[1], sizeof data);
  CHECK(!s.other);
  covey_process_close(p);
}

static void wait_thread(void *arg)
{
  CHECK_OK(covey_process_wait(arg, TEST_SOON, NULL));
}

/* Eight threads wait: one callback at a time, in order, and nobody returns before the last. */
TEST(output, many_who_wait)
{
  seen s = {.calls = 0};
  test_thread *threads[8];
  covey_process *p = spawn(&s, TEST_HELPER("out", "2000000"), NULL);

  for (int i = 0; i < 8; i++) threads[i] = test_thread_start(wait_thread, p);
  for (int i = 0; i < 8; i++) test_thread_join(threads[i]);
  CHECK_UINT(s.size[1], 2000000);
  CHECK(!s.other);
  covey_process_close(p);
}

TEST(output, in_a_pipeline)
{
  seen s = {.calls = 0};
  covey_pipeline_result r;
  covey_process_options commands[] = {
      {.argv = TEST_HELPER("out", "1000000")},
      {.argv = TEST_HELPER("cat"), .out.kind = COVEY_STDIO_PIPE, .on_output = see, .user = &s}};

  REQUIRE_OK(covey_pipeline(commands, 2, NULL, &r));
  CHECK_INT(r.failed, -1);
  CHECK_UINT(s.size[1], 1000000);
  CHECK(!s.other);
  covey_pipeline_result_free(&r);
}

/* ---- no memory ---- */

static int count_line(const covey_line *line, void *user)
{
  seen *s = user;

  s->size[line->stream] += line->size + !(line->flags & (COVEY_LINE_OPEN | COVEY_LINE_MORE));
  return 0;
}

/* Runs options while the n-th allocation of this thread fails. True when that was told. What was said to be whole is whole. */
static bool run_without_memory(covey_process_options o, int64_t n, bool kept)
{
  seen s = {.calls = 0};
  covey_result r;
  int code;

  o.user = &s;
  cvy_mem_fail_after(n);
  code = covey_run(&o, &r);
  cvy_mem_fail_after(0);
  CHECK(!s.other);
  if (code < 0) {
    CHECK_INT(code, COVEY_ENOMEM);
    return true;
  }
  code = r.failure.code;
  CHECK(code == 0 || code == COVEY_ENOMEM);
  if (code == 0) {
    CHECK_UINT(s.size[1], 200000);
    CHECK_UINT(r.out_size, kept ? 200000 : 0);
  }
  covey_result_free(&r);
  return code != 0;
}

TEST_LIMIT(output, without_memory, 240)
{
  covey_process_options lines = {.argv = TEST_HELPER("both", "200000", "1000"),
                                 .out.kind = COVEY_STDIO_LINES,
                                 .err.kind = COVEY_STDIO_LINES,
                                 .line_max = 300,
                                 .on_line = count_line},
                        tee = {.argv = lines.argv,
                               .out.kind = COVEY_STDIO_CAPTURE,
                               .err.kind = COVEY_STDIO_PIPE,
                               .on_output = see};
  int told[2] = {0, 0};

  test_no_child_handles_lost();
  for (int64_t n = 1; n < 90; n++) {
    told[0] += run_without_memory(lines, n, false);
    told[1] += run_without_memory(tee, n, true);
  }
  CHECK(told[0] > 10);
  CHECK(told[1] > 10);
}
