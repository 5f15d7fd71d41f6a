/* Things that meet: output, the end, a request, a deadline, a callback and another thread, in orders that chance alone seldom brings. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/manager.h>
#include <covey/process.h>

#include "core/atomics.h"
#include "core/fault.h"

#include <string.h>

/* A loop that nobody turns but who waits: what has happened is not known before. */
static covey_loop *still_loop(void)
{
  covey_loop *loop = NULL;

  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  return loop;
}

static covey_process *start(covey_loop *loop, const covey_process_options *options)
{
  covey_process_options o = *options;
  covey_process *p = NULL;

  o.loop = loop;
  REQUIRE_OK(covey_spawn(&o, &p));
  return p;
}

/* The same, and it has ended since. */
static covey_process *start_and_end(covey_loop *loop, const covey_process_options *options)
{
  covey_process *p = start(loop, options);

  REQUIRE(test_process_gone(covey_process_pid(p), TEST_SOON));
  return p;
}

/* ---- an end that was there before ---- */

static void check_own_end(covey_process *p, uint32_t code)
{
  covey_exit e = {0};

  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_INT(e.how, COVEY_HOW_EXITED);
  CHECK_UINT(e.code, code);
  CHECK_INT(e.why, COVEY_WHY_SELF);
  CHECK_UINT(e.step, 0);
  covey_process_close(p);
}

TEST(orders, what_had_ended_was_not_stopped)
{
  static const covey_stop_step steps[] = {{COVEY_STOP_ASK, 0, 1000}, {COVEY_STOP_KILL, 0, 0}};
  covey_process_options o = {.argv = TEST_HELPER("exit", "5"), .ladder = steps, .ladder_count = 2},
                        plain = {.argv = TEST_HELPER("exit", "5")};
  covey_loop *loop = still_loop();
  covey_process *p;

  p = start_and_end(loop, &plain);
  CHECK_OK(covey_process_stop(p, 5000, NULL));
  check_own_end(p, 5);
  p = start_and_end(loop, &plain);
  CHECK_OK(covey_process_stop(p, 0, NULL));
  check_own_end(p, 5);
  p = start_and_end(loop, &o);
  CHECK_OK(covey_process_stop_start(p, 5000));
  check_own_end(p, 5);
  p = start_and_end(loop, &plain);
  CHECK_OK(covey_process_kill(p));
  check_own_end(p, 5);
  covey_loop_close(loop);
}

/* A loop that was not turned for long finds deadline and end at once. */
TEST(orders, what_had_ended_was_in_time)
{
  covey_loop *loop = still_loop();
  covey_process *p;

  p = start_and_end(loop, &(covey_process_options){.argv = TEST_HELPER("exit", "5"), .timeout = 50});
  test_pause(100);
  check_own_end(p, 5);
  p = start_and_end(loop, &(covey_process_options){
                              .argv = TEST_HELPER("exit", "5"), .idle = 50, .out.kind = COVEY_STDIO_CAPTURE});
  test_pause(100);
  check_own_end(p, 5);
  covey_loop_close(loop);
}

TEST(orders, what_had_ended_was_not_swept)
{
  covey_loop *loop = still_loop();
  covey_manager *m;
  covey_member member = {0};

  for (int how = 0; how < 2; how++) {
    int64_t pid = 0;

    REQUIRE_OK(covey_manager_new(&(covey_manager_options){.loop = loop, .flags = COVEY_MANAGER_PLAIN}, &m));
    REQUIRE_OK(covey_manager_spawn(m, &(covey_process_options){.argv = TEST_HELPER("exit", "5")}, NULL));
    REQUIRE(covey_manager_pids(m, &pid, 1) == 1);
    REQUIRE(test_process_gone(pid, TEST_SOON));
    CHECK_INT(how ? covey_manager_stop_all(m, 5000, &member, 1) : covey_manager_kill_all(m, &member, 1), 0);
    CHECK_INT(member.exit.why, COVEY_WHY_SELF);
    CHECK_UINT(member.exit.code, 5);
    covey_manager_free(m);
  }
  covey_loop_close(loop);
}

/* ---- output behind the end ---- */

