/* Byte streams under the loop. The other end is in the same process, on the same loop or written directly. */
#include "support/test.h"

#include "loop/sync.h"
#include "support/ends.h"

TEST(watch_io, both_ways_and_the_end)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_io_read(a.io, true);
  cvos_io_read(b.io, true);
  for (int i = 0; i < 200; i++) {
    CHECK_INT(end_put(&a, "ping", 4), 4);
    REQUIRE(end_wait_amount(&b, 4 * (size_t)(i + 1)));
    CHECK_INT(end_put(&b, "pong!", 5), 5);
    REQUIRE(end_wait_amount(&a, 5 * (size_t)(i + 1)));
  }
  CHECK_MEM(b.data, "pingping", 8);
  CHECK_MEM(a.data, "pong!pong!", 10);
  CHECK(!cvos_io_pending(a.io));
  end_close(&a);
  CHECK(ends_wait(loop, end_has_ended, &b, ENDS_LONG));
  CHECK_INT(b.status, 0);
  CHECK_INT(b.ended, 1);
  end_close(&b);
  CHECK_INT(b.ended, 1);
  CHECK_INT(b.closed, 1);
  cvy_loop_private_close(loop);
}

TEST(watch_io, pieces_go_in_order)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_io_read(b.io, true);
  enum { N = 300 };
  static char data[N * (N + 1) / 2];
  cvos_piece pieces[N + 1];
  size_t at = 0;
  test_make_pattern(data, sizeof data, 0);
  for (size_t i = 0; i <= N; i++) { /* 0, 1, 2 ... bytes: more pieces than one system call takes */
    pieces[i] = (cvos_piece){data + at, i};
    at += i;
  }
  REQUIRE(at == sizeof data);
  int system = 0;
  int64_t n = cvos_io_write(a.io, pieces, N + 1, NULL, 0, &system);
  CHECK_INT(n, (int64_t)sizeof data);
  REQUIRE(end_wait_amount(&b, sizeof data));
  CHECK(test_is_pattern(b.data, b.size, 0));
  CHECK_INT(cvos_io_write(a.io, NULL, 0, NULL, 0, &system), 0);
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

/* Writes total bytes of the pattern as room comes, while the loop reads. */
static void pump(end *from, end *to, size_t total, const char *data, size_t size)
{
  size_t sent = 0;
  while (sent < total) {
    size_t skip = sent % 251, part = size - skip;
    if (part > total - sent) part = total - sent;
    int64_t n = end_put(from, data + skip, part);
    REQUIRE(n >= 0);
    sent += (size_t)n;
    if (n) continue;
    from->rooms = 0;
    cvos_io_want_room(from->io);
    REQUIRE(ends_wait(from->loop, end_has_room, from, ENDS_LONG));
  }
  REQUIRE(end_wait_amount(to, total));
}

TEST(watch_io, a_large_amount_with_room)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_io_read(b.io, true);
  static char data[251 * 1024];
  size_t total = (test_is_wine() ? 2 : 20) * 1000000;
  test_make_pattern(data, sizeof data, 0);
  pump(&a, &b, total, data, sizeof data);
  CHECK_UINT(b.size, total);
  CHECK(test_is_pattern(b.data, b.size, 0));
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

TEST(watch_io, reading_off_loses_nothing)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  static char data[30000];
  test_make_pattern(data, sizeof data, 0);
  CHECK_INT(end_put(&a, data, 10000), 10000);
  ends_turn(loop, 30);
  CHECK_UINT(b.size, 0);
  b.stop_at = 1;
  cvos_io_read(b.io, true);
  REQUIRE(ends_wait(loop, end_has_bytes, &b, ENDS_LONG));
  size_t first = b.size;
  CHECK_INT(end_put(&a, data + 10000, 20000), 20000);
  ends_turn(loop, 30);
  CHECK_UINT(b.size, first);
  /* off and on in one go: told once, in a later turn */
  cvos_io_read(b.io, true);
  cvos_io_read(b.io, false);
  ends_turn(loop, 20);
  CHECK(b.size <= sizeof data);
  b.stop_at = 0;
  cvos_io_close(a.io, false);
  CHECK(ends_wait(loop, end_has_closed, &a, ENDS_LONG));
  CHECK_INT(b.ended, 0); /* what waits comes before the end */
  cvos_io_read(b.io, true);
  REQUIRE(ends_wait(loop, end_has_ended, &b, ENDS_LONG));
  CHECK_INT(b.status, 0);
  CHECK_UINT(b.size, sizeof data);
  CHECK(test_is_pattern(b.data, b.size, 0));
  end_close(&b);
  end_free(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, the_peer_closes_with_our_bytes_unread)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_io_read(a.io, true);
  CHECK_INT(end_put(&b, "last words", 10), 10);
  CHECK_INT(end_put(&a, "never read", 10), 10);
  end_close(&b); /* a reset on POSIX: the end all the same, behind the bytes */
  REQUIRE(ends_wait(loop, end_has_ended, &a, ENDS_LONG));
  CHECK_INT(a.status, 0);
  CHECK_UINT(a.size, 10);
  int system = 0;
  cvos_piece piece = {"x", 1};
  int64_t n = cvos_io_write(a.io, &piece, 1, NULL, 0, &system);
  CHECK_INT(n, COVEY_ECLOSED);
  CHECK(system != 0);
  end_close(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, room_comes_when_the_peer_is_gone)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  static char data[100000];
  int64_t n;
  while ((n = end_put(&a, data, sizeof data)) > 0) continue;
  CHECK_INT(n, 0);
  cvos_io_want_room(a.io);
  ends_turn(loop, 20);
  CHECK_INT(a.rooms, 0);
  end_close(&b);
  REQUIRE(ends_wait(loop, end_has_room, &a, ENDS_LONG));
  CHECK_INT(end_put(&a, data, sizeof data), COVEY_ECLOSED);
  end_close(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, closed_inside_its_own_callback)
{
  covey_loop *loop = ends_loop();
  for (int i = 0; i < 20; i++) {
    end a, b;
    ends_connect(loop, &a, &b);
    b.close_at_once = true;
    cvos_io_read(b.io, true);
    CHECK_INT(end_put(&a, "x", 1), 1);
    CHECK(ends_wait(loop, end_has_closed, &b, ENDS_LONG));
    CHECK_INT(b.ended, 0);
    CHECK_INT(b.calls, 1);
    end_free(&b);
    end_close(&a);
  }
  cvy_loop_private_close(loop);
}

