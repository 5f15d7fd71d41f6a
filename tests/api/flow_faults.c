/* Channels, topics, calls and handles, with every allocation and every system call of the one thread that does all of it made to fail once: an error with a
 * reason and no hang, nothing lost, and the next try works. Both nodes are on one loop without a thread: what arrives is handled by us too. */
#include "support/test.h"

#include "core/fault.h"
#include "core/mem.h"
#include "os/handle.h"

#include <covey/call.h>
#include <covey/channel.h>
#include <covey/topic.h>

enum { PATIENCE = 30000, BRIEF = 200, LARGE = 300000 };

static char data[LARGE];

typedef struct pair {
  covey_loop *loop;
  covey_node *a, *b;
  const char *to; /* b */
  covey_native mine[2];
  int told; /* callbacks */
} pair;

static void pair_open(pair *p)
{
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &p->loop));
  covey_node_options oa = {.name = test_format("wa-%" PRId64, test_pid()), .loop = p->loop};
  covey_node_options ob = {.name = test_format("wb-%" PRId64, test_pid()), .loop = p->loop};
  p->to = ob.name;
  REQUIRE_OK(covey_node_open(&oa, &p->a));
  REQUIRE_OK(covey_node_open(&ob, &p->b));
  REQUIRE_OK(covey_group_open(p->b, "h", &(covey_group_options){.handles = 1}));
  REQUIRE_OK(covey_endpoint_open(p->b, "e", NULL));
  for (int i = 0; i < 2; i++) REQUIRE_OK(cvos_null_open(&p->mine[i]));
}

static void pair_close(pair *p)
{
  covey_statistics all;
  CHECK_OK(covey_node_statistics(p->b, &all));
  CHECK_UINT(all.waiting, 0);
  CHECK_UINT(all.broken, 0);
  CHECK_OK(covey_node_statistics(p->a, &all));
  CHECK_UINT(all.broken, 0);
  CHECK_OK(covey_node_close(p->a, PATIENCE));
  CHECK_OK(covey_node_close(p->b, PATIENCE));
  covey_loop_close(p->loop);
  for (int i = 0; i < 2; i++) cvos_handle_close(p->mine[i]);
}

/* What was closed is closed over there too. */
static void settle(pair *p)
{
  for (int i = 0; i < 5; i++) CHECK_OK(covey_loop_dispatch(p->loop));
}

/* ---- operations: each gives back all that it took, whatever failed ---- */

static int open_channel(pair *p, covey_channel **ret_ours, covey_channel **ret_theirs)
{
  covey_channel_options o = {.name = p->to, .endpoint = "e", .flags = COVEY_CHANNEL_TRY};
  int r;
  for (int64_t until = test_now() + BRIEF; (r = covey_channel_open(p->a, &o, ret_ours)) == COVEY_EAGAIN;) {
    if (test_now() > until) return r;
    CHECK_OK(covey_loop_dispatch(p->loop));
  }
  if (r < 0) return r;
  r = covey_channel_accept(p->b, "e", BRIEF, ret_theirs);
  if (r < 0) covey_channel_close(*ret_ours, 0);
  return r;
}

static int next(covey_channel *c, size_t size)
{
  covey_message m;
  int r = covey_channel_receive(c, BRIEF, &m);
  if (r < 0) return r;
  CHECK_UINT(m.size, size);
  covey_message_free(&m);
  return 0;
}

static int channel(pair *p)
{
  covey_channel *ours, *theirs;
  int r = open_channel(p, &ours, &theirs);
  if (r < 0) return r;
  r = covey_channel_send(ours, data, 100, BRIEF);
  if (r == 0) r = next(theirs, 100);
  if (r == 0) r = covey_channel_send(theirs, data, LARGE, BRIEF);
  if (r == 0) r = next(ours, LARGE);
  if (r == 0) r = covey_channel_end(ours);
  if (r == 0)
    r = covey_channel_receive(theirs, BRIEF, &(covey_message){0}) == COVEY_ECLOSED ? 0 : COVEY_EPEERDIED;
  covey_failure why = *covey_last_failure();
  CHECK_OK(covey_channel_close(theirs, 0));
  CHECK_OK(covey_channel_close(ours, 0));
  return r == 0 || why.code == r ? r : COVEY_EPEERDIED;
}

static void on_next(covey_message *m, int code, void *arg)
{
  pair *p = arg;
  (void)code;
  if (m) p->told++;
}

static void on_channel(covey_channel *c, int code, void *arg)
{
  pair *p = arg;
  p->told += c ? 1 : 100;
  (void)code;
  covey_channel_close(c, 0);
}

