/* Ends that are told by callbacks, where something else happens at the same time. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/manager.h>
#include <covey/process.h>

#include <string.h>

enum { PAIRS = 100 };

static covey_loop *still_loop(void)
{
  covey_loop *loop = NULL;

  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &loop));
  return loop;
}

/* Turns the loop until process is over, and runs no callback of another. */
static void turn_past(covey_loop *loop, covey_process *over)
{
  covey_process *p;

  REQUIRE(test_process_gone(covey_process_pid(over), TEST_SOON));
  for (int i = 0; i < 2; i++) {
    REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("sleep", "50"), .loop = loop}, &p));
    CHECK_OK(covey_process_wait(p, TEST_SOON, NULL));
    covey_process_close(p);
  }
}

typedef struct record {
  int pieces, dispatch; /* dispatch: of which the last piece came */
  uint64_t size[3];
  int ends, members;
  uint64_t size_at_end; /* bytes that had been shown when the end was told */
  int now;              /* number of the dispatch */
} record;

static int piece_came(int stream, const void *data, size_t size, void *user)
{
  record *l = user;

  CHECK(test_is_pattern(data, size, l->size[stream]));
  l->size[stream] += size;
  l->pieces++;
  l->dispatch = l->now;
  return 0;
}

static void process_ended(covey_process *p, const covey_exit *exit, void *user)
{
  record *l = user;

  (void)p;
  (void)exit;
  l->ends++;
}

static void member_ended(const covey_member *member, void *user)
{
  record *l = user;

  CHECK_INT(member->ended, 1);
  l->members++;
  l->size_at_end = l->size[1] + l->size[2];
}

static covey_manager *manager_of(covey_loop *loop, record *l)
{
  covey_manager *m = NULL;

  REQUIRE_OK(covey_manager_new(
      &(covey_manager_options){.loop = loop, .flags = COVEY_MANAGER_PLAIN, .on_end = member_ended, .user = l},
      &m));
  return m;
}

/* A member whose pieces have all come, one by one, and none was shown. */
static void start_talker(covey_loop *loop, covey_manager *m, record *l)
{
  covey_process *p, *other;
  const char *words[3 + 3 * PAIRS] = {test_helper(), "act"};

  for (int i = 0; i < PAIRS; i++) {
    words[2 + 3 * i] = "o1200";
    words[3 + 3 * i] = "e1200";
    words[4 + 3 * i] = "w2"; /* so that each is read before the next */
  }
  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("act", "h"), .loop = loop}, &other));
  REQUIRE_OK(covey_manager_spawn(m,
                                 &(covey_process_options){.argv = words,
                                                          .out.kind = COVEY_STDIO_PIPE,
                                                          .err.kind = COVEY_STDIO_PIPE,
                                                          .on_output = piece_came,
                                                          .user = l},
                                 &p));
  for (int64_t end = test_now() + TEST_SOON; test_process_alive(covey_process_pid(p)) && test_now() < end;)
    CHECK_ERR(covey_process_wait(other, 20, NULL), COVEY_ETIMEDOUT);
  covey_process_close(other);
  turn_past(loop, p);
  CHECK_INT(l->pieces, 0);
  covey_process_close(p);
}

/* More pieces wait than one dispatch shows: the manager is told behind the last of them, once, and not before. */
TEST(orders_told, behind_more_pieces_than_a_dispatch_shows)
{
  const uint64_t all = PAIRS * 1200 * 2;
  covey_loop *loop = still_loop();
  bool enough = false;

  for (int i = 0; i < 5 && !enough; i++) { /* where the processor is busy they come in fewer pieces */
    record l = {0};
    covey_manager *m = manager_of(loop, &l);

    start_talker(loop, m, &l);
    for (l.now = 1; l.now < 100 && !l.members; l.now++) {
      int before = l.pieces;

      CHECK_OK(covey_loop_dispatch(loop));
      CHECK(l.pieces - before <= 64);
      CHECK(!l.members || l.size[1] + l.size[2] == all);
    }
    enough = l.pieces > 64;
    CHECK(!enough || l.dispatch > 1);
    CHECK_UINT(l.size[1] + l.size[2], all);
    CHECK_UINT(l.size_at_end, all);
    for (int n = 0; n < 10; n++) CHECK_OK(covey_loop_dispatch(loop));
    CHECK_INT(l.members, 1);
    CHECK_INT(covey_manager_count(m), 0);
    covey_manager_free(m);
  }
  CHECK(enough);
  covey_loop_close(loop);
}

