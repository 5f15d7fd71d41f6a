/* Writes that do not wait: options.on_room tells when to go on. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/process.h>

#define ALL (2 << 20)

/* A writer on an event loop: what is left of its text, and what it was told. */
typedef struct writer {
  covey_loop *loop;
  covey_native handle;
  covey_process *process;
  char *text;
  size_t size, done;
  int calls, ends, failed;
  bool closes;   /* the input, behind the last byte */
  bool gives_up; /* closes the handle when it is told */
  bool within;   /* a call came inside a write */
  bool writing;
  covey_exit end;
  char said[64];
  size_t said_size;
} writer;

static void go_on(writer *w)
{
  while (w->done < w->size && !w->failed) {
    int r;

    w->writing = true;
    r = covey_process_write(w->process, w->text + w->done, w->size - w->done, 0);
    w->writing = false;
    if (r == COVEY_ETIMEDOUT) return;
    if (r < 0) w->failed = r;
    if (r > 0) w->done += (size_t)r;
  }
  if (w->closes && !w->failed) CHECK_OK(covey_process_close_input(w->process));
}

static void room(covey_process *process, void *user)
{
  writer *w = user;

  CHECK(process == w->process);
  if (w->writing) w->within = true;
  w->calls++;
  if (w->gives_up) {
    covey_process_close(process);
    w->process = NULL;
  } else {
    go_on(w);
  }
}

static void ended(covey_process *process, const covey_exit *exit, void *user)
{
  writer *w = user;

  (void)process;
  w->ends++;
  w->end = *exit;
}

/* The last word of the child. */
static int see(int stream, const void *data, size_t size, void *user)
{
  writer *w = user;

  CHECK_INT(stream, COVEY_STDOUT);
  for (size_t i = 0; i < size && w->said_size < sizeof w->said - 1; i++)
    w->said[w->said_size++] = ((const char *)data)[i];
  return 0;
}

static void writer_open(writer *w, const char *const *argv, uint32_t flags)
{
  covey_process_options o = {
      .argv = argv, .flags = flags, .in.kind = COVEY_STDIO_PIPE, .on_room = room, .user = w};

  test_no_child_handles_lost();
  *w = (writer){.size = ALL};
  w->text = malloc(ALL);
  REQUIRE(w->text);
  test_make_pattern(w->text, ALL, 0);
  REQUIRE_OK(covey_loop_open(NULL, &w->loop));
  REQUIRE_OK(covey_loop_handle(w->loop, &w->handle));
  o.out.kind = COVEY_STDIO_PIPE;
  o.on_output = see;
  o.loop = w->loop;
  REQUIRE_OK(covey_spawn(&o, &w->process));
  CHECK_OK(covey_process_on_end(w->process, ended, w));
}

/* Nothing but the loop's handle says when there is something to do. */
static void turn_until(writer *w, const int *flag)
{
  int64_t until = test_now() + TEST_SOON;

  while (!*flag && test_now() < until)
    if (test_handle_ready(w->handle, 1000)) CHECK_OK(covey_loop_dispatch(w->loop));
  CHECK(*flag);
}

static void writer_close(writer *w)
{
  covey_process_close(w->process);
  covey_loop_close(w->loop);
  free(w->text);
}

/* The child counts what it reads and compares it: nothing is lost, twice, or out of order. */
TEST(room, drives_a_write_to_its_end)
{
  writer w;

  writer_open(&w, TEST_HELPER("count"), 0);
  w.closes = true;
  go_on(&w);
  CHECK(w.done < ALL);
  turn_until(&w, &w.ends);
  CHECK_UINT(w.done, ALL);
  CHECK(w.calls > 0 && !w.within && !w.failed);
  CHECK(COVEY_EXIT_OK(&w.end));
  CHECK_STR(w.said, test_format("%d pattern\n", ALL));
  writer_close(&w);
}

/* As in a wait on the process, which runs callbacks as well. */
TEST(room, comes_inside_a_wait)
{
  writer w;

  writer_open(&w, TEST_HELPER("count"), 0);
  w.closes = true;
  go_on(&w);
  CHECK_OK(covey_process_wait(w.process, TEST_SOON, &w.end));
  CHECK_UINT(w.done, ALL);
  CHECK(w.calls > 0 && !w.within);
  CHECK_STR(w.said, test_format("%d pattern\n", ALL));
  writer_close(&w);
}