/* Whichever is seen first, the end or what was too much: it is told. */
TEST(orders, too_much_is_told_after_the_end_too)
{
  covey_loop *loop = still_loop();
  covey_result r;
  covey_exit e;

  for (int i = 0; i < (test_is_windows() ? 4 : 20); i++) {
    covey_process *p = start_and_end(loop, &(covey_process_options){.argv = TEST_HELPER("out", "3000"),
                                                                    .out.kind = COVEY_STDIO_CAPTURE,
                                                                    .capture_max = 1000});
    REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
    CHECK_INT(e.why, COVEY_WHY_OUTPUT);
    CHECK_UINT(e.code, 0);
    covey_process_close(p);
  }
  for (int i = 0; i < (test_is_windows() ? 6 : 50); i++) {
    REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("out", "3000"),
                                                  .out.kind = COVEY_STDIO_CAPTURE,
                                                  .capture_max = 1000},
                         &r));
    CHECK_INT(r.exit.why, COVEY_WHY_OUTPUT);
    CHECK_INT(r.failure.code, COVEY_ETOOBIG);
    covey_result_free(&r);
  }
  covey_loop_close(loop);
}

static int enough(int stream, const void *data, size_t size, void *user)
{
  (void)stream;
  (void)data;
  *(size_t *)user += size;
  return 1;
}

TEST(orders, enough_is_told_after_the_end_too)
{
  covey_loop *loop = still_loop();
  size_t total = 0;
  covey_exit e;
  covey_process *p = start_and_end(loop, &(covey_process_options){.argv = TEST_HELPER("both", "3000", "3000"),
                                                                  .out.kind = COVEY_STDIO_PIPE,
                                                                  .err.kind = COVEY_STDIO_PIPE,
                                                                  .on_output = enough,
                                                                  .user = &total});

  REQUIRE_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK(total > 0 && total < 6000);
  CHECK_INT(e.why, COVEY_WHY_CANCEL);
  covey_process_close(p);
  covey_loop_close(loop);
}

/* ---- a callback inside a read ---- */

typedef struct inner {
  covey_process *process, *other;
  int lines;
  int64_t nested; /* bytes that the callback itself has read */
  bool reads;
} inner;

static int wait_in_line(const covey_line *line, void *user)
{
  inner *n = user;
  char data[16384];
  int r;

  (void)line;
  if (n->lines++) return 0;
  CHECK_INT(covey_process_write(n->process, "x", 1, TEST_SOON), 1); /* now it writes, and ends */
  if (n->reads) {
    CHECK_OK(r = covey_process_read(n->process, COVEY_STDOUT, TEST_SOON, data, sizeof data));
    if (r > 0) n->nested = r;
    CHECK(r > 0 && test_is_pattern(data, (size_t)r, 0));
  }
  CHECK_OK(covey_process_wait(n->other, TEST_SOON, NULL));
  return 0;
}

/* A read runs a callback, which waits on the same loop until the process is long over: what it wrote meanwhile is not lost. */
static void read_around_a_callback(bool reads)
{
  covey_loop *loop = still_loop();
  inner n = {.reads = reads};
  char *data = malloc(16384);
  uint64_t total = 0;
  int r;

  REQUIRE(data != NULL);
  n.other = start(loop, &(covey_process_options){.argv = TEST_HELPER("sleep", "700")});
  n.process = start(loop, &(covey_process_options){.argv = TEST_HELPER("act", "m1", "r", "o60000"),
                                                   .in.kind = COVEY_STDIO_PIPE,
                                                   .out.kind = COVEY_STDIO_PIPE,
                                                   .err.kind = COVEY_STDIO_LINES,
                                                   .on_line = wait_in_line,
                                                   .user = &n});
  while ((r = covey_process_read(n.process, COVEY_STDOUT, TEST_SOON, data, 16384)) > 0) {
    CHECK(test_is_pattern(data, (size_t)r, total + (uint64_t)n.nested));
    total += (uint64_t)r;
  }
  CHECK_INT(r, 0);
  CHECK_INT(n.lines, 1);
  CHECK_UINT(total + (uint64_t)n.nested, 60000);
  free(data);
  covey_process_close(n.process);
  covey_process_close(n.other);
  covey_loop_close(loop);
}

TEST(orders, a_callback_inside_a_read)
{
  read_around_a_callback(false);
}