TEST(watch_io, closing_waits_for_a_pending_write)
{
  /* Windows: a write that does not fit is pending, and lost if it were cancelled. POSIX: what was taken is with the system. */
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  static char data[251 * 1200];
  test_make_pattern(data, sizeof data, 0);
  size_t taken = 0;
  for (int64_t n; (n = end_put(&a, data + taken, sizeof data - taken)) > 0;) taken += (size_t)n;
  CHECK(taken > 4096 && taken < sizeof data);
  cvos_io_close(a.io, false);
  cvos_io_read(b.io, true);
  REQUIRE(ends_wait(loop, end_has_ended, &b, ENDS_LONG));
  CHECK(ends_wait(loop, end_has_closed, &a, ENDS_LONG));
  CHECK_UINT(b.size, taken);
  CHECK(test_is_pattern(b.data, b.size, 0));
  end_free(&a);
  end_close(&b);
  /* with now it is given up, and closing does not wait for the peer */
  ends_connect(loop, &a, &b);
  while (end_put(&a, data, sizeof data) > 0) continue;
  cvos_io_close(a.io, true);
  CHECK(ends_wait(loop, end_has_closed, &a, ENDS_LONG));
  end_free(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

TEST(watch_io, handles_travel_with_the_bytes)
{
  if (test_is_windows()) TEST_SKIP("handles travel by duplication there");
  covey_loop *loop = ends_loop();
  end a, b, c, d;
  ends_connect(loop, &a, &b);
  ends_connect(loop, &c, &d);
  test_no_handles_lost();
  cvos_io_read(b.io, true);
  cvos_handle two[2] = {cvos_io_handle(c.io), cvos_io_handle(d.io)};
  cvos_piece piece = {"here", 4};
  int system = 0;
  CHECK_INT(cvos_io_write(a.io, &piece, 1, two, 2, &system), 4);
  REQUIRE(end_wait_amount(&b, 4));
  REQUIRE(b.handle_count == 2);
  CHECK(b.handles[0] != two[0] && b.handles[1] != two[1]);
  /* they are the same connections */
  end e;
  end_open(&e, loop, b.handles[0]);
  b.handles[0] = CVOS_NONE;
  CHECK_INT(end_put(&e, "through", 7), 7);
  cvos_io_read(d.io, true);
  REQUIRE(end_wait_amount(&d, 7));
  CHECK_MEM(d.data, "through", 7);
  end_close(&e);
  end_close(&a);
  end_close(&b);
  end_close(&c);
  end_close(&d);
  cvy_loop_private_close(loop);
}

/* Any thread may write, one at a time, while the loop reads. */
typedef struct writer {
  end *e;
  cvy_mutex *lock;
  test_counter *order;
  int count;
} writer;

static void write_thread(void *arg)
{
  writer *w = arg;
  for (int i = 0; i < w->count;) {
    cvy_mutex_lock(w->lock);
    uint32_t next = (uint32_t)test_add(w->order, 0);
    int64_t n = end_put(w->e, &next, sizeof next);
    if (n == sizeof next) {
      test_add(w->order, 1);
      i++;
    }
    cvy_mutex_unlock(w->lock);
    REQUIRE(n == 0 || n == sizeof next);
    if (n == 0) test_pause(1);
  }
}

TEST(watch_io, many_threads_write)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  cvos_io_read(b.io, true);
  enum { THREADS = 6 };
  int each = test_is_wine() ? 500 : 5000;
  test_counter order = {0};
  writer w = {&a, NULL, &order, each};
  test_thread *threads[THREADS];
  REQUIRE_OK(cvy_mutex_new(&w.lock));
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(write_thread, &w);
  CHECK(end_wait_amount(&b, (size_t)each * THREADS * 4));
  for (int i = 0; i < THREADS; i++) test_thread_join(threads[i]);
  for (uint32_t i = 0; i < (uint32_t)each * THREADS; i++) {
    uint32_t got;
    memcpy(&got, b.data + (size_t)i * 4, 4);
    REQUIRE(got == i);
  }
  cvy_mutex_free(w.lock);
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

/* A peer that writes without end does not hold the loop: a timer beside it goes on. */
typedef struct flood {
  end *e;
  test_counter stop;
} flood;

static void flood_thread(void *arg)
{
  flood *f = arg;
  static char data[65536];
  while (!test_add(&f->stop, 0))
    if (end_put(f->e, data, sizeof data) < 0) break;
}

typedef struct ticker {
  covey_loop *loop;
  cvy_timer *timer;
  end *e;
  int64_t left;
} ticker;

static void on_tick(void *arg)
{
  ticker *t = arg;
  t->e->size = 0; /* nobody keeps what comes */
  if (--t->left > 0) cvy_timer_set(t->timer, cvy_deadline_in(5));
}

static bool ticked(void *arg)
{
  return ((ticker *)arg)->left <= 0;
}

TEST(watch_io, a_flood_lets_others_live)
{
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  flood f = {&a, {0}};
  ticker t = {.loop = loop, .e = &b, .left = 20};
  REQUIRE_OK(cvy_timer_open(loop, on_tick, &t, &t.timer));
  cvy_timer_set(t.timer, cvy_deadline_in(5));
  cvos_io_read(b.io, true);
  test_thread *thread = test_thread_start(flood_thread, &f);
  CHECK(ends_wait(loop, ticked, &t, ENDS_LONG));
  CHECK(b.calls > 0);
  test_add(&f.stop, 1);
  cvos_io_read(b.io, true);
  test_thread_join(thread);
  cvy_timer_close(t.timer);
  end_close(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

TEST(watch_io, look_finds_what_is_there)
{
  if (test_is_windows()) TEST_SKIP("bytes come as packets of the port there, which only uv_run fetches");
  covey_loop *loop = ends_loop();
  end a, b;
  ends_connect(loop, &a, &b);
  CHECK_UINT(cvos_io_look(b.io), 0);
  CHECK_INT(end_put(&a, "abc", 3), 3);
  CHECK_UINT(cvos_io_look(b.io), 0); /* reading is off */
  cvos_io_read(b.io, true);
  CHECK_UINT(cvos_io_look(b.io), 3);
  CHECK_MEM(b.data, "abc", 3);
  CHECK_UINT(cvos_io_look(b.io), 0);
  end_close(&a);
  CHECK_UINT(cvos_io_look(b.io), 0);
  CHECK_INT(b.ended, 1);
  end_close(&b);
  cvy_loop_private_close(loop);
}

/* The connection for a child: the other end is opened by its token, here in the same process. */
TEST(watch_io, our_end_of_a_pair_waits_for_the_child)
{
  covey_loop *loop = ends_loop();
  cvos_handle ours, given, theirs;
  char token[CVOS_TOKEN_MAX];
  REQUIRE_OK(cvos_stream_pair(&ours, &given, token));
  end a, b;
  end_open(&a, loop, ours);
  cvos_io_read(a.io, true);
  a.rooms = 0;
  ends_turn(loop, 20);
  CHECK_INT(a.ended, 0);
  REQUIRE_OK(cvos_stream_inherit(token, &theirs));
  end_open(&b, loop, theirs);
  CHECK_INT(end_put(&b, "hello", 5), 5);
  REQUIRE(end_wait_amount(&a, 5));
  if (cvos_stream_tells_sender())
    CHECK_INT(a.sender, test_pid());
  else
    CHECK_INT(a.sender, -1);
  cvos_stream_quiet(cvos_io_handle(a.io));
  cvos_io_read(b.io, true);
  CHECK_INT(end_put(&a, "welcome", 7), 7);
  REQUIRE(end_wait_amount(&b, 7));
  end_close(&b);
  REQUIRE(ends_wait(loop, end_has_ended, &a, ENDS_LONG));
  end_close(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, a_pair_whose_child_never_comes)
{
  covey_loop *loop = ends_loop();
  cvos_handle ours, given;
  char token[CVOS_TOKEN_MAX];
  REQUIRE_OK(cvos_stream_pair(&ours, &given, token));
  end a;
  end_open(&a, loop, ours);
  cvos_io_read(a.io, true);
  ends_turn(loop, 10);
  cvos_handle_close(given);
  end_close(&a);
  cvy_loop_private_close(loop);
}
