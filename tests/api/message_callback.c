/* Messages that go to a callback. */
#include "support/test.h"

#include <covey/loop.h>
#include <covey/message.h>

#include <string.h>
#include <uv.h>

enum { PATIENCE = 30000 };

typedef struct seen {
  int count;
  int last; /* the number in the last message */
  covey_node *node;
  covey_message kept;
  test_counter inside, go_on;
} seen;

static void on_message(covey_message *m, void *arg)
{
  seen *s = arg;
  int number = -1;
  REQUIRE(m->size == sizeof number);
  memcpy(&number, m->data, sizeof number);
  CHECK_INT(number, s->last + 1);
  s->last = number;
  s->count++;
}

static void send_numbers(const char *group, int from, int count)
{
  for (int i = from; i < from + count; i++)
    REQUIRE_OK(covey_send(NULL, test_pid(), group, &i, sizeof i, PATIENCE));
}

static void dispatch_until(const int *count, int wanted)
{
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(NULL, &handle));
  while (*count < wanted) {
    REQUIRE(test_handle_ready(handle, PATIENCE));
    REQUIRE_OK(covey_loop_dispatch(NULL));
  }
}

TEST(message_callback, in_dispatch)
{
  seen s = {.last = -1};
  covey_message m;
  REQUIRE_OK(covey_group_open(NULL, "g", NULL));
  send_numbers("g", 0, 5); /* they wait already, and come first */
  REQUIRE_OK(covey_group_on_message(NULL, "g", on_message, &s));
  send_numbers("g", 5, 35); /* more than one round */
  CHECK_INT(s.count, 0);    /* not inside another call */
  dispatch_until(&s.count, 40);
  CHECK_ERR(covey_receive(NULL, "g", PATIENCE, &m), COVEY_EEXIST);
  send_numbers("g", 40, 1);
  CHECK_ERR(covey_receive(NULL, COVEY_ANY_GROUP, 0, &m), COVEY_ETIMEDOUT); /* it is the callback's */
  dispatch_until(&s.count, 41);
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(s.count, 41);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(message_callback, taken_away_and_replaced)
{
  seen first = {.last = -1}, second = {.last = 2};
  covey_message m;
  REQUIRE_OK(covey_group_on_message(NULL, NULL, on_message, &first));
  send_numbers(NULL, 0, 2);
  dispatch_until(&first.count, 2);
  send_numbers(NULL, 2, 1);
  REQUIRE_OK(covey_group_on_message(NULL, NULL, NULL, NULL));
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(first.count, 2);
  REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m)); /* it waited for a receive */
  covey_message_free(&m);
  REQUIRE_OK(covey_group_on_message(NULL, NULL, NULL, NULL)); /* nothing to take away */
  REQUIRE_OK(covey_group_on_message(NULL, NULL, on_message, &first));
  REQUIRE_OK(covey_group_on_message(NULL, NULL, on_message, &second));
  send_numbers(NULL, 3, 1);
  dispatch_until(&second.count, 1);
  CHECK_INT(first.count, 2);
  CHECK_OK(covey_group_on_message(NULL, "nobody-opened-it", NULL, NULL));
  CHECK_ERR(covey_group_close(NULL, "nobody-opened-it"), COVEY_ENOTFOUND);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

static void keep(covey_message *m, void *arg)
{
  seen *s = arg;
  if (s->count++ == 0) {
    s->kept = *m;
    *m = (covey_message){0};
  }
  CHECK_OK(covey_group_close(NULL, "g")); /* does not wait for itself */
}

TEST(message_callback, moves_one_and_closes_its_group)
{
  seen s = {0};
  REQUIRE_OK(covey_group_on_message(NULL, "g", keep, &s));
  send_numbers("g", 7, 3);
  dispatch_until(&s.count, 1);
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(s.count, 1);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
  CHECK_INT(*(const int *)s.kept.data, 7); /* it lives on */
  CHECK_STR(s.kept.group, "g");
  covey_message_free(&s.kept);
}

static void block(covey_message *m, void *arg)
{
  seen *s = arg;
  (void)m;
  test_add(&s->inside, 1);
  while (!test_add(&s->go_on, 0)) test_pause(1);
  test_pause(20);
  test_add(&s->inside, -1);
}

static void dispatch_once(void *arg)
{
  covey_native handle;
  (void)arg;
  REQUIRE_OK(covey_loop_handle(NULL, &handle));
  while (covey_loop_dispatch(NULL) == 0) REQUIRE(test_handle_ready(handle, PATIENCE));
}

static bool is_inside(void *arg)
{
  return test_add(&((seen *)arg)->inside, 0) > 0;
}

static void takes_leave(bool by_close)
{
  seen s = {0};
  REQUIRE_OK(covey_group_on_message(NULL, "g", block, &s));
  test_thread *thread = test_thread_start(dispatch_once, NULL);
  send_numbers("g", 0, 1);
  CHECK(test_wait_until(is_inside, &s, PATIENCE));
  test_add(&s.go_on, 1);
  REQUIRE_OK(by_close ? covey_group_close(NULL, "g") : covey_group_on_message(NULL, "g", NULL, NULL));
  CHECK_INT(test_add(&s.inside, 0), 0);
  test_thread_join(thread);
}

TEST(message_callback, none_runs_any_more)
{
  takes_leave(false);
  takes_leave(true);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

/* The program runs uv itself: nothing but uv_run is needed. */
static void on_lent(covey_message *m, void *arg)
{
  seen *s = arg;
  covey_send_options back = {.reply_to = m, .flags = COVEY_SEND_TRY};
  CHECK_STR(m->data, "ping");
  CHECK_OK(covey_message_send(s->node, &back, &(covey_buffer){"pong", 4}, 1, NULL));
  s->count++;
}

struct guest {
  const char *name;
  uv_async_t done;
};

static void ping(void *arg)
{
  struct guest *g = arg;
  covey_send_options to = {.name = g->name, .timeout = PATIENCE};
  covey_message m;
  for (int i = 0; i < 20; i++) {
    REQUIRE_OK(covey_message_send(NULL, &to, &(covey_buffer){"ping", 4}, 1, NULL));
    REQUIRE_OK(covey_receive(NULL, NULL, PATIENCE, &m));
    CHECK_STR(m.data, "pong");
    covey_message_free(&m);
  }
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0); /* while the other one turns its loop */
  uv_async_send(&g->done);
}

static void on_done(uv_async_t *done)
{
  uv_close((uv_handle_t *)done, NULL);
  uv_stop(done->loop);
}

TEST(message_callback, on_a_loop_that_the_program_runs)
{
  uv_loop_t uv;
  covey_loop *loop;
  seen s = {0};
  REQUIRE(uv_loop_init(&uv) == 0);
  REQUIRE_OK(covey_loop_attach(&uv, uv_version(), &loop));
  struct guest g = {.name = test_format("lent-%" PRId64, test_pid())};
  REQUIRE_OK(covey_node_open(&(covey_node_options){.loop = loop, .name = g.name}, &s.node));
  REQUIRE_OK(covey_group_on_message(s.node, NULL, on_lent, &s));
  REQUIRE(uv_async_init(&uv, &g.done, on_done) == 0);
  test_thread *thread = test_thread_start(ping, &g);
  uv_run(&uv, UV_RUN_DEFAULT);
  test_thread_join(thread);
  CHECK_INT(s.count, 20);
  int r = covey_node_close(s.node, 1000);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  covey_loop_close(loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
}
