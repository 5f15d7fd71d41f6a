/* Streams that are worth a look before sleeping: two ends on one loop that answer each other without end. */
#include "support/test.h"

#include "loop/state.h"
#include "support/ends.h"

typedef struct player {
  covey_loop *loop;
  cvos_io *io;
  int64_t count, wanted;
  bool hot, quiet;
  int ended, closed;
} player;

static void answer(player *p)
{
  cvos_piece piece = {"ball", 4};
  int system;
  if (!p->quiet) CHECK_INT(cvos_io_write(p->io, &piece, 1, NULL, 0, &system), 4);
}

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles,
                     size_t handle_count)
{
  player *p = arg;
  (void)handles;
  CHECK_UINT(size, 4);
  CHECK_UINT(handle_count, 0);
  CHECK_MEM(data, "ball", 4);
  if (p->hot) cvy_loop_hot(p->loop, p->io);
  cvy_loop_lock(p->loop);
  p->count++;
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
  answer(p);
}

static void on_end(void *arg, int status, int system)
{
  (void)system;
  CHECK_INT(status, 0);
  ((player *)arg)->ended++;
}

static void on_closed(void *arg)
{
  ((player *)arg)->closed++;
}

static const cvos_io_events events = {.bytes = on_bytes, .end = on_end, .closed = on_closed};

static bool enough(void *arg)
{
  player *p = arg;
  return p->count >= p->wanted;
}

static bool is_closed(void *arg)
{
  return ((player *)arg)->closed != 0;
}

static void join(player *p, covey_loop *loop, cvos_handle handle)
{
  *p = (player){.loop = loop, .hot = true};
  REQUIRE_OK(cvos_io_open(cvy_loop_uv(loop), handle, CVOS_IO_READ | CVOS_IO_WRITE, &events, p, &p->io));
  cvos_io_read(p->io, true);
}

static void leave(player *p)
{
  cvy_loop_cold(p->loop, p->io);
  cvos_io_close(p->io, true);
  CHECK(ends_wait(p->loop, is_closed, p, ENDS_LONG));
}

static void meet(covey_loop *loop, player *a, player *b)
{
  place p;
  place_open(&p, loop);
  cvos_handle h = place_dial(&p);
  place_wish one = {&p, 1};
  REQUIRE(ends_wait(loop, place_has_count, &one, ENDS_LONG));
  join(a, loop, h);
  join(b, loop, p.accepted[0]);
  place_close(&p);
}

typedef struct ticker {
  covey_loop *loop;
  cvy_timer *timer;
  int64_t left;
} ticker;

static void on_tick(void *arg)
{
  ticker *t = arg;
  if (--t->left > 0) cvy_timer_set(t->timer, cvy_deadline_in(3));
}

static bool ticked(void *arg)
{
  return ((ticker *)arg)->left <= 0;
}

TEST(loop_hot, timers_and_cold_streams_go_on)
{
  covey_loop *loop = ends_loop();
  player a, b, cold, other;
  meet(loop, &a, &b);
  meet(loop, &cold, &other);
  cold.hot = other.hot = false;
  answer(&a);
  answer(&cold);
  ticker t = {.loop = loop, .left = 20};
  REQUIRE_OK(cvy_timer_open(loop, on_tick, &t, &t.timer));
  cvy_timer_set(t.timer, cvy_deadline_in(3));
  CHECK(ends_wait(loop, ticked, &t, ENDS_LONG));
  b.wanted = b.count + 1000;
  CHECK(ends_wait(loop, enough, &b, ENDS_LONG));
  cold.wanted = cold.count + 20;
  CHECK(ends_wait(loop, enough, &cold, ENDS_LONG));
  cvy_timer_close(t.timer);
  a.quiet = b.quiet = cold.quiet = other.quiet = true;
  leave(&a);
  leave(&b);
  leave(&cold);
  leave(&other);
  cvy_loop_private_close(loop);
}

/* A wait ends on time, and by a task of another thread, though looks go on. */
static void post_one(void *arg)
{
  player *p = arg;
  cvy_loop_lock(p->loop);
  p->wanted = 0;
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
}

