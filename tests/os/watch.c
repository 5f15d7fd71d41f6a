/* What can be watched: byte streams and new connections. The other end is in the same process, on the same loop or written directly. */
#include "support/test.h"

#include "loop/loop.h"
#include "loop/sync.h"
#include "os/handle.h"
#include "os/stream.h"
#include "os/watch.h"

#define LONG 20000 /* a deadline that is only met in failure */

/* One end of a connection, and what was told about it. */
typedef struct end {
  covey_loop *loop;
  cvos_io *io;
  cvos_handle handle;
  char *data; /* what arrived */
  size_t size, capacity;
  size_t stop_at;     /* turns reading off when so much is there; 0 never */
  bool close_at_once; /* closes in the first call of bytes */
  cvos_handle handles[8];
  size_t handle_count;
  int ended, status, rooms, closed, calls;
  int64_t sender;
} end;

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles,
                     size_t handle_count)
{
  end *e = arg;
  REQUIRE(size > 0);
  REQUIRE(!e->closed && !e->ended);
  if (e->size + size > e->capacity) {
    e->capacity = (e->size + size) * 2;
    e->data = realloc(e->data, e->capacity);
    REQUIRE(e->data);
  }
  memcpy(e->data + e->size, data, size);
  e->size += size;
  e->calls++;
  e->sender = cvos_io_sender(e->io);
  for (size_t i = 0; i < handle_count; i++) {
    REQUIRE(e->handle_count < 8);
    e->handles[e->handle_count++] = handles[i];
  }
  if (e->stop_at && e->size >= e->stop_at) cvos_io_read(e->io, false);
  if (e->close_at_once) {
    cvos_io_close(e->io, true);
    e->close_at_once = false;
  }
}

static void on_end(void *arg, int status, int system)
{
  end *e = arg;
  e->ended++;
  e->status = status;
  if (status) test_log("end: %s, %d", covey_errname(status), system);
}

static void on_room(void *arg)
{
  ((end *)arg)->rooms++;
}
static void on_closed(void *arg)
{
  ((end *)arg)->closed++;
}

static const cvos_io_events events = {on_bytes, on_end, on_room, on_closed};

static void end_open(end *e, covey_loop *loop, cvos_handle handle)
{
  *e = (end){.loop = loop, .handle = handle};
  REQUIRE_OK(cvos_io_open(cvy_loop_uv(loop), handle, CVOS_IO_READ | CVOS_IO_WRITE, &events, e, &e->io));
  CHECK(cvos_io_handle(e->io) == handle);
}

static void end_free(end *e)
{
  free(e->data);
  for (size_t i = 0; i < e->handle_count; i++) cvos_handle_close(e->handles[i]);
}

/* Turns the loop until met. */
static bool wait_for(covey_loop *loop, cvy_predicate met, void *arg, int64_t ms)
{
  cvy_loop_lock(loop);
  int r = cvy_loop_wait(loop, met, arg, cvy_deadline_in(ms), NULL);
  cvy_loop_unlock(loop);
  return r == 0;
}

static bool has_ended(void *arg)
{
  return ((end *)arg)->ended != 0;
}
static bool has_closed(void *arg)
{
  return ((end *)arg)->closed != 0;
}
static bool has_room(void *arg)
{
  return ((end *)arg)->rooms != 0;
}
static bool has_bytes(void *arg)
{
  return ((end *)arg)->size != 0;
}

typedef struct amount {
  end *e;
  size_t size;
} amount;

static bool has_amount(void *arg)
{
  amount *a = arg;
  return a->e->size >= a->size;
}

static bool wait_amount(end *e, size_t size)
{
  amount a = {e, size};
  return wait_for(e->loop, has_amount, &a, LONG);
}

static bool false_always(void *arg)
{
  (void)arg;
  return false;
}

static void turn_for(covey_loop *loop, int64_t ms)
{
  wait_for(loop, false_always, NULL, ms);
}

static int64_t put(end *e, const void *data, size_t size)
{
  cvos_piece piece = {data, size};
  int system = 0;
  return cvos_io_write(e->io, &piece, 1, NULL, 0, &system);
}

static void end_close(end *e)
{
  cvos_io_close(e->io, false);
  CHECK(wait_for(e->loop, has_closed, e, LONG));
  end_free(e);
}

/* ---- connections to try it with: a listener, an acceptor, a dial ---- */

typedef struct place {
  covey_loop *loop;
  cvos_listener *listener;
  cvos_acceptor *acceptor;
  cvos_address address;
  cvos_handle accepted[64];
  int count, failures, closed;
} place;

static void on_accepted(void *arg, cvos_handle connection)
{
  place *p = arg;
  REQUIRE(p->count < 64);
  p->accepted[p->count++] = connection;
}

