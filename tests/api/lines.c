/* Output line by line: asked for, and by callbacks. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>

enum { MOST = 6000000 };

/* What came, as the bytes that it was. */
typedef struct told {
  char *text[3];
  size_t size[3];
  uint64_t last;  /* number */
  bool inside[3]; /* a piece came whose line goes on */
  uint64_t number[3];
  uint64_t lines;
  size_t longest;
  int stop_at; /* the line after which no more is wanted; 0: none */
} told;

static told *told_new(void)
{
  told *t = calloc(1, sizeof *t);

  REQUIRE(t != NULL);
  for (int i = 1; i < 3; i++) REQUIRE((t->text[i] = malloc(MOST)) != NULL);
  return t;
}

static void told_free(told *t)
{
  for (int i = 1; i < 3; i++) free(t->text[i]);
  free(t);
}

static int tell(const covey_line *line, void *user)
{
  told *t = user;
  int s = line->stream;
  const char *end = line->flags & COVEY_LINE_CRLF ? "\r\n" : "\n";

  REQUIRE(s == COVEY_STDOUT || s == COVEY_STDERR);
  REQUIRE(t->size[s] + line->size + 2 < MOST);
  if (t->inside[s])
    CHECK_UINT(line->number, t->number[s]);
  else
    CHECK_UINT(line->number, ++t->last);
  t->number[s] = line->number;
  t->inside[s] = (line->flags & COVEY_LINE_MORE) != 0;
  if (line->size > t->longest) t->longest = line->size;
  memcpy(t->text[s] + t->size[s], line->data, line->size);
  t->size[s] += line->size;
  if (line->flags & (COVEY_LINE_MORE | COVEY_LINE_OPEN)) return 0;
  memcpy(t->text[s] + t->size[s], end, strlen(end));
  t->size[s] += strlen(end);
  t->lines++;
  return t->stop_at && (int)t->lines >= t->stop_at;
}

static covey_process *spawn(const covey_process_options *options)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(options, &p));
  return p;
}

/* All lines of p; the code behind the last. */
static int read_all(covey_process *p, told *t)
{
  covey_line line;
  int r;

  while ((r = covey_process_read_line(p, TEST_SOON, &line)) == 1) tell(&line, t);
  return r;
}

TEST(lines, asked_for)
{
  covey_line line;
  char want[32];

  test_no_child_handles_lost();
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("lines", "1000"), .out.kind = COVEY_STDIO_LINES});
  for (int i = 0; i < 1000; i++) {
    REQUIRE_OK(covey_process_read_line(p, TEST_SOON, &line));
    snprintf(want, sizeof want, "line %d", i);
    CHECK_UINT(line.size, strlen(want));
    CHECK_MEM(line.data, want, strlen(want));
    CHECK_UINT(line.number, (uint64_t)i + 1);
    CHECK_INT(line.stream, COVEY_STDOUT);
    CHECK_UINT(line.flags, 0);
  }
  CHECK_INT(covey_process_read_line(p, TEST_SOON, &line), 0);
  CHECK_INT(covey_process_read_line(p, 0, &line), 0);
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
}

/* Every byte that there is, in lines of all lengths; pieces are never longer than asked for. */
TEST(lines, every_byte)
{
  static const size_t longest[] = {1, 7, 100, 250, 0};

  for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++) {
    told *t = told_new();
    covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("both", "300001", "70000"),
                                                      .out.kind = COVEY_STDIO_LINES,
                                                      .err.kind = COVEY_STDIO_LINES,
                                                      .line_max = longest[i]});

    CHECK_INT(read_all(p, t), 0);
    CHECK_UINT(t->size[1], 300001);
    CHECK_UINT(t->size[2], 70000);
    CHECK(test_is_pattern(t->text[1], t->size[1], 0));
    CHECK(test_is_pattern(t->text[2], t->size[2], 0));
    CHECK(t->longest <= (longest[i] ? longest[i] : 250));
    covey_process_close(p);
    told_free(t);
  }
}