/* Until callbacks have told count. */
static int dispatch_until(pair *p, int count)
{
  for (int64_t until = test_now() + BRIEF; p->told < count; CHECK_OK(covey_loop_dispatch(p->loop)))
    if (test_now() > until) return COVEY_ETIMEDOUT;
  return 0;
}

static int channel_callbacks(pair *p)
{
  covey_channel *ours, *theirs;
  int r = open_channel(p, &ours, &theirs);
  if (r < 0) return r;
  p->told = 0;
  r = covey_channel_on_message(theirs, on_next, p);
  if (r == 0) r = covey_channel_send(ours, data, 100, BRIEF);
  if (r == 0) r = dispatch_until(p, 1);
  CHECK_OK(covey_channel_close(ours, 0));
  CHECK_OK(covey_channel_close(theirs, 0));
  return r;
}

static int endpoint(pair *p)
{
  covey_channel *c;
  covey_channel_options o = {.name = p->to, .endpoint = "passing", .flags = COVEY_CHANNEL_TRY};
  p->told = 0;
  int r = covey_endpoint_open(p->b, "passing", NULL);
  if (r < 0) return r;
  r = covey_endpoint_on_channel(p->b, "passing", on_channel, p);
  for (int64_t until = test_now() + BRIEF; r == 0 && test_now() < until;
       CHECK_OK(covey_loop_dispatch(p->loop))) {
    int e = covey_channel_open(p->a, &o, &c);
    if (e == COVEY_EAGAIN || e == COVEY_ENOTFOUND) continue; /* it has not heard of it yet */
    r = e;
    if (r == 0) r = dispatch_until(p, 1);
    if (e == 0) CHECK_OK(covey_channel_close(c, 0));
    break;
  }
  CHECK_OK(covey_endpoint_close(p->b, "passing"));
  settle(p);
  return r;
}

static int read_topic(pair *p, covey_subscription *s)
{
  covey_message m;
  int r = covey_topic_next(s, BRIEF, &m);
  if (r < 0) return r;
  covey_message_free(&m);
  p->told = (int)covey_subscription_lost(s) + 1;
  r = covey_topic_on_message(s, on_next, p);
  return r < 0 ? r : dispatch_until(p, 2);
}

static int topic(pair *p)
{
  covey_topic *t;
  covey_subscription *s;
  covey_subscribe_options o = {.name = p->to, .topic = "t", .timeout = BRIEF};
  int r = covey_topic_open(p->b, "t", &(covey_topic_options){.keep_last = 1}, &t);
  if (r < 0) return r;
  r = covey_publish(t, data, 50, 0);
  if (r >= 0) r = covey_topic_subscribe(p->a, &o, &s);
  if (r == 0) {
    r = covey_publish(t, data, LARGE, 0);
    if (r >= 0) r = read_topic(p, s);
    covey_unsubscribe(s);
  }
  covey_topic_close(t);
  settle(p);
  return r;
}

static void on_done(covey_pending *pending, void *arg)
{
  pair *p = arg;
  (void)pending;
  p->told++;
}

static int call(pair *p)
{
  covey_pending *pending;
  covey_request q;
  covey_reply reply;
  covey_buffer b = {data, 100};
  covey_call_options o = {.name = p->to,
                          .function = "f",
                          .timeout = BRIEF,
                          .on_done = on_done,
                          .arg = p,
                          .flags = COVEY_CALL_TRY};
  int r = covey_call_receive(p->b, "f", 0, &q); /* opens it */
  if (r != COVEY_ETIMEDOUT) return r;
  p->told = 0;
  for (int64_t until = test_now() + BRIEF; test_now() < until; CHECK_OK(covey_loop_dispatch(p->loop))) {
    r = covey_call_start(p->a, &o, &b, 1, &pending);
    if (r != COVEY_EAGAIN && r != COVEY_ENOTFOUND) break;
  }
  if (r < 0) return r;
  r = covey_call_receive(p->b, "f", BRIEF, &q);
  if (r == 0) {
    r = covey_call_reply(&q, 7, data, LARGE);
    covey_request_free(&q);
  }
  if (r == 0) r = dispatch_until(p, 1);
  if (r == 0) r = covey_call_wait(pending, BRIEF, &reply);
  if (r == 0) {
    CHECK_INT(reply.status, 7);
    CHECK_UINT(reply.size, LARGE);
    covey_reply_free(&reply);
  }
  covey_call_close(pending);
  return r;
}

