/* One libuv loop of the program, lent to covey, and what several threads and several objects do on it. */
#include "support/test.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/loop.h>
#include <covey/message.h>
#include <covey/node.h>
#include <covey/process.h>
#include <covey/topic.h>

#include <errno.h>
#include <uv.h>

#include "core/atomics.h"
#include "core/fault.h"
#include "loop/state.h"
#include "msg/node.h"

typedef struct lent {
  uv_loop_t uv;
  uv_timer_t tick; /* keeps the loop turning until it is closed */
  covey_loop *loop;
} lent;

static void on_tick(uv_timer_t *timer)
{
  (void)timer;
}

static void lent_open(lent *l)
{
  REQUIRE(uv_loop_init(&l->uv) == 0);
  REQUIRE_OK(covey_loop_attach(&l->uv, uv_version(), &l->loop));
  REQUIRE(uv_timer_init(&l->uv, &l->tick) == 0);
  uv_timer_start(&l->tick, on_tick, 1, 1);
}

/* All that is left must come to its end by itself. */
static void lent_close(lent *l)
{
  uv_close((uv_handle_t *)&l->tick, NULL);
  covey_loop_close(l->loop);
  CHECK_INT(uv_run(&l->uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&l->uv), 0);
}

static covey_node *node_on(covey_loop *loop, const char *what, bool listens)
{
  covey_node *node;
  covey_node_options o = {.name = test_format("%s-%" PRId64, what, test_pid()),
                          .loop = loop,
                          .flags = listens ? 0 : COVEY_NODE_NO_LISTEN};
  REQUIRE_OK(covey_node_open(&o, &node));
  return node;
}

/* ---- the owner closes a node in which others wait ---- */

enum { RECEIVES, ACCEPTS, AWAITS_A_CALL, SERVES, AWAITS_SUBSCRIBERS, LOOKS_FOR_SOMEBODY, INSIDE };

typedef struct guest {
  covey_node *node;
  covey_topic *topic;
  int way, result;
} guest;

static void wait_inside(void *arg)
{
  guest *w = arg;
  covey_message m;
  covey_channel *c;
  covey_request q;
  switch (w->way) {
  case RECEIVES: w->result = covey_receive(w->node, "words", COVEY_FOREVER, &m); break;
  case ACCEPTS: w->result = covey_channel_accept(w->node, "end", COVEY_FOREVER, &c); break;
  case AWAITS_A_CALL: w->result = covey_call_receive(w->node, "work", COVEY_FOREVER, &q); break;
  case SERVES: w->result = covey_serve_run(w->node, COVEY_FOREVER, NULL); break;
  case AWAITS_SUBSCRIBERS: w->result = covey_topic_wait(w->topic, 1, COVEY_FOREVER); break;
  default:
    w->result = covey_message_send(
        w->node, &(covey_send_options){.name = "nobody-there", .timeout = TEST_SOON}, NULL, 0, NULL);
  }
}

static uint32_t users_of(covey_node *node)
{
  cvy_loop_lock(node->loop);
  uint32_t users = node->users;
  cvy_loop_unlock(node->loop);
  return users;
}

static void close_around_waiters(bool listens)
{
  lent l;
  lent_open(&l);
  covey_node *node = node_on(l.loop, "waiters", listens);
  covey_topic *topic;
  test_thread *threads[INSIDE];
  guest w[INSIDE];
  REQUIRE_OK(covey_topic_open(node, "news", NULL, &topic));
  for (int i = 0; i < INSIDE; i++) {
    w[i] = (guest){.node = node, .topic = topic, .way = i, .result = 1};
    threads[i] = test_thread_start(wait_inside, &w[i]);
  }
  int64_t until = test_now() + TEST_SOON;
  while (users_of(node) < INSIDE && test_now() < until) uv_run(&l.uv, UV_RUN_ONCE);
  CHECK_UINT(users_of(node), INSIDE);
  int r = covey_node_close(node, 0);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  for (int i = 0; i < INSIDE; i++) {
    test_thread_join(threads[i]);
    CHECK_ERR(w[i].result, COVEY_ECLOSED);
  }
  covey_topic_close(topic);
  lent_close(&l);
}

TEST(lent_several, a_node_is_closed_by_the_owner_while_others_wait_in_it)
{
  for (int i = 0; i < 20 && test_failures() == 0; i++) close_around_waiters(i & 1);
}

/* ---- the owner opens a node whose address is not free at once ---- */

