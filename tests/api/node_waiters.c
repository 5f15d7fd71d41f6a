/* Every call that waits, waiting at the same moment: a close of their node ends all of them, and so does a cancel object. Nobody hangs, and nobody is told anything
 * but that. */
#include "support/test.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/topic.h>
#include <uv.h>

enum { PATIENCE = 30000, WINDOW = 4096 };

/* Our node, and another that keeps all of its calls waiting. */
typedef struct pair {
  covey_node *ours, *other;
  covey_node *mute; /* nobody turns its loop */
  covey_loop *stands;
  const char *name, *own_name, *mute_name;
  covey_peer *peer;
  covey_channel *silent, *full;
  covey_channel *far_silent, *far_full; /* its sides */
  covey_subscription *subscription, *slow;
  covey_topic *theirs, *topic;
  covey_pending *pending;
  covey_cancel *cancel; /* NULL: none */
  covey_loop *loop;     /* of our node; NULL: the default one */
} pair;

static int receive(pair *p)
{
  covey_message m;
  return covey_message_receive(p->ours, &(covey_receive_options){.group = "a", .cancel = p->cancel}, &m);
}

static int receive_any(pair *p)
{
  covey_message m;
  return covey_message_receive(p->ours,
                               &(covey_receive_options){.group = COVEY_ANY_GROUP, .cancel = p->cancel}, &m);
}

static int receive_many(pair *p)
{
  covey_message m[4];
  return covey_receive_many(p->ours, &(covey_receive_options){.group = "b", .cancel = p->cancel}, m, 4);
}

static int receive_into(pair *p)
{
  char data[8];
  return covey_receive_into(p->ours, &(covey_receive_options){.group = "c", .cancel = p->cancel}, data,
                            sizeof data, NULL);
}

static int send_to_no_group(pair *p)
{
  covey_send_options to = {.name = p->name, .group = "never", .cancel = p->cancel};
  return covey_message_send(p->ours, &to, NULL, 0, NULL);
}

static int send_to_a_mute_one(pair *p)
{
  covey_send_options to = {.name = p->mute_name, .cancel = p->cancel};
  return covey_message_send(p->ours, &to, NULL, 0, NULL);
}

static int call_without_room(pair *p)
{
  covey_reply reply;
  static char data[WINDOW / 2];
  covey_call_options o = {.name = p->name, .function = "narrow", .cancel = p->cancel};
  covey_pending *more[4] = {0};
  int r = 0;
  for (int i = 0; i < 4 && r == 0; i++)
    r = covey_call_start(p->ours, &o, &(covey_buffer){data, sizeof data}, 1, &more[i]);
  for (int i = 0; i < 4; i++) covey_call_close(more[i]);
  return r == 0 ? covey_call_run(p->ours, &o, NULL, 0, &reply) : r;
}

static int send_without_room(pair *p)
{
  covey_send_options to = {.name = p->name, .group = "full", .cancel = p->cancel};
  return covey_message_send(p->ours, &to, NULL, 0, NULL);
}

static int send_consumed(pair *p)
{
  covey_send_options to = {
      .name = p->name, .group = "unread", .level = COVEY_LEVEL_CONSUMED, .cancel = p->cancel};
  return covey_message_send(p->ours, &to, NULL, 0, NULL);
}

static int send_large(pair *p)
{
  static char large[4 * WINDOW];
  covey_send_options to = {.name = p->name, .group = "unread large", .cancel = p->cancel};
  int r = 0;
  for (int i = 0; i < 64 && r == 0; i++)
    r = covey_message_send(p->ours, &to, &(covey_buffer){large, sizeof large}, 1, NULL);
  return r;
}

static int send_many(pair *p)
{
  static const covey_buffer many[3];
  covey_send_options to = {.name = p->name, .group = "full", .cancel = p->cancel};
  return covey_send_many(p->ours, &to, many, 3);
}

static int peer_open(pair *p)
{
  covey_peer *peer;
  return covey_peer_open(p->ours, &(covey_peer_options){.name = "nobody-at-all", .cancel = p->cancel}, &peer);
}

static int peer_wait(pair *p)
{
  return covey_peer_wait(p->peer, COVEY_FOREVER, p->cancel);
}

static int call(pair *p)
{
  covey_reply reply;
  return covey_call_run(p->ours,
                        &(covey_call_options){.name = p->name, .function = "silent", .cancel = p->cancel},
                        NULL, 0, &reply);
}

static int call_no_function(pair *p)
{
  covey_reply reply;
  return covey_call_run(p->ours,
                        &(covey_call_options){.name = p->name, .function = "never", .cancel = p->cancel},
                        NULL, 0, &reply);
}