static void answer(covey_request *q, void *arg)
{
  (void)arg;
  (void)covey_call_reply(q, 1, q->data, q->size);
}

static int serve(pair *p)
{
  covey_reply reply;
  covey_call_options o = {.name = p->to, .function = "g", .timeout = BRIEF};
  int r = covey_serve(p->b, "g", answer, NULL);
  if (r < 0) return r;
  covey_pending *pending;
  r = covey_call_start(p->a, &o, NULL, 0, &pending);
  if (r == 0) {
    r = covey_serve_run(p->b, BRIEF, NULL);
    if (r == 0) r = covey_call_wait(pending, BRIEF, &reply);
    if (r == 0) covey_reply_free(&reply);
    covey_call_close(pending);
  }
  CHECK_OK(covey_serve_close(p->b, "g"));
  settle(p);
  return r;
}

static int handles(pair *p)
{
  covey_native theirs;
  covey_message m;
  covey_send_options o = {
      .name = p->to, .group = "h", .timeout = BRIEF, .handles = p->mine, .handle_count = 2};
  int r = covey_message_send(p->a, &o, &(covey_buffer){data, 100}, 1, NULL);
  if (r < 0) return r;
  r = covey_receive(p->b, "h", BRIEF, &m);
  if (r < 0) return r;
  CHECK_UINT(m.handle_count, 2);
  r = covey_message_take(&m, 1, &theirs);
  if (r == 0) cvos_handle_close(theirs);
  covey_message_free(&m);
  return r;
}

/* ---- walks ---- */

static void empty(pair *p)
{
  covey_message m;
  while (covey_receive(p->b, "h", 20, &m) == 0) covey_message_free(&m);
}

static void again(pair *p, int (*operation)(pair *), int64_t n, int failed)
{
  int r = COVEY_EAGAIN;
  for (int i = 0; i < 3 && r < 0; i++) { /* its connection may have ended with it */
    empty(p);
    r = operation(p);
  }
  if (r < 0)
    TEST_FAIL("not whole after failure %" PRId64 " (%s): %s: %s", n, covey_errname(failed), covey_errname(r),
              covey_last_failure()->what);
}

static void walk(int (*operation)(pair *), bool memory)
{
  pair p = {.told = 0};
  int failures = 0, passed = 0;
  pair_open(&p);
  again(&p, operation, 0, 0);
  test_no_handles_lost();
  for (int64_t n = 1; n < 600 && passed < 30 && !test_failures(); n++) {
    int64_t began = test_now();
    if (memory)
      cvy_mem_fail_after(n);
    else
      cvy_fault_after(CVOS_FAULT_NONE, n, test_is_windows() ? 1450 : 12);
    int r = operation(&p);
    bool reached = memory || cvy_fault_seen() >= n;
    cvy_mem_fail_after(0);
    cvy_fault_after(CVOS_FAULT_NONE, 0, 0);
    if (test_now() - began > 10000)
      TEST_FAIL("failure %" PRId64 " took %" PRId64 " ms", n, test_now() - began);
    if (r < 0 && r != COVEY_EPEERDIED) CHECK(covey_last_failure()->code != 0);
    failures += r < 0;
    passed = r < 0 ? 0 : passed + 1;
    if (!reached) break;
    if (r < 0) again(&p, operation, n, r);
  }
  test_log("%d failures", failures);
  CHECK(failures > 0);
  pair_close(&p);
}

TEST_LIMIT(flow_faults, memory_of_a_channel, 120)
{
  walk(channel, true);
}
TEST_LIMIT(flow_faults, memory_of_channel_callbacks, 120)
{
  walk(channel_callbacks, true);
}
TEST_LIMIT(flow_faults, memory_of_an_endpoint, 120)
{
  walk(endpoint, true);
}
TEST_LIMIT(flow_faults, memory_of_a_topic, 120)
{
  walk(topic, true);
}
TEST_LIMIT(flow_faults, memory_of_a_call, 120)
{
  walk(call, true);
}
TEST_LIMIT(flow_faults, memory_of_serving, 120)
{
  walk(serve, true);
}
TEST_LIMIT(flow_faults, memory_of_handles, 120)
{
  walk(handles, true);
}
TEST_LIMIT(flow_faults, calls_of_a_channel, 120)
{
  walk(channel, false);
}
TEST_LIMIT(flow_faults, calls_of_a_topic, 120)
{
  walk(topic, false);
}
TEST_LIMIT(flow_faults, calls_of_a_call, 120)
{
  walk(call, false);
}
TEST_LIMIT(flow_faults, calls_of_handles, 120)
{
  walk(handles, false);
}