static void on_failed(void *arg, int status, int system)
{
  place *p = arg;
  p->failures++;
  test_log("accept: %s, %d", covey_errname(status), system);
}

static void on_place_closed(void *arg)
{
  ((place *)arg)->closed++;
}
static const cvos_acceptor_events place_events = {on_accepted, on_failed, on_place_closed};

static void place_open(place *p, covey_loop *loop)
{
  *p = (place){.loop = loop};
  p->address = (cvos_address){.directory = test_temp_dir(), .app = "watch", .name = "test"};
  REQUIRE_OK(cvos_listener_open(&p->address, &p->listener));
  REQUIRE_OK(cvos_acceptor_open(cvy_loop_uv(loop), p->listener, &place_events, p, &p->acceptor));
}

static bool place_is_closed(void *arg)
{
  return ((place *)arg)->closed != 0;
}

static void place_close(place *p)
{
  cvos_acceptor_close(p->acceptor);
  CHECK(wait_for(p->loop, place_is_closed, p, LONG));
  cvos_listener_close(p->listener);
}

typedef struct number {
  place *p;
  int count;
} number;

static bool place_has(void *arg)
{
  number *n = arg;
  return n->p->count >= n->count;
}

/* A client's end; on Windows the instances are few: the loop turns between two tries. */
static cvos_handle dial(place *p)
{
  cvos_handle h = CVOS_NONE;
  int r = COVEY_EAGAIN;
  for (int64_t start = test_now(); test_now() - start < LONG;) {
    r = cvos_stream_dial(&p->address, &h);
    if (r != COVEY_EAGAIN && r != COVEY_ENOPEER) break;
    turn_for(p->loop, 2);
  }
  REQUIRE_OK(r);
  return h;
}

static void connect_pair(covey_loop *loop, end *a, end *b)
{
  place p;
  place_open(&p, loop);
  cvos_handle h = dial(&p);
  number one = {&p, 1};
  REQUIRE(wait_for(loop, place_has, &one, LONG));
  end_open(a, loop, h);
  end_open(b, loop, p.accepted[0]);
  place_close(&p);
}

static covey_loop *private_loop(void)
{
  covey_loop *loop;
  REQUIRE_OK(cvy_loop_private(&loop));
  return loop;
}

/* ---- the tests ---- */

TEST(watch_io, both_ways_and_the_end)
{
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  cvos_io_read(a.io, true);
  cvos_io_read(b.io, true);
  for (int i = 0; i < 200; i++) {
    CHECK_INT(put(&a, "ping", 4), 4);
    REQUIRE(wait_amount(&b, 4 * (size_t)(i + 1)));
    CHECK_INT(put(&b, "pong!", 5), 5);
    REQUIRE(wait_amount(&a, 5 * (size_t)(i + 1)));
  }
  CHECK_MEM(b.data, "pingping", 8);
  CHECK_MEM(a.data, "pong!pong!", 10);
  CHECK(!cvos_io_pending(a.io));
  end_close(&a);
  CHECK(wait_for(loop, has_ended, &b, LONG));
  CHECK_INT(b.status, 0);
  CHECK_INT(b.ended, 1);
  end_close(&b);
  CHECK_INT(b.ended, 1);
  CHECK_INT(b.closed, 1);
  cvy_loop_private_close(loop);
}

TEST(watch_io, pieces_go_in_order)
{
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
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
  REQUIRE(wait_amount(&b, sizeof data));
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
    int64_t n = put(from, data + skip, part);
    REQUIRE(n >= 0);
    sent += (size_t)n;
    if (n) continue;
    from->rooms = 0;
    cvos_io_want_room(from->io);
    REQUIRE(wait_for(from->loop, has_room, from, LONG));
  }
  REQUIRE(wait_amount(to, total));
}