TEST(orders, a_read_inside_a_callback_inside_a_read)
{
  read_around_a_callback(true);
}

/* ---- two readers ---- */

typedef struct reader {
  covey_process *process;
  uint64_t total;
  uint32_t *over;
} reader;

static void read_little(void *arg)
{
  reader *w = arg;
  char byte;

  while (!cvy_load_seq_u32(w->over)) {
    int r = covey_process_read(w->process, COVEY_STDOUT, 0, &byte, 1);

    if (r > 0) w->total += (uint64_t)r;
    if (r < 0 && r != COVEY_ETIMEDOUT) {
      CHECK_ERR(r, COVEY_ETIMEDOUT);
      break;
    }
  }
}

/* They share the bytes, and neither is told a failure of which there is none. */
TEST(orders, two_readers)
{
  uint32_t over = 0;
  char *data = malloc(65536);
  uint64_t total = 0;
  int r;

  REQUIRE(data != NULL);
  covey_process *p = start(
      NULL, &(covey_process_options){.argv = TEST_HELPER("out", "30000000"), .out.kind = COVEY_STDIO_PIPE});
  reader w = {p, 0, &over};
  test_thread *t = test_thread_start(read_little, &w);
  while ((r = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, 65536)) > 0) total += (uint64_t)r;
  CHECK_INT(r, 0);
  cvy_store_seq_u32(&over, 1);
  test_thread_join(t);
  CHECK_UINT(total + w.total, 30000000);
  free(data);
  covey_process_close(p);
}

/* ---- input ---- */

TEST(orders, a_write_behind_the_close)
{
  covey_loop *loop = still_loop();
  covey_process *p = start(
      loop, &(covey_process_options){.argv = TEST_HELPER("act", "i3", "x4"), .in.kind = COVEY_STDIO_PIPE});
  covey_exit e;

  CHECK_INT(covey_process_write(p, "\0\1\2", 3, TEST_SOON), 3);
  CHECK_OK(covey_process_close_input(p));
  CHECK_ERR(covey_process_write(p, "x", 1, 0), COVEY_ECLOSED);
  CHECK_OK(covey_process_close_input(p));
  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK_UINT(e.code, 4);
  covey_process_close(p);
  covey_loop_close(loop);
}

/* ---- deadlines beside somebody quick ---- */

TEST(orders, a_line_without_end_ends_with_the_deadline)
{
  covey_line line;
  covey_process *p = start(NULL, &(covey_process_options){.argv = TEST_HELPER("act", "f"),
                                                          .out.kind = COVEY_STDIO_LINES,
                                                          .line_max = (size_t)256 << 20});

  CHECK_ERR(covey_process_read_line(p, 30, &line), COVEY_ETIMEDOUT);
  covey_process_close(p);
}

TEST(orders, a_write_ends_with_the_deadline_however_quick_the_reader_is)
{
  const size_t size = (size_t)200 << 20;
  char *data = calloc(size, 1);
  covey_process *p =
      start(NULL, &(covey_process_options){.argv = TEST_HELPER("act", "i1"), .in.kind = COVEY_STDIO_PIPE});
  int n;

  REQUIRE(data != NULL);
  CHECK_OK(n = covey_process_write(p, data, size, 20));
  CHECK(n > 0 && (size_t)n < size);
  free(data);
  covey_process_close(p);
}

/* ---- a cancel that meets the beginning of a wait ---- */

static covey_cancel *to_fire;

static void fire(int step)
{
  if (step == CVY_STEP_WAITS) covey_cancel_fire(to_fire);
}

TEST(orders, a_cancel_as_the_wait_begins)
{
  covey_loop *loop = still_loop();
  int64_t begun;

  REQUIRE_OK(covey_cancel_new(&to_fire));
  covey_process *p =
      start(loop, &(covey_process_options){.argv = TEST_HELPER("act", "h"), .cancel = to_fire});
  cvy_fault_on_step(fire);
  begun = test_now();
  CHECK_ERR(covey_process_wait(p, TEST_SOON, NULL), COVEY_ECANCELED);
  CHECK(test_now() - begun < TEST_SOON / 2);
  cvy_fault_on_step(NULL);
  covey_process_close(p);
  covey_cancel_free(to_fire);
  covey_loop_close(loop);
}