TEST(lines, callbacks_of_a_run)
{
  told *t = told_new();
  covey_result r;

  test_no_child_handles_lost();
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "3000000", "2000000"),
                                                .out.kind = COVEY_STDIO_LINES,
                                                .err.kind = COVEY_STDIO_LINES,
                                                .line_max = 200,
                                                .on_line = tell,
                                                .user = t},
                       &r));
  CHECK(COVEY_EXIT_OK(&r.exit));
  CHECK_UINT(r.out_size, 0);
  CHECK_UINT(t->size[1], 3000000);
  CHECK_UINT(t->size[2], 2000000);
  CHECK(test_is_pattern(t->text[1], t->size[1], 0));
  CHECK(test_is_pattern(t->text[2], t->size[2], 0));
  CHECK_UINT(t->longest, 200);
  covey_result_free(&r);
  told_free(t);
}

/* One stream by lines, the other kept. */
TEST(lines, beside_a_capture)
{
  told *t = told_new();
  covey_result r;

  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("both", "50000", "30000"),
                                                .out.kind = COVEY_STDIO_CAPTURE,
                                                .err.kind = COVEY_STDIO_LINES,
                                                .on_line = tell,
                                                .user = t},
                       &r));
  CHECK_UINT(r.out_size, 50000);
  CHECK_UINT(t->size[1], 0);
  CHECK_UINT(t->size[2], 30000);
  CHECK(test_is_pattern(t->text[2], t->size[2], 0));
  covey_result_free(&r);
  told_free(t);
}

TEST(lines, a_callback_that_has_enough)
{
  told *t = told_new();
  covey_result r;

  t->stop_at = 10;
  REQUIRE_OK(covey_run(&(covey_process_options){.argv = TEST_HELPER("flood"),
                                                .out.kind = COVEY_STDIO_LINES,
                                                .on_line = tell,
                                                .user = t,
                                                .grace = 50},
                       &r));
  CHECK_UINT(t->lines, 10);
  CHECK_INT(r.exit.why, COVEY_WHY_CANCEL);
  CHECK_INT(r.failure.code, COVEY_ECANCELED);
  covey_result_free(&r);
  told_free(t);
}

TEST(lines, line_ends)
{
  static const char text[] = "one\r\ntwo\n\r\n\nthree\rthree\nfour\0four\r\nend";
  static const char *const lines[] = {"one", "two", "", "", "three\rthree", "four\0four", "end"};
  static const size_t sizes[] = {3, 3, 0, 0, 11, 9, 3};
  static const uint32_t flags[] = {COVEY_LINE_CRLF, 0, COVEY_LINE_CRLF, 0, 0, COVEY_LINE_CRLF,
                                   COVEY_LINE_OPEN};
  covey_line line;
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("cat"),
                                                    .input = text,
                                                    .input_size = sizeof text - 1,
                                                    .out.kind = COVEY_STDIO_LINES});

  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    REQUIRE_OK(covey_process_read_line(p, TEST_SOON, &line));
    CHECK_UINT(line.size, sizes[i]);
    CHECK_MEM(line.data, lines[i], sizes[i]);
    CHECK_UINT(line.flags, flags[i]);
  }
  CHECK_INT(covey_process_read_line(p, TEST_SOON, &line), 0);
  covey_process_close(p);
}

