/* Every call of the system that a watch makes fails once: a clear error, and nothing lost. */
#include "child.h"

#include "core/fault.h"
#include "core/mem.h"
#include "support/ends.h"

#include <covey/loop.h>
#include <errno.h>

/* Repeats step, after prepare (may be NULL), with its n-th call of the system, then its n-th allocation, failing, until none is left to fail. A step returns its code. */
static void walk(const char *name, void (*prepare)(void *arg), int (*step)(void *arg), void *arg)
{
  for (int64_t n = 1; n < 100; n++) {
    if (prepare) prepare(arg);
    cvy_fault_after(CVOS_FAULT_NONE, n,
                    test_is_windows() ? 4 /* ERROR_TOO_MANY_OPEN_FILES */ : 24 /* EMFILE */);
    int r = step(arg);
    bool reached = cvy_fault_seen() >= n;
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (!reached) {
      CHECK_OK(r);
      break;
    }
    if (r < 0 && r != COVEY_ELIMIT && r != COVEY_EAGAIN)
      TEST_FAIL("%s, call %d: %s", name, (int)n, covey_errname(r));
  }
  for (int64_t n = 1; n < 100; n++) {
    if (prepare) prepare(arg);
    cvy_mem_fail_after(n);
    int r = step(arg);
    cvy_mem_fail_after(0);
    if (r == 0) break;
    CHECK_INT(r, COVEY_ENOMEM);
  }
}

static int open_loop(void *arg)
{
  covey_loop *loop;
  (void)arg;
  int r = covey_loop_open(NULL, &loop);
  if (!r) covey_loop_close(loop);
  return r;
}

static int take_handle(void *arg)
{
  covey_loop *loop;
  covey_native handle = CVOS_NONE;
  (void)arg;
  int r = covey_loop_open(NULL, &loop);
  if (r) return r;
  r = covey_loop_handle(loop, &handle);
  CHECK((r == 0) == (handle != CVOS_NONE));
  covey_loop_close(loop);
  return r;
}

static int no_arg;

TEST(watch_fault, loops)
{
  REQUIRE_OK(open_loop(NULL));
  test_no_handles_lost();
  walk("open", NULL, open_loop, &no_arg);
  walk("handle", NULL, take_handle, &no_arg);
}

static const cvos_io_events no_events;

static void no_exit(void *arg)
{
  (void)arg;
}

static bool turned_enough(void *arg)
{
  return --*(int *)arg < 0;
}

static void settle(covey_loop *loop)
{
  int turns = 5;
  ends_wait(loop, turned_enough, &turns, 20);
}

typedef struct scene {
  covey_loop *loop;
  cvos_handle handle; /* given up only on success */
  child c;
  cvos_listener *listener;
} scene;

static void make_stream(void *arg)
{
  scene *s = arg;
  char token[CVOS_TOKEN_MAX];
  cvos_handle theirs = CVOS_NONE;
  if (s->handle != CVOS_NONE) return;
  REQUIRE_OK(cvos_stream_pair(&s->handle, &theirs, token));
  cvos_handle_close(theirs);
}

static int watch_stream(void *arg)
{
  scene *s = arg;
  cvos_io *io;
  int r = cvos_io_open(cvy_loop_uv(s->loop), s->handle, CVOS_IO_READ | CVOS_IO_WRITE, &no_events, NULL, &io);
  if (r) return r;
  s->handle = CVOS_NONE;
  cvos_io_close(io, true);
  settle(s->loop);
  return 0;
}

static int watch_end(void *arg)
{
  scene *s = arg;
  cvos_exit_watch *watch;
  int r = cvos_exit_watch_open(cvy_loop_uv(s->loop), true, &s->c.process, no_exit, NULL, NULL, &watch);
  if (r) return r;
  cvos_exit_watch_close(watch);
  settle(s->loop);
  return 0;
}

static const cvos_acceptor_events no_acceptor_events;

static int watch_listener(void *arg)
{
  scene *s = arg;
  cvos_acceptor *a;
  int r = cvos_acceptor_open(cvy_loop_uv(s->loop), s->listener, &no_acceptor_events, NULL, &a);
  if (r) return r;
  settle(s->loop);
  cvos_acceptor_close(a);
  settle(s->loop);
  return 0;
}