static int call_wait(pair *p)
{
  covey_reply reply;
  return covey_call_wait(p->pending, COVEY_FOREVER, &reply);
}

static int request(pair *p)
{
  covey_request q;
  return covey_request_receive(p->ours, &(covey_receive_options){.group = "f", .cancel = p->cancel}, &q);
}

static int serve(pair *p)
{
  return covey_serve_run(p->ours, COVEY_FOREVER, p->cancel);
}

static int channel_accept(pair *p)
{
  covey_channel *c;
  return covey_endpoint_accept(p->ours, &(covey_receive_options){.group = "e", .cancel = p->cancel}, &c);
}

static int channel_open(pair *p)
{
  covey_channel *c;
  return covey_channel_open(
      p->ours, &(covey_channel_options){.name = p->name, .endpoint = "silent", .cancel = p->cancel}, &c);
}

static int channel_open_nowhere(pair *p)
{
  covey_channel *c;
  return covey_channel_open(
      p->ours, &(covey_channel_options){.name = p->name, .endpoint = "never", .cancel = p->cancel}, &c);
}

static int channel_receive(pair *p)
{
  covey_message m;
  return covey_channel_message_receive(p->silent, &(covey_receive_options){.cancel = p->cancel}, &m);
}

static int channel_send(pair *p)
{
  static char data[WINDOW / 2];
  covey_send_options how = {.cancel = p->cancel};
  int r = 0;
  for (int i = 0; i < 8 && r == 0; i++)
    r = covey_channel_message_send(p->full, &how, &(covey_buffer){data, sizeof data}, 1);
  return r;
}

static int subscribe(pair *p)
{
  covey_subscription *s;
  return covey_topic_subscribe(
      p->ours, &(covey_subscribe_options){.name = p->name, .topic = "never", .cancel = p->cancel}, &s);
}

static int topic_receive(pair *p)
{
  covey_message m;
  return covey_topic_receive(p->subscription, &(covey_receive_options){.cancel = p->cancel}, &m);
}

static int publish(pair *p)
{
  covey_publish_options how = {.cancel = p->cancel};
  int r = 0;
  for (int i = 0; i < 4 && r >= 0; i++) r = covey_topic_publish(p->topic, &how, NULL, 0);
  return r;
}

static int topic_wait(pair *p)
{
  return covey_topic_wait(p->topic, 5, COVEY_FOREVER);
}

static const struct way {
  const char *name;
  int (*wait)(pair *p);
  bool cancels;
  int closed; /* what a close of the node makes of it */
} ways[] = {{"receive", receive, true, COVEY_ECLOSED},
            {"receive any", receive_any, true, COVEY_ECLOSED},
            {"receive many", receive_many, true, COVEY_ECLOSED},
            {"receive into", receive_into, true, COVEY_ECLOSED},
            {"send to no group", send_to_no_group, true, COVEY_ECLOSED},
            {"send to a mute one", send_to_a_mute_one, true, COVEY_ECLOSED},
            {"call without room", call_without_room, true, COVEY_ECLOSED},
            {"send without room", send_without_room, true, COVEY_ECLOSED},
            {"send consumed", send_consumed, true, COVEY_ECLOSED},
            {"send large", send_large, true, COVEY_ECLOSED},
            {"send many", send_many, true, COVEY_ECLOSED},
            {"peer open", peer_open, true, COVEY_ECLOSED},
            {"peer wait", peer_wait, true, 0},
            {"call", call, true, COVEY_ECLOSED},
            {"call no function", call_no_function, true, COVEY_ECLOSED},
            {"call wait", call_wait, false, COVEY_ECLOSED},
            {"request", request, true, COVEY_ECLOSED},
            {"serve", serve, true, COVEY_ECLOSED},
            {"channel accept", channel_accept, true, COVEY_ECLOSED},
            {"channel open", channel_open, true, COVEY_ECLOSED},
            {"channel open nowhere", channel_open_nowhere, true, COVEY_ECLOSED},
            {"channel receive", channel_receive, true, COVEY_ECLOSED},
            {"channel send", channel_send, true, COVEY_ECLOSED},
            {"subscribe", subscribe, true, COVEY_ECLOSED},
            {"topic receive", topic_receive, true, COVEY_ECLOSED},
            {"publish", publish, true, COVEY_ECLOSED},
            {"topic wait", topic_wait, false, COVEY_ECLOSED}};

enum { WAYS = sizeof ways / sizeof ways[0] };

typedef struct waiter {
  pair *p;
  const struct way *way;
  int result;
} waiter;

static test_counter begun;

static void wait_now(void *arg)
{
  waiter *w = arg;
  test_add(&begun, 1);
  w->result = w->way->wait(w->p);
}

static bool all_begun(void *arg)
{
  return test_add(&begun, 0) == *(int *)arg;
}