/* A write that waits goes on by itself, and nobody is called for it; neither is he when all was taken. */
TEST(room, is_for_those_who_were_cut_short)
{
  writer w;

  writer_open(&w, TEST_HELPER("count"), 0);
  CHECK_INT(covey_process_write(w.process, w.text, ALL, TEST_SOON), ALL);
  CHECK_OK(covey_process_close_input(w.process));
  turn_until(&w, &w.ends);
  CHECK_INT(w.calls, 0);
  CHECK_STR(w.said, test_format("%d pattern\n", ALL));
  writer_close(&w);
}

/* Who reads nothing has no room; and when the process ends, its end is told alone. */
TEST(room, never_comes)
{
  writer w;

  writer_open(&w, TEST_HELPER("hang"), 0);
  go_on(&w);
  CHECK(w.done < ALL);
  while (w.said_size < 5 && test_handle_ready(w.handle, TEST_SOON)) CHECK_OK(covey_loop_dispatch(w.loop));
  CHECK_INT(covey_process_write(w.process, w.text, 1, 0), COVEY_ETIMEDOUT);
  CHECK_INT(w.calls, 0);
  CHECK_OK(covey_process_kill(w.process));
  turn_until(&w, &w.ends);
  for (int i = 0; i < 10; i++) CHECK_OK(covey_loop_dispatch(w.loop));
  CHECK_INT(w.ends, 1);
  CHECK(w.calls == 0 || w.failed == COVEY_ECLOSED); /* its pipe may break a moment before its end is known */
  writer_close(&w);
}

/* A child that closes its input lives on: the writer learns it. */
TEST(room, nobody_reads_any_more)
{
  writer w;

  if (test_is_wine()) TEST_SKIP("the console host that wine gives each child holds its streams too");
  writer_open(&w, TEST_HELPER("close-in"), 0);
  go_on(&w);
  if (!w.failed) turn_until(&w, &w.calls);
  CHECK_INT(w.failed, COVEY_ECLOSED);
  CHECK_INT(w.ends, 0);
  writer_close(&w);
}

/* Our own close of the input is known to us. */
TEST(room, not_behind_the_end_of_the_input)
{
  writer w;

  writer_open(&w, TEST_HELPER("count"), 0);
  go_on(&w);
  CHECK_OK(covey_process_close_input(w.process));
  turn_until(&w, &w.ends);
  CHECK_INT(w.calls, 0);
  CHECK_STR(w.said, test_format("%d pattern\n", (int)w.done));
  writer_close(&w);
}

/* A close while a call is due. */
TEST(room, closed_before)
{
  writer w;

  writer_open(&w, TEST_HELPER("count"), 0);
  go_on(&w);
  CHECK(test_handle_ready(w.handle, TEST_SOON));
  covey_process_close(w.process);
  w.process = NULL;
  CHECK_OK(covey_loop_dispatch(w.loop));
  CHECK_INT(w.calls, 0);
  writer_close(&w);
}

TEST(room, closed_by_who_is_told)
{
  writer w;

  writer_open(&w, TEST_HELPER("count"), 0);
  w.gives_up = true;
  go_on(&w);
  turn_until(&w, &w.calls);
  for (int i = 0; i < 10; i++) CHECK_OK(covey_loop_dispatch(w.loop));
  CHECK_INT(w.calls, 1);
  CHECK_INT(w.ends, 0);
  writer_close(&w);
}

/* A terminal holds a few thousand bytes of what is typed and not read. */
TEST(room, of_a_terminal)
{
  writer w;

  if (!(covey_caps() & COVEY_CAP_PTY) || test_is_windows())
    TEST_SKIP("not here, or its terminal takes everything");
  writer_open(&w, TEST_HELPER("tty-lines"), COVEY_PROCESS_PTY);
  w.size = 100000;
  for (size_t i = 0; i < w.size; i++) w.text[i] = i % 20 == 19 ? '\r' : 'x';
  w.closes = true;
  while (w.said_size < 5 && test_handle_ready(w.handle, TEST_SOON)) CHECK_OK(covey_loop_dispatch(w.loop));
  go_on(&w);
  CHECK(w.done < w.size);
  turn_until(&w, &w.ends);
  CHECK_UINT(w.done, w.size);
  CHECK(w.calls > 0 && !w.failed);
  CHECK(COVEY_EXIT_OK(&w.end));
  writer_close(&w);
}
