/* What the other threads do in crowd_storm.c: each call is one that may wait, and ends in its time. */
#include "crowd_storm.h"
#include "signal_words.h"

#include "core/atomics.h"

#include <uv.h>

static uint32_t pick(talker *w, uint32_t below)
{
  return crowd_pick(&w->dice, below);
}

static site *somewhere(talker *w)
{
  return &w->crowd->sites[pick(w, NODES)];
}

static const char *some_name(talker *w)
{
  return pick(w, 2) ? "odd" : "even";
}

static int64_t some_time(talker *w)
{
  return pick(w, 3) ? pick(w, 20) : pick(w, 400);
}

/* Words with the next number. */
static size_t fill(talker *w, char *data)
{
  uint32_t head[2] = {++w->words, (uint32_t)w->number};
  size_t size = pick(w, pick(w, 10) ? 300 : LARGEST);
  memcpy(data, head, sizeof head);
  test_make_pattern(data + sizeof head, size, head[0]);
  return sizeof head + size;
}

static void judge(talker *w, int64_t began, int64_t timeout, int r, const char *what)
{
  if (r < 0) site_expected(r, what);
  site_in_time(began, timeout, test_format("%s, way %d", what, w->crowd->way));
}

static void send_words(talker *w, char *data)
{
  crowd *c = w->crowd;
  covey_send_options to = {.name = somewhere(w)->name, .group = some_name(w), .timeout = 1 + some_time(w)};
  for (uint32_t i = pick(w, 40); i > 0; i--) {
    size_t size = fill(w, data);
    int64_t began = test_now();
    int r = covey_message_send(c->others, &to, &(covey_buffer){data, size}, 1, NULL);
    judge(w, began, to.timeout, r, "send");
    if (r < 0) break;
    cvy_add_u32(&c->sent, 1);
  }
}

/* Messages there, and what comes back. */
static void use_channel(talker *w, covey_channel *channel, char *data)
{
  covey_message m;
  int r = 0;
  for (uint32_t i = pick(w, 20); i > 0 && r == 0; i--) {
    int64_t began = test_now(), timeout = some_time(w);
    if (pick(w, 2)) {
      r = covey_channel_send(channel, data, pick(w, pick(w, 8) ? 300 : LARGEST), timeout);
    } else {
      r = covey_channel_receive(channel, timeout, &m);
      if (r == 0) covey_message_free(&m);
    }
    judge(w, began, timeout, r, "a message of a channel");
    if (r == COVEY_ETIMEDOUT || r == COVEY_EAGAIN) r = 0;
  }
  int64_t began = test_now(), timeout = some_time(w);
  r = covey_channel_close(channel, timeout);
  judge(w, began, timeout, r, "close of a channel");
}

static void open_channel(talker *w, char *data)
{
  crowd *c = w->crowd;
  covey_channel *channel;
  covey_channel_options o = {
      .name = somewhere(w)->name, .endpoint = some_name(w), .timeout = 1 + some_time(w)};
  int64_t began = test_now();
  int r = covey_channel_open(c->others, &o, &channel);
  judge(w, began, o.timeout, r, "open of a channel");
  if (r < 0) return;
  cvy_add_u32(&c->opened, 1);
  use_channel(w, channel, data);
}

static void accept_channel(talker *w, char *data)
{
  covey_channel *channel;
  int64_t began = test_now(), timeout = some_time(w);
  int r = covey_channel_accept(w->crowd->others, "even", timeout, &channel);
  judge(w, began, timeout, r, "accept");
  if (r == 0) use_channel(w, channel, data);
}

static void call_one(talker *w)
{
  crowd *c = w->crowd;
  covey_reply reply;
  covey_call_options o = {
      .name = somewhere(w)->name, .function = some_name(w), .timeout = 1 + some_time(w), .reply_max = 1000};
  int64_t began = test_now();
  int r = covey_call_run(c->others, &o, &(covey_buffer){"ask", 3}, 1, &reply);
  judge(w, began, o.timeout, r, "call");
  if (r < 0) return;
  if (reply.size != 3 || memcmp(reply.data, "ask", 3) != 0) TEST_FAIL("an answer that nobody gave");
  covey_reply_free(&reply);
  cvy_add_u32(&c->called, 1);
}