/* A line is there as soon as its end is, and not before. */
TEST(lines, while_it_runs)
{
  covey_line line;
  covey_process *p = spawn(&(covey_process_options){
      .argv = TEST_HELPER("cat"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_LINES});

  CHECK_ERR(covey_process_read_line(p, 0, &line), COVEY_ETIMEDOUT);
  CHECK_INT(covey_process_write(p, "hel", 3, TEST_SOON), 3);
  CHECK_ERR(covey_process_read_line(p, 100, &line), COVEY_ETIMEDOUT);
  CHECK_INT(covey_process_write(p, "lo\nyou", 6, TEST_SOON), 6);
  REQUIRE_OK(covey_process_read_line(p, TEST_SOON, &line));
  CHECK_UINT(line.size, 5);
  CHECK_MEM(line.data, "hello", 5);
  CHECK_OK(covey_process_close_input(p));
  REQUIRE_OK(covey_process_read_line(p, TEST_SOON, &line));
  CHECK_MEM(line.data, "you", 3);
  CHECK_UINT(line.flags, COVEY_LINE_OPEN);
  CHECK_INT(covey_process_read_line(p, TEST_SOON, &line), 0);
  covey_process_cancel(p);
  CHECK_INT(covey_process_read_line(p, TEST_SOON, &line), 0);
  covey_process_close(p);
}

static void cancel_soon(void *arg)
{
  test_pause(200);
  covey_process_cancel(arg);
}

TEST(lines, cancelled)
{
  covey_line line;
  covey_process *p = spawn(
      &(covey_process_options){.argv = TEST_HELPER("ignore"), .out.kind = COVEY_STDIO_LINES, .grace = 50});

  REQUIRE_OK(covey_process_read_line(p, TEST_SOON, &line));
  CHECK_MEM(line.data, "ready", 5);
  test_fill(&line, sizeof line);
  test_thread *t = test_thread_start(cancel_soon, p);
  CHECK_ERR(covey_process_read_line(p, TEST_SOON, &line), COVEY_ECANCELED);
  CHECK(test_is_filled(&line, sizeof line));
  test_thread_join(t);
  covey_process_close(p);
}

/* Nobody reads for a while: the child stands still, and nothing is lost. */
TEST(lines, back_pressure)
{
  told *t = told_new();
  covey_process *p =
      spawn(&(covey_process_options){.argv = TEST_HELPER("out", "5000000"), .out.kind = COVEY_STDIO_LINES});

  CHECK_ERR(covey_process_wait(p, 400, NULL), COVEY_ETIMEDOUT); /* 5 MB are more than all buffers hold */
  CHECK_INT(read_all(p, t), 0);
  CHECK_UINT(t->size[1], 5000000);
  CHECK(test_is_pattern(t->text[1], t->size[1], 0));
  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  covey_process_close(p);
  told_free(t);
}

/* What a descendant holds ends for lines too; and lines can be read however late. */
TEST(lines, a_held_pipe)
{
  told *t = told_new();
  covey_process *p = spawn(&(covey_process_options){.argv = TEST_HELPER("spawn-holding", "60000"),
                                                    .out.kind = COVEY_STDIO_LINES,
                                                    .err.kind = COVEY_STDIO_MERGE});

  CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
  test_pause(200);
  CHECK_INT(read_all(p, t), 0);
  CHECK_UINT(t->lines, 1);
  covey_process_close(p);
  told_free(t);
}

TEST(lines, over_sockets)
{
  told *t = told_new();
  covey_process *p;

  if (test_is_windows()) TEST_SKIP("a stream over sockets is of POSIX");
  p = spawn(&(covey_process_options){.argv = TEST_HELPER("out", "1000000"),
                                     .out = {COVEY_STDIO_LINES, .flags = COVEY_STDIO_SOCKET}});
  CHECK_INT(read_all(p, t), 0);
  CHECK(t->size[1] == 1000000 && test_is_pattern(t->text[1], t->size[1], 0));
  covey_process_close(p);
  told_free(t);
}

TEST(lines, left_unread)
{
  covey_line line;
  covey_process *p;

  test_no_child_handles_lost();
  p = spawn(&(covey_process_options){.argv = TEST_HELPER("lines", "100000"), .out.kind = COVEY_STDIO_LINES});
  CHECK_INT(covey_process_read_line(p, TEST_SOON, &line), 1);
  covey_process_close(p);
}

/* ---- the handle is closed in the callback ---- */

typedef struct leaving {
  covey_process *process;
  int lines;
} leaving;

static int close_at_third(const covey_line *line, void *user)
{
  leaving *l = user;
  (void)line;
  if (++l->lines == 3) covey_process_close(l->process);
  return 0;
}

TEST(lines, none_comes_behind_a_close_in_the_callback)
{
  covey_loop *loop;
  leaving l = {.lines = 0};
  covey_process_options o = {.argv = TEST_HELPER("lines", "500"),
                             .out.kind = COVEY_STDIO_LINES,
                             .on_line = close_at_third,
                             .user = &l};

  test_no_child_handles_lost();
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  o.loop = loop;
  REQUIRE_OK(covey_spawn(&o, &l.process));
  for (int64_t end = test_now() + TEST_SOON; l.lines < 3 && test_now() < end;) {
    CHECK_OK(covey_loop_dispatch(loop));
    test_pause(1);
  }
  CHECK_OK(covey_loop_dispatch(loop));
  CHECK_INT(l.lines, 3);
  covey_loop_close(loop);
}