TEST(watch_io, a_large_amount_with_room)
{
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
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
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  static char data[30000];
  test_make_pattern(data, sizeof data, 0);
  CHECK_INT(put(&a, data, 10000), 10000);
  turn_for(loop, 30);
  CHECK_UINT(b.size, 0);
  b.stop_at = 1;
  cvos_io_read(b.io, true);
  REQUIRE(wait_for(loop, has_bytes, &b, LONG));
  size_t first = b.size;
  CHECK_INT(put(&a, data + 10000, 20000), 20000);
  turn_for(loop, 30);
  CHECK_UINT(b.size, first);
  /* off and on in one go: told once, in a later turn */
  cvos_io_read(b.io, true);
  cvos_io_read(b.io, false);
  turn_for(loop, 20);
  CHECK(b.size <= sizeof data);
  b.stop_at = 0;
  cvos_io_close(a.io, false);
  CHECK(wait_for(loop, has_closed, &a, LONG));
  CHECK_INT(b.ended, 0); /* what waits comes before the end */
  cvos_io_read(b.io, true);
  REQUIRE(wait_for(loop, has_ended, &b, LONG));
  CHECK_INT(b.status, 0);
  CHECK_UINT(b.size, sizeof data);
  CHECK(test_is_pattern(b.data, b.size, 0));
  end_close(&b);
  end_free(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, the_peer_closes_with_our_bytes_unread)
{
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  cvos_io_read(a.io, true);
  CHECK_INT(put(&b, "last words", 10), 10);
  CHECK_INT(put(&a, "never read", 10), 10);
  end_close(&b); /* a reset on POSIX: the end all the same, behind the bytes */
  REQUIRE(wait_for(loop, has_ended, &a, LONG));
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
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  static char data[100000];
  int64_t n;
  while ((n = put(&a, data, sizeof data)) > 0) continue;
  CHECK_INT(n, 0);
  cvos_io_want_room(a.io);
  turn_for(loop, 20);
  CHECK_INT(a.rooms, 0);
  end_close(&b);
  REQUIRE(wait_for(loop, has_room, &a, LONG));
  CHECK_INT(put(&a, data, sizeof data), COVEY_ECLOSED);
  end_close(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, closed_inside_its_own_callback)
{
  covey_loop *loop = private_loop();
  for (int i = 0; i < 20; i++) {
    end a, b;
    connect_pair(loop, &a, &b);
    b.close_at_once = true;
    cvos_io_read(b.io, true);
    CHECK_INT(put(&a, "x", 1), 1);
    CHECK(wait_for(loop, has_closed, &b, LONG));
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
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  static char data[251 * 1200];
  test_make_pattern(data, sizeof data, 0);
  size_t taken = 0;
  for (int64_t n; (n = put(&a, data + taken, sizeof data - taken)) > 0;) taken += (size_t)n;
  CHECK(taken > 4096 && taken < sizeof data);
  cvos_io_close(a.io, false);
  cvos_io_read(b.io, true);
  REQUIRE(wait_for(loop, has_ended, &b, LONG));
  CHECK(wait_for(loop, has_closed, &a, LONG));
  CHECK_UINT(b.size, taken);
  CHECK(test_is_pattern(b.data, b.size, 0));
  end_free(&a);
  end_close(&b);
  /* with now it is given up, and closing does not wait for the peer */
  connect_pair(loop, &a, &b);
  while (put(&a, data, sizeof data) > 0) continue;
  cvos_io_close(a.io, true);
  CHECK(wait_for(loop, has_closed, &a, LONG));
  end_free(&a);
  end_close(&b);
  cvy_loop_private_close(loop);
}

TEST(watch_io, handles_travel_with_the_bytes)
{
  if (test_is_windows()) TEST_SKIP("handles travel by duplication there");
  covey_loop *loop = private_loop();
  end a, b, c, d;
  connect_pair(loop, &a, &b);
  connect_pair(loop, &c, &d);
  test_no_handles_lost();
  cvos_io_read(b.io, true);
  cvos_handle two[2] = {cvos_io_handle(c.io), cvos_io_handle(d.io)};
  cvos_piece piece = {"here", 4};
  int system = 0;
  CHECK_INT(cvos_io_write(a.io, &piece, 1, two, 2, &system), 4);
  REQUIRE(wait_amount(&b, 4));
  REQUIRE(b.handle_count == 2);
  CHECK(b.handles[0] != two[0] && b.handles[1] != two[1]);
  /* they are the same connections */
  end e;
  end_open(&e, loop, b.handles[0]);
  b.handles[0] = CVOS_NONE;
  CHECK_INT(put(&e, "through", 7), 7);
  cvos_io_read(d.io, true);
  REQUIRE(wait_amount(&d, 7));
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
    int64_t n = put(w->e, &next, sizeof next);
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
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  cvos_io_read(b.io, true);
  enum { THREADS = 6 };
  int each = test_is_wine() ? 500 : 5000;
  test_counter order = {0};
  writer w = {&a, NULL, &order, each};
  test_thread *threads[THREADS];
  REQUIRE_OK(cvy_mutex_new(&w.lock));
  for (int i = 0; i < THREADS; i++) threads[i] = test_thread_start(write_thread, &w);
  CHECK(wait_amount(&b, (size_t)each * THREADS * 4));
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
    if (put(f->e, data, sizeof data) < 0) break;
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
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  flood f = {&a, {0}};
  ticker t = {.loop = loop, .e = &b, .left = 20};
  REQUIRE_OK(cvy_timer_open(loop, on_tick, &t, &t.timer));
  cvy_timer_set(t.timer, cvy_deadline_in(5));
  cvos_io_read(b.io, true);
  test_thread *thread = test_thread_start(flood_thread, &f);
  CHECK(wait_for(loop, ticked, &t, LONG));
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
  covey_loop *loop = private_loop();
  end a, b;
  connect_pair(loop, &a, &b);
  CHECK_UINT(cvos_io_look(b.io), 0);
  CHECK_INT(put(&a, "abc", 3), 3);
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
  covey_loop *loop = private_loop();
  cvos_handle ours, given, theirs;
  char token[CVOS_TOKEN_MAX];
  REQUIRE_OK(cvos_stream_pair(&ours, &given, token));
  end a, b;
  end_open(&a, loop, ours);
  cvos_io_read(a.io, true);
  a.rooms = 0;
  turn_for(loop, 20);
  CHECK_INT(a.ended, 0);
  REQUIRE_OK(cvos_stream_inherit(token, &theirs));
  end_open(&b, loop, theirs);
  CHECK_INT(put(&b, "hello", 5), 5);
  REQUIRE(wait_amount(&a, 5));
  if (cvos_stream_tells_sender())
    CHECK_INT(a.sender, test_pid());
  else
    CHECK_INT(a.sender, -1);
  cvos_stream_quiet(cvos_io_handle(a.io));
  cvos_io_read(b.io, true);
  CHECK_INT(put(&a, "welcome", 7), 7);
  REQUIRE(wait_amount(&b, 7));
  end_close(&b);
  REQUIRE(wait_for(loop, has_ended, &a, LONG));
  end_close(&a);
  cvy_loop_private_close(loop);
}

TEST(watch_io, a_pair_whose_child_never_comes)
{
  covey_loop *loop = private_loop();
  cvos_handle ours, given;
  char token[CVOS_TOKEN_MAX];
  REQUIRE_OK(cvos_stream_pair(&ours, &given, token));
  end a;
  end_open(&a, loop, ours);
  cvos_io_read(a.io, true);
  turn_for(loop, 10);
  cvos_handle_close(given);
  end_close(&a);
  cvy_loop_private_close(loop);
}

/* ---- new connections ---- */

TEST(watch_acceptor, many_connections)
{
  covey_loop *loop = private_loop();
  place p;
  place_open(&p, loop);
  enum { N = 30 };
  cvos_handle clients[N];
  for (int i = 0; i < N; i++) {
    clients[i] = dial(&p);
    if (i % 3 == 0) turn_for(loop, 0);
  }
  number all = {&p, N};
  CHECK(wait_for(loop, place_has, &all, LONG));
  CHECK_INT(p.count, N);
  CHECK_INT(p.failures, 0);
  /* each of them works */
  for (int i = 0; i < N; i += 7) {
    end a, b;
    end_open(&a, loop, clients[i]);
    end_open(&b, loop, p.accepted[i]);
    cvos_io_read(b.io, true);
    CHECK_INT(put(&a, "x", 1), 1);
    CHECK(wait_amount(&b, 1));
    end_close(&a);
    end_close(&b);
  }
  for (int i = 0; i < N; i++) {
    if (i % 7 == 0) continue;
    cvos_handle_close(clients[i]);
    cvos_handle_close(p.accepted[i]);
  }
  place_close(&p);
  cvy_loop_private_close(loop);
}

TEST(watch_acceptor, a_client_that_came_and_went)
{
  covey_loop *loop = private_loop();
  place p;
  place_open(&p, loop);
  for (int i = 0; i < 6; i++) cvos_handle_close(dial(&p));
  cvos_handle last = dial(&p);
  end a;
  end_open(&a, loop, last);
  CHECK_INT(put(&a, "still here", 10), 10);
  number one = {&p, 1};
  CHECK(wait_for(loop, place_has, &one, LONG));
  /* whatever came before, the living one gets through */
  bool found = false;
  for (int64_t start = test_now(); !found && test_now() - start < LONG;) {
    for (int i = 0; i < p.count; i++) {
      if (p.accepted[i] == CVOS_NONE) continue;
      end b;
      end_open(&b, loop, p.accepted[i]);
      p.accepted[i] = CVOS_NONE;
      cvos_io_read(b.io, true);
      while (!b.ended && !b.size) turn_for(loop, 1);
      if (b.size) found = true;
      end_close(&b);
    }
    if (!found) turn_for(loop, 5);
  }
  CHECK(found);
  end_close(&a);
  place_close(&p);
  cvy_loop_private_close(loop);
}

TEST(watch_acceptor, closed_before_its_first_turn)
{
  covey_loop *loop = private_loop();
  for (int i = 0; i < 5; i++) {
    place p;
    place_open(&p, loop);
    if (i & 1) turn_for(loop, 0);
    place_close(&p);
    CHECK_INT(p.closed, 1);
  }
  cvy_loop_private_close(loop);
}