static void join_channels(pair *p, const char *endpoint, covey_channel **ret_ours, covey_channel **ret_far)
{
  covey_channel_options o = {.name = p->name, .endpoint = endpoint, .flags = COVEY_CHANNEL_TRY};
  REQUIRE_OK(covey_channel_open(p->ours, &o, ret_ours));
  REQUIRE_OK(covey_channel_accept(p->other, endpoint, PATIENCE, ret_far));
}

static void nobody_calls(covey_request *q, void *arg)
{
  (void)q;
  (void)arg;
}

static void pair_open(pair *p)
{
  covey_request q;
  covey_channel *c;
  *p = (pair){.loop = p->loop,
              .name = test_format("other-%" PRId64, test_pid()),
              .own_name = test_format("ours-%" PRId64, test_pid()),
              .mute_name = test_format("mute-%" PRId64, test_pid())};
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &p->stands));
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = p->mute_name, .loop = p->stands}, &p->mute));
  covey_node_options ours = {.name = p->own_name, .loop = p->loop},
                     other = {.name = p->name, .window = WINDOW};
  REQUIRE_OK(covey_node_open(&ours, &p->ours));
  REQUIRE_OK(covey_node_open(&other, &p->other));
  REQUIRE_OK(covey_group_open(p->other, "full", &(covey_group_options){.max_count = 1}));
  REQUIRE_OK(covey_group_open(p->other, "unread", NULL));
  REQUIRE_OK(covey_group_open(p->other, "unread large", NULL));
  REQUIRE_OK(covey_endpoint_open(p->other, "silent", NULL));
  REQUIRE_OK(
      covey_endpoint_open(p->other, "full", &(covey_group_options){.max_bytes = WINDOW, .max_count = 4}));
  CHECK_ERR(covey_channel_accept(p->other, "quiet", 0, &c), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_call_receive(p->other, "silent", 0, &q), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_call_receive(p->other, "narrow", 0, &q), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_serve(p->ours, "served", nobody_calls, NULL));
  covey_send_options to = {.name = p->name, .group = "full", .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(p->ours, &to, NULL, 0, NULL)); /* it is full now */
  REQUIRE_OK(covey_peer_open(p->ours, &(covey_peer_options){.name = p->name, .timeout = PATIENCE}, &p->peer));
  join_channels(p, "quiet", &p->silent, &p->far_silent);
  join_channels(p, "full", &p->full, &p->far_full);
  REQUIRE_OK(covey_topic_open(p->other, "theirs", NULL, &p->theirs));
  REQUIRE_OK(covey_topic_open(p->ours, "ours", &(covey_topic_options){.slow = COVEY_SLOW_BLOCK}, &p->topic));
  covey_subscribe_options s = {.name = p->name, .topic = "theirs", .timeout = PATIENCE};
  REQUIRE_OK(covey_topic_subscribe(p->ours, &s, &p->subscription));
  s = (covey_subscribe_options){.name = p->own_name, .topic = "ours", .timeout = PATIENCE, .max_count = 1};
  REQUIRE_OK(covey_topic_subscribe(p->other, &s, &p->slow));
  covey_call_options o = {.name = p->name, .function = "silent"};
  REQUIRE_OK(covey_call_start(p->ours, &o, NULL, 0, &p->pending));
}

static void pair_close(pair *p)
{
  covey_call_close(p->pending);
  covey_unsubscribe(p->subscription);
  covey_unsubscribe(p->slow);
  covey_topic_close(p->topic);
  covey_topic_close(p->theirs);
  covey_channel_close(p->silent, 0);
  covey_channel_close(p->full, 0);
  covey_channel_close(p->far_silent, 0);
  covey_channel_close(p->far_full, 0);
  covey_peer_close(p->peer);
  CHECK(covey_node_close(p->ours, PATIENCE) >= 0);
  CHECK(covey_node_close(p->other, PATIENCE) >= 0);
  CHECK(covey_node_close(p->mute, PATIENCE) >= 0);
  covey_loop_close(p->stands);
}

TEST_LIMIT(node_waiters, a_close_ends_them_all, 120)
{
  pair p = {0};
  waiter w[WAYS];
  test_thread *threads[WAYS];
  pair_open(&p);
  for (int i = 0; i < WAYS; i++) {
    w[i] = (waiter){&p, &ways[i], 1};
    threads[i] = test_thread_start(wait_now, &w[i]);
  }
  CHECK(test_wait_until(all_begun, &(int){WAYS}, PATIENCE));
  test_pause(500); /* nobody may begin a call on a node that is being closed */
  for (int i = 0; i < WAYS; i++) {
    if (w[i].result != 1) TEST_FAIL("%s did not wait: %s", ways[i].name, covey_errname(w[i].result));
  }
  int64_t before = test_now();
  CHECK(covey_node_close(p.ours, PATIENCE) >= 0);
  for (int i = 0; i < WAYS; i++) {
    test_thread_join(threads[i]);
    if (w[i].result != ways[i].closed) TEST_FAIL("%s: %s", ways[i].name, covey_errname(w[i].result));
  }
  CHECK(test_now() - before < PATIENCE / 2);
  p.ours = NULL;
  covey_node *none = NULL;
  REQUIRE_OK(covey_node_open(&(covey_node_options){.name = p.own_name}, &none)); /* its name is free */
  p.ours = none;
  pair_close(&p);
}