TEST(loop_hot, waits_end_beside_looks)
{
  covey_loop *loop;
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  player p = {.loop = loop, .wanted = 1};
  for (int i = 0; i < 20; i++) {
    p.wanted = 1;
    cvy_loop_lock(loop);
    int r = cvy_loop_wait(loop, enough, &p, cvy_deadline_in(2), NULL);
    cvy_loop_unlock(loop);
    CHECK_INT(r, COVEY_ETIMEDOUT);
    test_thread *t = test_thread_start(post_one, &p);
    cvy_loop_lock(loop);
    r = cvy_loop_wait(loop, enough, &p, cvy_deadline_in(ENDS_LONG), NULL);
    cvy_loop_unlock(loop);
    CHECK_OK(r);
    test_thread_join(t);
  }
  covey_loop_close(loop);
}

static void fire(void *arg)
{
  covey_cancel_fire(arg);
}

static int wait_for(covey_loop *loop, player *p, int64_t ms, covey_cancel *cancel)
{
  cvy_loop_lock(loop);
  int r = cvy_loop_wait(loop, enough, p, cvy_deadline_in(ms), cancel);
  cvy_loop_unlock(loop);
  return r;
}

/* Who sleeps beside a hot stream that is silent is woken by all that would wake him elsewhere. */
TEST(loop_hot, a_silent_one_keeps_nobody_asleep)
{
  covey_loop *loop = ends_loop();
  covey_cancel *cancel;
  player a, b, cold, other;
  REQUIRE_OK(covey_cancel_new(&cancel));
  meet(loop, &a, &b);
  meet(loop, &cold, &other);
  cold.hot = other.hot = false;
  answer(&a);
  b.wanted = 50;
  CHECK(ends_wait(loop, enough, &b, ENDS_LONG));
  a.quiet = b.quiet = other.quiet = cold.quiet = true;
  for (int i = 0; i < 10; i++) {
    player p = {.loop = loop, .wanted = 1};
    CHECK_INT(wait_for(loop, &p, 2, NULL), COVEY_ETIMEDOUT);
    test_thread *t = test_thread_start(post_one, &p);
    CHECK_OK(wait_for(loop, &p, ENDS_LONG, NULL));
    test_thread_join(t);
    p.wanted = 1;
    t = test_thread_start(fire, cancel);
    CHECK_INT(wait_for(loop, &p, ENDS_LONG, cancel), COVEY_ECANCELED);
    test_thread_join(t);
    covey_cancel_reset(cancel);
    ticker tick = {.loop = loop, .left = 2};
    REQUIRE_OK(cvy_timer_open(loop, on_tick, &tick, &tick.timer));
    cvy_timer_set(tick.timer, cvy_deadline_in(3));
    CHECK(ends_wait(loop, ticked, &tick, ENDS_LONG));
    cvy_timer_close(tick.timer);
    cold.quiet = false;
    answer(&cold);
    cold.quiet = true;
    other.wanted = other.count + 1;
    CHECK(ends_wait(loop, enough, &other, ENDS_LONG));
  }
  leave(&a);
  leave(&b);
  leave(&cold);
  leave(&other);
  cvy_loop_private_close(loop);
  covey_cancel_free(cancel);
}

/* More hot streams than are looked at: the hottest stay. All of them are served. */
TEST(loop_hot, more_than_are_looked_at)
{
  covey_loop *loop = ends_loop();
  enum { N = 12 };
  player a[N], b[N];
  for (int i = 0; i < N; i++) meet(loop, &a[i], &b[i]);
  for (int i = 0; i < N; i++) answer(&a[i]);
  for (int i = 0; i < N; i++) {
    b[i].wanted = b[i].count + 50;
    CHECK(ends_wait(loop, enough, &b[i], ENDS_LONG));
  }
  for (int i = 0; i < N; i++) a[i].quiet = b[i].quiet = true;
  for (int i = 0; i < N; i++) {
    leave(&a[i]);
    leave(&b[i]);
  }
  cvy_loop_private_close(loop);
}

/* Who has been silent while others delivered costs no look any more; with its next bytes it is looked at again. */
TEST(loop_hot, a_silent_one_is_forgotten)
{
  covey_loop *loop = ends_loop();
  enum { N = 4 };
  player a[N], b[N];
  uint32_t some = cvos_io_can_look() ? 2 : 0;
  for (int i = 0; i < N; i++) {
    meet(loop, &a[i], &b[i]);
    a[i].quiet = true;
    answer(&b[i]);
    a[i].wanted = 1;
    CHECK(ends_wait(loop, enough, &a[i], ENDS_LONG));
  }
  CHECK_UINT(loop->hot_count, cvos_io_can_look() ? N : 0);
  a[0].quiet = false;
  answer(&a[0]);
  b[0].wanted = b[0].count + HOT_FOR;
  CHECK(ends_wait(loop, enough, &b[0], ENDS_LONG));
  CHECK_UINT(loop->hot_count, some);
  answer(&b[3]);
  a[3].wanted = a[3].count + 1;
  CHECK(ends_wait(loop, enough, &a[3], ENDS_LONG));
  CHECK_UINT(loop->hot_count, some + (some != 0));
  a[0].quiet = b[0].quiet = true;
  for (int i = 0; i < N; i++) {
    leave(&a[i]);
    leave(&b[i]);
  }
  CHECK_UINT(loop->hot_count, 0);
  cvy_loop_private_close(loop);
}

