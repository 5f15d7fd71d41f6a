/* Calls and messages with handles of flow_storm.c. */
#include "flow_storm.h"

#include "os/handle.h"

#include <covey/message.h>

/* ---- calls ---- */

void flow_call(worker *w)
{
  flow *s = w->s;
  site *a = flow_site(w), *b = flow_site(w);
  covey_reply reply = {0};
  uv_mutex_lock(&s->lock);
  uint32_t number = s->call_count < CALLS ? s->call_count++ : CALLS;
  uv_mutex_unlock(&s->lock);
  if (number == CALLS) return;
  covey_buffer buffer = {w->data, flow_fill(w, 0, 0, number)};
  int64_t timeout = 1 + flow_pick(w, 60), began = test_now();
  covey_call_options o = {.name = b->name, .function = "work", .timeout = timeout};
  o.priority = (int)flow_pick(w, 8);
  if (flow_pick(w, 4) == 0) o.cancel = w->cancel;
  if (!site_enter(a)) return;
  int r = covey_call_run(a->node, &o, &buffer, 1, &reply);
  int reached = covey_last_failure()->reached;
  site_leave(a);
  site_in_time(began, timeout, "call");
  site_expected(r, "call");
  uv_mutex_lock(&s->lock);
  int served = s->served[number];
  if (r < 0 && reached == COVEY_FAR_NOTHING) s->served[number] = 100; /* nobody may serve it */
  uv_mutex_unlock(&s->lock);
  if (r < 0 && reached == COVEY_FAR_NOTHING && served)
    TEST_FAIL("call %u was served, and told not to have gone: %s", (unsigned)number, covey_errname(r));
  if (r < 0) return;
  words head;
  if (!flow_is_whole(reply.data, reply.size, &head)) return;
  if (head.number != number || served != 1)
    TEST_FAIL("call %u: the answer to %u; served %d times", (unsigned)number, (unsigned)head.number, served);
  test_add(&s->calls, 1);
  covey_reply_free(&reply);
}

void flow_serve(worker *w)
{
  flow *s = w->s;
  site *at = flow_site(w);
  covey_request q;
  words head;
  int64_t timeout = flow_wait(w, 10), began = test_now();
  if (!site_enter(at)) return;
  int r = covey_call_receive(at->node, "work", timeout, &q);
  site_leave(at);
  site_in_time(began, timeout, "serve");
  site_expected(r, "serve");
  if (r < 0) return;
  if (flow_is_whole(q.data, q.size, &head) && head.number < CALLS) {
    uv_mutex_lock(&s->lock);
    int served = ++s->served[head.number];
    uv_mutex_unlock(&s->lock);
    if (served != 1) TEST_FAIL("call %u is served, %d", (unsigned)head.number, served);
  }
  if (flow_pick(w, 4) == 0) test_pause(flow_pick(w, 10));
  if (flow_pick(w, 8)) site_expected(covey_call_reply(&q, 0, q.data, q.size), "reply");
  covey_request_free(&q);
}

/* ---- handles ---- */

enum { MOST = 5 };

void flow_give(worker *w)
{
  site *a = flow_site(w), *b = flow_site(w);
  covey_native handles[MOST];
  uint32_t count = flow_pick(w, MOST + 1);
  covey_buffer buffer = {w->data, flow_fill(w, 0, count, 0)};
  int64_t timeout = 1 + flow_pick(w, 30), began = test_now();
  covey_send_options o = {.name = b->name, .group = "handles", .timeout = timeout, .handle_count = count};
  for (uint32_t i = 0; i < count; i++) REQUIRE_OK(cvos_null_open(&handles[i]));
  if (count) o.handles = handles;
  if (flow_pick(w, 3) == 0) o.level = COVEY_LEVEL_CONSUMED;
  if (flow_pick(w, 4) == 0) o.cancel = w->cancel;
  if (flow_pick(w, 4) == 0) o.flags = COVEY_SEND_TRY;
  if (site_enter(a)) {
    int r = covey_message_send(a->node, &o, &buffer, 1, NULL);
    site_leave(a);
    site_in_time(began, timeout, "send with handles");
    site_expected(r, "send with handles");
  }
  for (uint32_t i = 0; i < count; i++) cvos_handle_close(handles[i]);
}

void flow_take(worker *w)
{
  site *at = flow_site(w);
  covey_message m;
  covey_native handle;
  words head;
  int64_t timeout = flow_wait(w, 10), began = test_now();
  if (!site_enter(at)) return;
  int r = covey_receive(at->node, "handles", timeout, &m);
  site_leave(at);
  site_in_time(began, timeout, "take");
  site_expected(r, "take");
  if (r < 0) return;
  if (flow_is_whole(m.data, m.size, &head) && head.side != m.handle_count)
    TEST_FAIL("%u handles of %u", (unsigned)m.handle_count, (unsigned)head.side);
  for (uint32_t i = 0; i < m.handle_count; i++) {
    if (flow_pick(w, 4) == 0) continue; /* the message frees it */
    CHECK_OK(covey_message_take(&m, i, &handle));
    cvos_handle_close(handle);
    test_add(&w->s->handles, 1);
  }
  covey_message_free(&m);
}