TEST(watch_fault, watches)
{
  scene s = {.loop = ends_loop(), .handle = CVOS_NONE};
  cvos_address address = {.directory = test_temp_dir(), .app = "fault", .name = "test"};
  child_start(&s.c, NULL, (const char *const[]){"hang", NULL});
  REQUIRE_OK(cvos_listener_open(&address, &s.listener));
  walk("io", make_stream, watch_stream, &s);
  walk("exit", NULL, watch_end, &s);
  walk("acceptor", NULL, watch_listener, &s);
  cvos_handle_close(s.handle);
  test_process_kill(s.c.process.pid);
  child_finish(&s.c);
  cvos_listener_close(s.listener);
  cvy_loop_private_close(s.loop);
}

/* Reads and writes that fail are told with the system's number; interrupted ones are repeated. */
TEST(watch_fault, reads_and_writes)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  int point = test_is_windows() ? CVOS_FAULT_WRITE : CVOS_FAULT_SEND,
      number = test_is_windows() ? 8 : 12; /* out of memory */
  cvos_piece piece = {"abc", 3};
  int system = 0;
  cvy_fault_after(point, 1, number);
  CHECK_INT(cvos_io_write(a.io, &piece, 1, NULL, 0, &system), COVEY_ENOMEM);
  CHECK_INT(system, number);
  CHECK_INT(cvos_io_write(a.io, &piece, 1, NULL, 0, &system), 3);
  if (!test_is_windows()) {
    cvy_fault_after(point, 1, 4 /* EINTR */);
    CHECK_INT(cvos_io_write(a.io, &piece, 1, NULL, 0, &system), 3);
  }
  point = test_is_windows() ? CVOS_FAULT_READ : CVOS_FAULT_RECEIVE;
  cvy_fault_after(point, 1, number);
  cvos_io_read(b.io, true);
  CHECK(ends_wait(loop, end_has_ended, &b, ENDS_LONG));
  CHECK_INT(b.status, COVEY_ENOMEM);
  CHECK_UINT(b.size, 0);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

/* A system that has no room for a write, and says all the time that there is some, is not asked without a pause. */
static void not_for_a_while(int error, size_t handle_count)
{
  enum { WHILE = 300 };
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_piece piece = {"abc", 3};
  cvos_handle handle = cvos_io_handle(a.io);
  int system = 0, tries = 0;
  for (int64_t until = test_now() + WHILE; test_now() < until; tries++) {
    cvy_fault_after(CVOS_FAULT_SEND, 1, error);
    CHECK_INT(cvos_io_write(a.io, &piece, 1, &handle, handle_count, &system), 0);
    a.rooms = 0;
    cvos_io_want_room(a.io);
    CHECK(ends_wait(loop, end_has_room, &a, ENDS_LONG));
  }
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  CHECK(tries <= WHILE);
  CHECK_INT(end_put(&a, "abc", 3), 3);
  cvos_io_read(b.io, true);
  CHECK(end_wait_amount(&b, 3));
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

/* Linux, of its memory. */
TEST(watch_fault, no_memory_for_a_while)
{
  if (test_is_windows()) TEST_SKIP("a write is queued there");
  not_for_a_while(ENOBUFS, 0);
}

/* macOS, of handles for which it has no descriptor: the bytes are there, and with them that something is missing. */
TEST(watch_fault, handles_that_are_thrown_away)
{
  if (test_is_windows()) TEST_SKIP("no read brings handles there");
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_io_read(b.io, true);
  CHECK_INT(end_put(&a, "abc", 3), 3);
  cvy_fault_after(CVOS_FAULT_RECEIVE, 1, EMSGSIZE);
  CHECK(end_wait_amount(&b, 3));
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  REQUIRE(b.handle_count == 1);
  CHECK(b.handles[0] == CVOS_NONE);
  CHECK_INT(end_put(&a, "def", 3), 3);
  CHECK(end_wait_amount(&b, 6));
  CHECK_MEM(b.data, "abcdef", 6);
  CHECK_UINT(b.handle_count, 1);
  CHECK_INT(b.ended, 0);
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

/* macOS, of handles beside what the peer has not read. The same without handles is an error like any other. */
TEST(watch_fault, no_room_for_handles_for_a_while)
{
  if (test_is_windows()) TEST_SKIP("a write is queued there");
  not_for_a_while(EMSGSIZE, 1);
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  int system = 0;
  cvy_fault_after(CVOS_FAULT_SEND, 1, EMSGSIZE);
  CHECK_INT(cvos_io_write(a.io, &(cvos_piece){"abc", 3}, 1, NULL, 0, &system), COVEY_ETOOBIG);
  CHECK_INT(system, EMSGSIZE);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}