/* An expectation is looked for before the first sleep, and keeps nobody longer than a look when nothing comes. */
TEST(loop_hot, what_is_expected)
{
  covey_loop *loop = ends_loop();
  player a, b;
  meet(loop, &a, &b);
  a.quiet = true;
  CHECK_UINT(loop->hot_count, 0);
  cvy_loop_expect(loop, a.io);
  CHECK_UINT(loop->hot_count, cvos_io_can_look() ? 1 : 0);
  CHECK_UINT(loop->look_off, 0);
  a.wanted = 1;
  CHECK_INT(wait_for(loop, &a, 2, NULL), COVEY_ETIMEDOUT);
  for (int i = 1; i < 20; i++) {
    cvy_loop_expect(loop, a.io);
    answer(&b);
    a.wanted = i;
    CHECK(ends_wait(loop, enough, &a, ENDS_LONG));
  }
  leave(&a);
  leave(&b);
  cvy_loop_private_close(loop);
}

static void burn(void *stop)
{
  while (!test_add(stop, 0)) continue;
}

/* Where others need the CPUs too, who lets them run between two looks gets his own back milliseconds later: he sleeps, and is woken at once. */
TEST(loop_hot, others_need_the_cpu)
{
  enum { MOST = 64 };
  covey_loop *loop = ends_loop();
  player a, b;
  test_counter stop = {0};
  test_thread *threads[MOST];
  int count = 2 * (int)cvos_cpu_count();
  if (!cvos_io_can_look() || count < 4 || count > MOST)
    TEST_SKIP("nobody looks, or there are too many CPUs to keep busy");
  meet(loop, &a, &b);
  a.quiet = true;
  a.wanted = 1;
  for (int i = 0; i < count; i++) threads[i] = test_thread_start(burn, &stop);
  for (int64_t until = test_now() + ENDS_LONG; !loop->crowded_ns && test_now() < until;) {
    cvy_loop_expect(loop, a.io);
    CHECK_INT(wait_for(loop, &a, 2, NULL), COVEY_ETIMEDOUT);
  }
  uint64_t now = loop->crowded_ns;
  CHECK(now > 0);
  cvy_loop_lock(loop);
  REQUIRE(cvy_token_take(loop, NULL));
  loop->looks = loop->look_off = 0;
  CHECK_INT(cvy_hot_look(loop, now - 1), HOT_OFF);
  loop->crowded_ns = 0;
  CHECK_INT(cvy_hot_look(loop, uv_hrtime()), HOT_NOTHING);
  cvy_token_give(loop);
  cvy_loop_unlock(loop);
  test_add(&stop, 1);
  for (int i = 0; i < count; i++) test_thread_join(threads[i]);
  leave(&a);
  leave(&b);
  cvy_loop_private_close(loop);
}

/* A deadline may pass between the look and the sleep: then there is none, neither a short one nor one for ever. */
TEST(loop_hot, a_deadline_that_has_just_passed)
{
  covey_loop *loop = ends_loop();
  player a, b;
  meet(loop, &a, &b);
  a.quiet = true;
  cvy_loop_expect(loop, a.io);
  cvy_loop_lock(loop);
  while (!cvy_token_take(loop, NULL)) { /* the helper has it for a turn */
    cvy_loop_unlock(loop);
    test_pause(1);
    cvy_loop_lock(loop);
  }
  for (int64_t late = 0; late < 3; late++) {
    uint64_t now = uv_hrtime();
    CHECK_INT(cvy_hot_sleep(loop, now, (int64_t)(now / 1000000) - late), HOT_OFF);
  }
  cvy_token_give(loop);
  cvy_loop_unlock(loop);
  leave(&a);
  leave(&b);
  cvy_loop_private_close(loop);
}