static void serve(talker *w)
{
  covey_request q;
  int64_t began = test_now(), timeout = some_time(w);
  int r = covey_call_receive(w->crowd->others, some_name(w), timeout, &q);
  judge(w, began, timeout, r, "receive of a call");
  if (r < 0) return;
  if (pick(w, 8)) site_expected(covey_call_reply(&q, 0, q.data, q.size), "reply");
  covey_request_free(&q);
}

static void follow_topic(talker *w)
{
  crowd *c = w->crowd;
  covey_subscription *s;
  covey_message m;
  covey_subscribe_options o = {.name = somewhere(w)->name, .topic = c->topic, .timeout = 1 + some_time(w)};
  int64_t began = test_now();
  int r = covey_topic_subscribe(c->others, &o, &s);
  judge(w, began, o.timeout, r, "subscribe");
  if (r < 0) return;
  for (uint32_t i = pick(w, 10); i > 0 && r == 0; i--) {
    int64_t timeout = some_time(w);
    began = test_now();
    r = covey_topic_next(s, timeout, &m);
    judge(w, began, timeout, r, "next");
    if (r == 0) covey_message_free(&m);
  }
  covey_unsubscribe(s);
}

/* Calls on the nodes of the loop itself, which its owner may close meanwhile. */
static void call_inside(talker *w, char *data)
{
  crowd *c = w->crowd;
  site *at = somewhere(w);
  covey_message m;
  covey_channel *channel;
  covey_process *p;
  covey_request q;
  int64_t timeout = some_time(w);
  if (!site_enter(at)) return;
  int64_t began = test_now();
  int r;
  switch (pick(w, 6)) {
  case 0:
    r = covey_receive(at->node, "nobody-sends", timeout, &m);
    if (r == 0) covey_message_free(&m);
    break;
  case 1: {
    covey_send_options to = {.name = c->them, .timeout = 1 + timeout};
    r = covey_message_send(at->node, &to, &(covey_buffer){data, 10}, 1, NULL);
    break;
  }
  case 2: {
    covey_send_options to = {.name = "nobody-there", .timeout = 1 + timeout};
    r = covey_message_send(at->node, &to, NULL, 0, NULL);
    break;
  }
  case 3:
    r = covey_channel_accept(at->node, "nobody-opens", timeout, &channel);
    if (r == 0) (void)covey_channel_close(channel, 0);
    break;
  case 4:
    r = 0;
    if (pick(w, test_is_windows() ? 40 : 8) || test_has_thread_checker()) break;
    r = covey_node_spawn(
        at->node, &(covey_process_options){.argv = TEST_HELPER("hang"), .out.kind = COVEY_STDIO_NULL}, &p);
    timeout = TEST_SOON;
    if (r == 0) covey_process_close(p);
    break;
  default:
    r = covey_call_receive(at->node, "nobody-calls", timeout, &q);
    if (r == 0) covey_request_free(&q);
  }
  judge(w, began, timeout, r, "a call inside");
  site_leave(at);
}

void crowd_talk(void *arg)
{
  talker *w = arg;
  crowd *c = w->crowd;
  covey_topic *topic = NULL;
  char *data = calloc(1, LARGEST + 64);
  while (!cvy_load_seq_u32(&c->stop) && !test_failures()) {
    if (w->number == 0 && !topic) REQUIRE_OK(covey_topic_open(c->others, c->topic, NULL, &topic));
    switch (pick(w, 10)) {
    case 0:
    case 1: send_words(w, data); break;
    case 2: open_channel(w, data); break;
    case 3: accept_channel(w, data); break;
    case 4: call_one(w); break;
    case 5: serve(w); break;
    case 6: follow_topic(w); break;
    case 7: call_inside(w, data); break;
    case 8:
      if (!test_is_windows()) (void)raise(SIGUSR1);
      break;
    default:
      for (uint32_t i = pick(w, 20); i > 0 && topic; i--)
        site_expected(covey_publish(topic, data, fill(w, data), some_time(w)), "publish");
      if (topic && pick(w, 10) == 0) {
        covey_topic_close(topic);
        topic = NULL;
      }
    }
  }
  covey_topic_close(topic);
  free(data);
}