TEST_LIMIT(node_waiters, a_cancel_ends_them_all, 120)
{
  pair p = {0};
  waiter w[WAYS];
  test_thread *threads[WAYS] = {0};
  int count = 0;
  pair_open(&p);
  REQUIRE_OK(covey_cancel_new(&p.cancel));
  for (int i = 0; i < WAYS; i++) {
    w[i] = (waiter){&p, &ways[i], 1};
    if (!ways[i].cancels) continue;
    threads[i] = test_thread_start(wait_now, &w[i]);
    count++;
  }
  CHECK(test_wait_until(all_begun, &count, PATIENCE));
  test_pause(500);
  covey_cancel_fire(p.cancel);
  for (int i = 0; i < WAYS; i++) {
    if (!threads[i]) continue;
    test_thread_join(threads[i]);
    if (w[i].result != COVEY_ECANCELED) TEST_FAIL("%s: %s", ways[i].name, covey_errname(w[i].result));
  }
  covey_message m; /* the node goes on */
  covey_send_options to = {.name = p.name, .timeout = PATIENCE};
  REQUIRE_OK(covey_message_send(p.ours, &to, &(covey_buffer){"on", 2}, 1, NULL));
  REQUIRE_OK(covey_receive(p.other, NULL, PATIENCE, &m));
  CHECK_STR(m.data, "on");
  covey_message_free(&m);
  pair_close(&p);
  covey_cancel_free(p.cancel);
}

TEST(node_waiters, none_works_after_fork)
{
  pair p = {0};
  if (test_is_windows()) TEST_SKIP("no fork");
  pair_open(&p);
  int64_t child = test_fork();
  if (child == 0) {
    for (int i = 0; i < WAYS; i++) {
      int r = ways[i].wait(&p);
      if (r != COVEY_ESTALE) TEST_FAIL("%s: %s", ways[i].name, covey_errname(r));
    }
    test_system_exit(test_failures() ? 1 : 0);
  }
  CHECK_INT(test_fork_join(child, PATIENCE), 0);
  pair_close(&p);
}

/* ---- on the thread that runs a lent loop ---- */

typedef struct lent {
  pair p;
  uv_loop_t uv;
  uv_idle_t own; /* the program's own: covey's handles keep no loop going */
  test_counter done;
} lent;

static void idle(uv_idle_t *handle)
{
  (void)handle;
}

static void open_elsewhere(void *arg)
{
  lent *l = arg;
  pair_open(&l->p);
  test_add(&l->done, 1);
}

static void close_elsewhere(void *arg)
{
  lent *l = arg;
  pair_close(&l->p);
  test_add(&l->done, 1);
}

/* Has another thread do what would wait here, and turns the loop meanwhile. */
static void elsewhere(lent *l, void (*what)(void *arg), int64_t done)
{
  int64_t limit = test_now() + PATIENCE;
  test_thread *thread = test_thread_start(what, l);
  while (test_add(&l->done, 0) < done && test_now() < limit) {
    uv_run(&l->uv, UV_RUN_NOWAIT);
    test_pause(1);
  }
  test_thread_join(thread);
}

TEST_LIMIT(node_waiters, the_owner_of_a_loop_waits_for_none, 120)
{
  static lent l;
  REQUIRE(uv_loop_init(&l.uv) == 0);
  REQUIRE_OK(covey_loop_attach(&l.uv, uv_version(), &l.p.loop));
  covey_loop *loop = l.p.loop;
  REQUIRE(uv_idle_init(&l.uv, &l.own) == 0 && uv_idle_start(&l.own, idle) == 0);
  elsewhere(&l, open_elsewhere, 1);
  for (int i = 0; i < WAYS; i++) {
    int r = ways[i].wait(&l.p);
    if (r != COVEY_EDEADLK) TEST_FAIL("%s: %s", ways[i].name, covey_errname(r));
  }
  elsewhere(&l, close_elsewhere, 2);
  covey_loop_close(loop);
  uv_close((uv_handle_t *)&l.own, NULL);
  CHECK_INT(uv_run(&l.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&l.uv), 0);
}
