/* The serving side: the pull form, handlers, what an answer may be, and who is served first. */
#include "support/test.h"

#include <covey/call.h>
#include <covey/loop.h>

#include "msg/node.h"

#include <uv.h>

enum { PATIENCE = 30000 };

static covey_pending *start(const char *function, const char *text, int priority)
{
  covey_call_options o = {.pid = test_pid(), .function = function, .timeout = PATIENCE, .priority = priority};
  covey_pending *p = NULL;
  REQUIRE_OK(covey_call_start(NULL, &o, &(covey_buffer){text, strlen(text)}, 1, &p));
  return p;
}

/* Takes the outcome of a call and closes it. */
static int end(covey_pending *p, const char *text)
{
  covey_reply reply;
  int r = covey_call_wait(p, PATIENCE, &reply);
  if (r == 0) CHECK_STR(reply.data, text);
  if (r == 0) covey_reply_free(&reply);
  covey_call_close(p);
  return r;
}

static void open_function(const char *function)
{
  covey_request q;
  test_fill(&q, sizeof q);
  CHECK_ERR(covey_call_receive(NULL, function, 0, &q), COVEY_ETIMEDOUT);
  CHECK(test_is_filled(&q, sizeof q));
}

TEST(call_serve, a_request_says_all)
{
  covey_identity us;
  covey_request q;
  open_function("f");
  REQUIRE_OK(covey_node_identity(NULL, &us));
  covey_call_options o = {.pid = test_pid(), .function = "f", .priority = 3, .reply_max = 77};
  covey_pending *p = NULL;
  REQUIRE_OK(covey_call_start(NULL, &o, NULL, 0, &p));
  REQUIRE_OK(covey_call_receive(NULL, "f", PATIENCE, &q));
  CHECK_UINT(q.size, 0);
  CHECK(q.data != NULL);
  CHECK_INT(((const char *)q.data)[0], 0);
  CHECK_STR(q.function, "f");
  CHECK_UINT(q.reply_max, 77);
  CHECK_INT(q.priority, 3);
  CHECK_INT(q.from.pid, test_pid());
  CHECK_MEM(q.from.instance, us.instance, sizeof us.instance);
  CHECK_ERR(covey_call_reply(&q, 0, "x", 78), COVEY_ETOOBIG);
  CHECK(strstr(covey_last_failure()->what, "77") != NULL);
  CHECK_INT(covey_request_wanted(&q), 1);
  CHECK_OK(covey_call_reply(&q, 5, "less", 4));
  CHECK_WRONG(covey_call_reply(&q, 5, "twice", 5));
  CHECK_INT(covey_request_wanted(&q), 0);
  covey_request_free(&q);
  CHECK(q.internal == NULL);
  CHECK_WRONG(covey_call_reply(&q, 5, "freed", 5));
  covey_reply reply;
  REQUIRE_OK(covey_call_wait(p, PATIENCE, &reply));
  CHECK_INT(reply.status, 5);
  CHECK_STR(reply.data, "less");
  covey_reply_free(&reply);
  covey_call_close(p);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

TEST(call_serve, higher_priorities_first)
{
  static const char *const wanted[] = {"7", "3a", "3b", "0a", "0b"};
  covey_request q;
  open_function("f");
  covey_pending *p[] = {start("f", "0a", 0), start("f", "3a", 3), start("f", "0b", 0), start("f", "7", 7),
                        start("f", "3b", 3)};
  for (int i = 0; i < 5; i++) {
    REQUIRE_OK(covey_call_receive(NULL, "f", PATIENCE, &q));
    CHECK_STR(q.data, wanted[i]);
    covey_request_free(&q);
  }
  for (int i = 0; i < 5; i++) CHECK_ERR(end(p[i], NULL), COVEY_EFAILED);
}

TEST(call_serve, any_function)
{
  static const char *const functions[] = {"a", "b", "c"};
  covey_message m;
  covey_request q;
  covey_pending *p[3];
  for (int i = 0; i < 3; i++) open_function(functions[i]);
  for (int i = 0; i < 3; i++) p[i] = start(functions[i], functions[i], 0);
  CHECK_ERR(covey_receive(NULL, COVEY_ANY_GROUP, 0, &m), COVEY_ETIMEDOUT); /* they are no messages */
  for (int i = 0; i < 3; i++) {
    REQUIRE_OK(covey_call_receive(NULL, COVEY_ANY_GROUP, PATIENCE, &q));
    CHECK_STR(q.function, functions[i]);
    REQUIRE_OK(covey_call_reply(&q, 0, q.data, q.size));
    covey_request_free(&q);
  }
  for (int i = 0; i < 3; i++) CHECK_OK(end(p[i], functions[i]));
}

TEST(call_serve, options)
{
  covey_request q;
  covey_receive_options o = {.group = "f", .flags = COVEY_RECEIVE_TRY};
  CHECK_ERR(covey_request_receive(NULL, &o, &q), COVEY_ETIMEDOUT);
  o.flags = 0;
  o.timeout = 20;
  CHECK_ERR(covey_request_receive(NULL, &o, &q), COVEY_ETIMEDOUT);
  REQUIRE_OK(covey_cancel_new(&o.cancel));
  covey_cancel_fire(o.cancel);
  o.timeout = PATIENCE;
  CHECK_ERR(covey_request_receive(NULL, &o, &q), COVEY_ECANCELED);
  CHECK_ERR(covey_serve_run(NULL, PATIENCE, o.cancel), COVEY_ECANCELED);
  covey_cancel_free(o.cancel);
}

struct receiver {
  int result;
  covey_node *node;
};

static void receive_long(void *arg)
{
  struct receiver *r = arg;
  covey_request q;
  r->result = covey_call_receive(r->node, "f", PATIENCE, &q);
}

static void run_long(void *arg)
{
  struct receiver *r = arg;
  r->result = covey_serve_run(r->node, PATIENCE, NULL);
}

static bool is_in_a_call(void *arg)
{
  const struct receiver *r = arg;
  cvy_loop_lock(r->node->loop);
  bool inside = r->node->users > 0;
  cvy_loop_unlock(r->node->loop);
  return inside;
}

TEST(call_serve, a_close_wakes_who_waits)
{
  covey_node_options options = {.name = test_format("wakes-%" PRId64, test_pid())};
  struct receiver r;
  void (*const ways[])(void *) = {receive_long, receive_long, run_long};
  for (int i = 0; i < 3; i++) {
    r = (struct receiver){.result = 1};
    REQUIRE_OK(covey_node_open(&options, &r.node));
    test_thread *thread = test_thread_start(ways[i], &r);
    CHECK(test_wait_until(is_in_a_call, &r, PATIENCE));
    if (i == 0) REQUIRE_OK(covey_serve_close(r.node, "f"));
    if (i > 0) CHECK_INT(covey_node_close(r.node, PATIENCE), 0);
    test_thread_join(thread);
    CHECK_INT(r.result, COVEY_ECLOSED);
    if (i == 0) CHECK_INT(covey_node_close(r.node, PATIENCE), 0);
  }
}

/* ---- handlers ---- */

struct state {
  int calls;
  covey_request kept;
  test_counter inside, blocked;
};

static void handle(covey_request *q, void *arg)
{
  struct state *s = arg;
  s->calls++;
  if (strcmp(q->data, "keep") == 0) {
    s->kept = *q;
    memset(q, 0, sizeof *q);
  } else if (strcmp(q->data, "drop") != 0) {
    CHECK_OK(covey_call_reply(q, 0, q->data, q->size));
  }
}

TEST(call_serve, a_handler_in_serve_run)
{
  struct state s = {0};
  covey_request q;
  REQUIRE_OK(covey_serve(NULL, "f", handle, &s));
  CHECK_ERR(covey_serve(NULL, "f", handle, &s), COVEY_EEXIST);
  CHECK_ERR(covey_call_receive(NULL, "f", 0, &q), COVEY_EEXIST);
  CHECK_ERR(covey_call_receive(NULL, COVEY_ANY_GROUP, 0, &q), COVEY_ETIMEDOUT);
  CHECK_ERR(covey_serve_run(NULL, 0, NULL), COVEY_ETIMEDOUT);
  covey_pending *a = start("f", "a", 0), *drop = start("f", "drop", 0), *keep = start("f", "keep", 0);
  CHECK_ERR(covey_call_receive(NULL, COVEY_ANY_GROUP, 0, &q), COVEY_ETIMEDOUT); /* they are the handler's */
  for (int i = 0; i < 3; i++) CHECK_OK(covey_serve_run(NULL, PATIENCE, NULL));
  CHECK_INT(s.calls, 3);
  CHECK_OK(end(a, "a"));
  CHECK_ERR(end(drop, NULL), COVEY_EFAILED);
  CHECK_OK(covey_call_reply(&s.kept, 0, "later", 5));
  covey_request_free(&s.kept);
  CHECK_OK(end(keep, "later"));
  REQUIRE_OK(covey_serve_close(NULL, "f"));
  open_function("f"); /* it may be served in the other way now */
  CHECK_ERR(covey_serve(NULL, "f", handle, &s), COVEY_EEXIST);
}

TEST(call_serve, a_handler_in_dispatch)
{
  struct state s = {0};
  covey_native handle_of_loop;
  covey_pending *p[40];
  REQUIRE_OK(covey_loop_handle(NULL, &handle_of_loop));
  REQUIRE_OK(covey_serve(NULL, "f", handle, &s));
  for (int i = 0; i < 40; i++) p[i] = start("f", "x", 0);
  CHECK_INT(s.calls, 0); /* not inside another call */
  while (s.calls < 40) { /* more than one round */
    REQUIRE(test_handle_ready(handle_of_loop, PATIENCE));
    REQUIRE_OK(covey_loop_dispatch(NULL));
  }
  for (int i = 0; i < 40; i++) CHECK_OK(end(p[i], "x"));
  covey_pending *late = start("f", "x", 0);
  REQUIRE_OK(covey_serve_close(NULL, "f"));
  CHECK_ERR(end(late, NULL), COVEY_ENOTFOUND);
  for (int i = 0; i < 3; i++) REQUIRE_OK(covey_loop_dispatch(NULL));
  CHECK_INT(s.calls, 40); /* a closed one runs nothing */
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
}

static void close_itself(covey_request *q, void *arg)
{
  CHECK_OK(covey_serve_close(NULL, q->function)); /* does not wait for itself */
  CHECK_OK(covey_call_reply(q, 0, arg, 4));
}

TEST(call_serve, a_handler_closes_its_function)
{
  char text[] = "last";
  REQUIRE_OK(covey_serve(NULL, "f", close_itself, text));
  covey_pending *p = start("f", "x", 0), *behind = start("f", "y", 0);
  CHECK_OK(covey_serve_run(NULL, PATIENCE, NULL));
  CHECK_OK(end(p, "last"));
  CHECK_ERR(end(behind, NULL), COVEY_ENOTFOUND);
}

static void block(covey_request *q, void *arg)
{
  struct state *s = arg;
  (void)q;
  test_add(&s->inside, 1);
  while (!test_add(&s->blocked, 0)) test_pause(1);
  test_pause(20);
  test_add(&s->inside, -1);
}

static bool is_inside(void *arg)
{
  struct state *s = arg;
  return test_add(&s->inside, 0) > 0;
}

TEST(call_serve, a_close_waits_for_its_handlers)
{
  struct state s = {0};
  struct receiver r = {.node = NULL};
  REQUIRE_OK(covey_serve(NULL, "f", block, &s));
  covey_pending *p = start("f", "x", 0);
  test_thread *thread = test_thread_start(run_long, &r);
  CHECK(test_wait_until(is_inside, &s, PATIENCE));
  test_add(&s.blocked, 1);
  REQUIRE_OK(covey_serve_close(NULL, "f"));
  CHECK_INT(test_add(&s.inside, 0), 0);
  test_thread_join(thread);
  CHECK_OK(r.result);
  CHECK_ERR(end(p, NULL), COVEY_EFAILED);
}

TEST(call_serve, a_handler_outlives_its_node_and_loop)
{
  struct state s = {0};
  covey_loop *loop;
  REQUIRE_OK(covey_loop_open(NULL, &loop));
  covey_node_options options = {.loop = loop, .name = test_format("gone-%" PRId64, test_pid())};
  struct receiver r = {.result = 1};
  REQUIRE_OK(covey_node_open(&options, &r.node));
  REQUIRE_OK(covey_serve(r.node, "f", block, &s));
  covey_call_options o = {.name = options.name, .function = "f", .timeout = PATIENCE};
  covey_pending *p = NULL;
  covey_reply reply;
  REQUIRE_OK(covey_call_start(r.node, &o, NULL, 0, &p));
  test_thread *thread = test_thread_start(run_long, &r);
  CHECK(test_wait_until(is_inside, &s, PATIENCE));
  CHECK_INT(covey_node_close(r.node, PATIENCE), 0);
  CHECK_ERR(covey_call_wait(p, 0, &reply), COVEY_ECLOSED);
  covey_call_close(p);
  covey_loop_close(loop);
  test_add(&s.blocked, 1);
  test_thread_join(thread);
  CHECK_OK(r.result);
}

/* A handler calls what another handler of this thread serves: no call waits for a handler that only it could run. */
static void outer(covey_request *q, void *arg)
{
  covey_pending *p = start("inner", q->data, 0);
  covey_reply reply;
  (void)arg;
  CHECK_OK(covey_serve_run(NULL, PATIENCE, NULL));
  REQUIRE_OK(covey_call_wait(p, PATIENCE, &reply));
  CHECK_OK(covey_call_reply(q, reply.status + 1, reply.data, reply.size));
  covey_reply_free(&reply);
  covey_call_close(p);
}

static void inner(covey_request *q, void *arg)
{
  (void)arg;
  CHECK_OK(covey_call_reply(q, 41, q->data, q->size));
}

TEST(call_serve, nested)
{
  covey_reply reply;
  REQUIRE_OK(covey_serve(NULL, "outer", outer, NULL));
  REQUIRE_OK(covey_serve(NULL, "inner", inner, NULL));
  covey_pending *p = start("outer", "deep", 0);
  CHECK_OK(covey_serve_run(NULL, PATIENCE, NULL));
  REQUIRE_OK(covey_call_wait(p, PATIENCE, &reply));
  CHECK_INT(reply.status, 42);
  CHECK_STR(reply.data, "deep");
  covey_reply_free(&reply);
  covey_call_close(p);
}

/* ---- callbacks of the caller ---- */

struct done {
  int count, code;
  char text[16];
};

static void on_done(covey_pending *p, void *arg)
{
  struct done *d = arg;
  covey_reply reply;
  d->count++;
  d->code = covey_call_wait(p, 0, &reply);
  if (d->code == 0) {
    snprintf(d->text, sizeof d->text, "%s", (const char *)reply.data);
    covey_reply_free(&reply);
  }
  covey_call_close(p);
}

static covey_pending *start_done(covey_node *node, int64_t timeout, struct done *d)
{
  covey_identity who;
  covey_pending *p = NULL;
  REQUIRE_OK(covey_node_identity(node, &who));
  covey_call_options o = {.pid = who.pid, .function = "f", .timeout = timeout, .on_done = on_done, .arg = d};
  REQUIRE_OK(covey_call_start(node, &o, &(covey_buffer){"x", 1}, 1, &p));
  return p;
}

static void dispatch_until(const int *count, int wanted)
{
  covey_native handle_of_loop;
  REQUIRE_OK(covey_loop_handle(NULL, &handle_of_loop));
  while (*count < wanted) {
    REQUIRE(test_handle_ready(handle_of_loop, PATIENCE));
    REQUIRE_OK(covey_loop_dispatch(NULL));
  }
}

TEST(call_serve, the_caller_is_called_back)
{
  struct done answered = {0}, late = {0}, never = {0}, gone = {0}, waited = {0};
  covey_request q;
  covey_reply reply;
  covey_native handle_of_loop;
  REQUIRE_OK(covey_loop_handle(NULL, &handle_of_loop));
  open_function("f");
  start_done(NULL, PATIENCE, &answered);
  REQUIRE_OK(covey_call_receive(NULL, "f", PATIENCE, &q));
  REQUIRE_OK(covey_call_reply(&q, 0, "done", 4));
  covey_request_free(&q);
  CHECK_INT(answered.count, 0);
  dispatch_until(&answered.count, 1);
  CHECK_OK(answered.code);
  CHECK_STR(answered.text, "done");
  start_done(NULL, 50, &late); /* nobody answers, and nobody waits */
  dispatch_until(&late.count, 1);
  CHECK_INT(late.code, COVEY_ETIMEDOUT);
  covey_call_close(start_done(NULL, PATIENCE, &never));
  covey_pending *p = start_done(NULL, PATIENCE, &waited);
  covey_call_cancel(p);
  CHECK_ERR(covey_call_wait(p, 0, &reply), COVEY_ECANCELED); /* told here, and not again */
  start_done(NULL, PATIENCE, &gone);
  CHECK_INT(covey_node_close(NULL, PATIENCE), 0);
  dispatch_until(&gone.count, 1);
  CHECK_INT(gone.code, COVEY_ECLOSED);
  CHECK_INT(never.count, 0);
  CHECK_INT(waited.count, 0);
  CHECK_INT(late.count, 1);
  covey_call_close(p);
}

TEST(call_serve, on_a_loop_that_the_program_runs)
{
  uv_loop_t uv;
  covey_loop *loop;
  struct state s = {0};
  struct done d = {0};
  covey_reply reply;
  char *name = test_format("lent-%" PRId64, test_pid());
  REQUIRE(uv_loop_init(&uv) == 0);
  REQUIRE_OK(covey_loop_attach(&uv, uv_version(), &loop));
  covey_node_options options = {.loop = loop, .name = name};
  covey_node *node;
  REQUIRE_OK(covey_node_open(&options, &node));
  REQUIRE_OK(covey_serve(node, "f", handle, &s));
  covey_call_options o = {.name = name, .function = "f", .timeout = 1000, .on_done = NULL};
  CHECK_ERR(covey_call_run(node, &o, NULL, 0, &reply), COVEY_EDEADLK);
  o.on_done = on_done;
  o.arg = &d;
  o.timeout = PATIENCE;
  covey_pending *p;
  REQUIRE_OK(covey_call_start(node, &o, &(covey_buffer){"x", 1}, 1, &p));
  int64_t until = test_now() + PATIENCE;
  while (d.count == 0 && test_now() < until) uv_run(&uv, UV_RUN_ONCE);
  CHECK_OK(d.code);
  CHECK_STR(d.text, "x");
  CHECK(s.calls >= 1);
  int r = covey_node_close(node, 1000);
  CHECK(r == 0 || r == COVEY_EDEADLK);
  covey_loop_close(loop);
  uv_run(&uv, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&uv), 0);
}