/* The owner cannot wait by turning his loop, and gets it all the same. A fault says that another process is just there. */
TEST(lent_several, the_owner_opens_a_node_at_the_second_try)
{
  lent l;
  lent_open(&l);
  if (test_is_windows())
    cvy_fault_after(CVOS_FAULT_PIPE, 1, 5 /* ERROR_ACCESS_DENIED, and nobody serves the name */);
  else
    cvy_fault_after(CVOS_FAULT_LOCK, 1, EWOULDBLOCK);
  covey_node *node = node_on(l.loop, "second-try", true);
  CHECK(cvy_fault_seen() >= 2);
  cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
  int r = covey_node_close(node, 0);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  lent_close(&l);
}

/* ---- another thread opens a node on the owner's loop ---- */

typedef struct opener {
  covey_loop *loop;
  covey_node *node;
  const char *name; /* NULL: the default node */
  uint32_t over;    /* atomic */
} opener;

static void open_one(void *arg)
{
  opener *o = arg;
  covey_node_options options = {.name = o->name, .loop = o->loop};
  CHECK_OK(covey_node_open(&options, &o->node));
  cvy_store_seq_u32(&o->over, 1);
}

/* Whether it waits for the owner. */
static bool owner_is_wanted(void *arg)
{
  covey_loop *loop = arg;
  cvy_loop_lock(loop);
  bool wanted = loop->tasks != NULL;
  cvy_loop_unlock(loop);
  return wanted;
}

static void use_nodes_while_one_is_opened(const char *name)
{
  lent l;
  covey_identity who;
  lent_open(&l);
  covey_node *other = node_on(l.loop, "other", true);
  if (name) CHECK_OK(covey_node_identity(NULL, &who)); /* the default node is there, on a loop of its own */
  opener o = {.loop = l.loop, .name = name};
  test_thread *thread = test_thread_start(open_one, &o);
  REQUIRE(test_wait_until(owner_is_wanted, l.loop, TEST_SOON));
  CHECK_OK(covey_node_identity(NULL, &who));
  int r = covey_node_close(other, 0);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  for (int64_t until = test_now() + TEST_SOON; !cvy_load_seq_u32(&o.over) && test_now() < until;)
    uv_run(&l.uv, UV_RUN_ONCE);
  test_thread_join(thread);
  if (name) CHECK(covey_node_close(NULL, 1000) >= 0);
  r = covey_node_close(o.node, 0);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  lent_close(&l);
}

TEST(lent_several, nodes_are_used_while_another_thread_opens_one)
{
  for (int i = 0; i < 10 && test_failures() == 0; i++)
    use_nodes_while_one_is_opened(test_format("opened-%" PRId64, test_pid()));
}

TEST(lent_several, the_default_node_is_used_while_another_thread_opens_it)
{
  for (int i = 0; i < 10 && test_failures() == 0; i++) use_nodes_while_one_is_opened(NULL);
}

/* ---- the loop is closed first, and the last object in another thread ---- */

static void close_late(void *arg)
{
  CHECK(covey_node_close(arg, TEST_SOON) >= 0);
}

TEST(lent_several, uv_run_goes_on_until_other_threads_have_closed_what_is_theirs)
{
  for (int i = 0; i < 200 && test_failures() == 0; i++) {
    lent l;
    lent_open(&l);
    covey_node *node = node_on(l.loop, "late", i & 1);
    uv_close((uv_handle_t *)&l.tick, NULL);
    test_thread *thread = test_thread_start(close_late, node);
    covey_loop_close(l.loop);
    CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
    CHECK_INT(uv_loop_close(&l.uv), 0);
    test_thread_join(thread);
  }
}

/* ---- the loop is closed in a callback on it ---- */

static void close_all(covey_process *p, const covey_exit *end, void *arg)
{
  lent *l = arg;
  CHECK(COVEY_EXIT_OK(end));
  covey_process_close(p);
  uv_close((uv_handle_t *)&l->tick, NULL);
  covey_loop_close(l->loop);
}

TEST(lent_several, the_loop_is_closed_in_a_callback)
{
  test_no_child_handles_lost();
  for (int i = 0; i < 10; i++) {
    lent l;
    covey_process *p;
    lent_open(&l);
    REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = TEST_HELPER("exit", "0"), .loop = l.loop}, &p));
    REQUIRE_OK(covey_process_on_end(p, close_all, &l));
    CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
    CHECK_INT(uv_loop_close(&l.uv), 0);
  }
}