/* Who waits for the callback of another, and takes it back, does not take the manager's with it. */
TEST(orders_told, when_the_other_callback_is_taken_back)
{
  record l = {0};
  covey_loop *loop = still_loop();
  covey_manager *m = manager_of(loop, &l);
  covey_process *p;

  REQUIRE_OK(covey_manager_spawn(m, &(covey_process_options){.argv = TEST_HELPER("exit", "5")}, &p));
  CHECK_OK(covey_process_on_end(p, process_ended, &l));
  turn_past(loop, p);
  CHECK_INT(l.ends + l.members, 0);
  CHECK_OK(covey_process_on_end(p, NULL, NULL));
  for (int i = 0; i < 10; i++) CHECK_OK(covey_loop_dispatch(loop));
  CHECK_INT(l.ends, 0);
  CHECK_INT(l.members, 1);
  CHECK_INT(covey_manager_count(m), 0);
  covey_process_close(p);
  covey_manager_free(m);
  covey_loop_close(loop);
}

/* ---- a callback that waits for its own process ---- */

typedef struct own {
  covey_manager *manager;
  covey_process *process;
  int any, listed, result, calls;
} own;

static int wait_for_itself(int stream, const void *data, size_t size, void *user)
{
  own *o = user;
  covey_member member = {0}, all[1];
  size_t index;

  (void)stream;
  (void)data;
  (void)size;
  if (o->calls++) return 0;
  o->any = covey_manager_wait_any(o->manager, TEST_SOON, &member);
  o->listed = covey_process_wait_any(&o->process, 1, TEST_SOON, &index);
  CHECK_INT(covey_manager_wait_all(o->manager, TEST_SOON, all, 1), 1);
  o->result = all[0].result;
  CHECK_OK(covey_process_kill(o->process));
  return 0;
}

TEST(orders_told, a_callback_cannot_wait_for_its_own_process)
{
  own o = {0};

  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN}, &o.manager));
  REQUIRE_OK(covey_manager_spawn(o.manager,
                                 &(covey_process_options){.argv = TEST_HELPER("hang"),
                                                          .out.kind = COVEY_STDIO_PIPE,
                                                          .on_output = wait_for_itself,
                                                          .user = &o},
                                 &o.process));
  CHECK_OK(covey_process_wait(o.process, TEST_SOON, NULL));
  CHECK_INT(o.calls, 1);
  CHECK_INT(o.any, COVEY_EDEADLK);
  CHECK_INT(o.listed, COVEY_EDEADLK);
  CHECK_INT(o.result, COVEY_EDEADLK);
  covey_process_close(o.process);
  covey_manager_free(o.manager);
}

/* ---- waiting for all ---- */

typedef struct chain {
  covey_process *first;
  uint64_t size;
} chain;

static int feed_first(int stream, const void *data, size_t size, void *user)
{
  chain *c = user;

  (void)stream;
  (void)data;
  c->size += size;
  if (c->size == 600000) CHECK_OK(covey_process_close_input(c->first));
  return 0;
}

/* The first cannot end before what the second writes was shown: who waits for both shows it. how: by which call. */
static void wait_for_both(int how)
{
  chain c = {0};
  covey_loop *loop = still_loop();
  covey_manager *m;
  covey_process *p[2];
  covey_process_options second = {.argv = TEST_HELPER("out", "600000"),
                                  .out.kind = COVEY_STDIO_PIPE,
                                  .on_output = feed_first,
                                  .user = &c};

  REQUIRE_OK(covey_manager_new(&(covey_manager_options){.loop = loop, .flags = COVEY_MANAGER_PLAIN}, &m));
  REQUIRE_OK(covey_manager_spawn(
      m, &(covey_process_options){.argv = TEST_HELPER("act", "i0"), .in.kind = COVEY_STDIO_PIPE}, &p[0]));
  c.first = p[0];
  REQUIRE_OK(covey_manager_spawn(m, &second, &p[1]));
  switch (how) {
  case 0: CHECK_OK(covey_process_wait_all(p, 2, TEST_SOON)); break;
  case 1: CHECK_INT(covey_manager_wait_all(m, TEST_SOON, NULL, 0), 0); break;
  default: break;
  }
  CHECK_UINT(c.size, 600000);
  covey_process_close(p[0]);
  covey_process_close(p[1]);
  covey_manager_free(m);
  covey_loop_close(loop);
}

TEST(orders_told, a_wait_for_all_shows_all)
{
  wait_for_both(0);
}

TEST(orders_told, a_manager_s_wait_for_all_shows_all)
{
  wait_for_both(1);
}
