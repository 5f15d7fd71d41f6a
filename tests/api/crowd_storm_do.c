/* What the owner of the loop does in crowd_storm.c. */
#include "crowd_storm.h"

#include "msg/node.h"

typedef struct words {
  uint32_t number, talker;
} words;

static const char *group_name(uint32_t i)
{
  return i % 2 ? "odd" : "even";
}

/* ---- nodes ---- */

void crowd_open_node(crowd *c, int i)
{
  covey_node_options o = {.name = c->sites[i].name, .loop = c->loop, .window = 65536, .max_memory = 4 << 20};
  int r = covey_node_open(&o, &c->sites[i].node);
  if ((r == COVEY_EEXIST || r == COVEY_EAGAIN) && c->way == WAY_LENT)
    return; /* the next turns free the name */
  REQUIRE_OK(r);
  c->lives++;
  c->sites[i].life++;
  site_let_in(&c->sites[i]);
}

void crowd_close_node(crowd *c, int i)
{
  site *at = &c->sites[i];
  if (!at->node) return;
  uv_mutex_lock(&at->lock);
  at->closed = true;
  uv_mutex_unlock(&at->lock);
  site_await_inside(at);
  for (int n = 0; n < THINGS; n++) { /* those that are no objects of their own go with it */
    thing *t = c->things[n];
    if (t && t->node == i && t->life == at->life &&
        (t->kind == NEWS || t->kind == FUNCTION || t->kind == ENDPOINT))
      crowd_drop(t);
  }
  at->life++;
  int64_t began = test_now(), timeout = crowd_pick(&c->dice, 3) ? 0 : crowd_pick(&c->dice, 50);
  int r = covey_node_close(at->node, timeout);
  site_in_time(began, timeout, "close");
  if (r != COVEY_EDEADLK || c->way != WAY_LENT) site_expected(r, "close");
  site_forget(at);
}

/* ---- callbacks ---- */

static void check_words(thing *t, const void *data, size_t size)
{
  words w;
  bool whole = size >= sizeof w;
  if (whole) memcpy(&w, data, sizeof w);
  if (!whole || w.talker >= TALKERS ||
      !test_is_pattern((const char *)data + sizeof w, size - sizeof w, w.number)) {
    TEST_FAIL("seed %" PRIu64 ": words that nobody has sent", t->crowd->seed);
    return;
  }
  if (w.number <= t->last[w.talker]) TEST_FAIL("seed %" PRIu64 ": out of order", t->crowd->seed);
  t->last[w.talker] = w.number;
}

/* Inside of callbacks a few acts, not too deep. */
static void act_inside(crowd *c)
{
  if (c->depth > 2 || crowd_pick(&c->dice, 3)) return;
  c->depth++;
  crowd_act(c);
  c->depth--;
}

static void on_message(covey_message *m, void *arg)
{
  thing *t = arg;
  if (!crowd_called(t)) return;
  check_words(t, m->data, m->size);
  act_inside(t->crowd);
}

static void on_next(covey_message *m, int code, void *arg)
{
  thing *t = arg;
  if (!crowd_called(t)) return;
  if (t->ended) TEST_FAIL("seed %" PRIu64 ": called behind its end", t->crowd->seed);
  if (!m) {
    site_expected(code, "the end of a stream");
    t->ended = true;
  } else if (t->kind == SUBSCRIPTION) {
    check_words(t, m->data, m->size);
  } else if (crowd_pick(&t->crowd->dice, 2)) {
    int r = covey_channel_send(t->object, m->data, m->size, 0);
    site_expected(r, "an echo");
  }
  act_inside(t->crowd);
}

static void on_request(covey_request *q, void *arg)
{
  thing *t = arg;
  if (!crowd_called(t)) return;
  if (crowd_pick(&t->crowd->dice, 8)) site_expected(covey_call_reply(q, 0, q->data, q->size), "reply");
  act_inside(t->crowd);
}

static void on_done(covey_pending *p, void *arg)
{
  thing *t = arg;
  covey_reply reply;
  if (!crowd_called(t)) return;
  if (t->ended) TEST_FAIL("seed %" PRIu64 ": a call was over twice", t->crowd->seed);
  t->ended = true;
  int r = covey_call_wait(p, 0, &reply);
  site_expected(r, "outcome");
  if (r == 0) covey_reply_free(&reply);
  act_inside(t->crowd);
}

static void on_channel(covey_channel *channel, int code, void *arg)
{
  thing *t = arg, *made = NULL;
  site_expected(code, "channel");
  if (crowd_called(t) && channel) made = crowd_new(t->crowd, CHANNEL);
  if (made) {
    made->node = -1;
    made->object = channel;
    made->open = true;
    REQUIRE_OK(covey_channel_on_message(channel, on_next, made));
  } else if (channel) {
    int r = covey_channel_close(channel, 0);
    if (r != COVEY_EDEADLK || t->crowd->way != WAY_LENT) site_expected(r, "close of a channel");
  }
  act_inside(t->crowd);
}

static int on_line(const covey_line *line, void *user)
{
  thing *t = user;
  (void)line;
  if (crowd_called(t)) act_inside(t->crowd);
  return 0;
}

static void on_end(covey_process *p, const covey_exit *end, void *user)
{
  thing *t = user;
  (void)p;
  (void)end;
  if (!crowd_called(t)) return;
  if (t->ended) TEST_FAIL("seed %" PRIu64 ": an end was told twice", t->crowd->seed);
  t->ended = true;
  act_inside(t->crowd);
}

static void on_member(const covey_member *member, void *user)
{
  thing *t = user;
  CHECK_INT(member->ended, 1);
  if (!crowd_called(t)) return;
  CHECK_ERR(covey_manager_remove(t->object, member->pid), COVEY_ENOTFOUND);
  if (crowd_pick(&t->crowd->dice, 4) == 0) (void)covey_manager_kill_all(t->object, NULL, 0);
}

static void on_signal(const covey_signal_event *event, void *user)
{
  thing *t = user;
  CHECK(event->count > 0);
  if (crowd_called(t)) act_inside(t->crowd);
}

/* ---- opening ---- */

static int make_named(crowd *c, thing *t, covey_node *node)
{
  (void)snprintf(t->text, sizeof t->text, "%s", group_name(crowd_pick(&c->dice, GROUPS)));
  for (int i = 0; i < THINGS; i++) { /* another callback takes its place */
    thing *o = c->things[i];
    if (o && o != t && o->kind == t->kind && o->node == t->node && o->life == t->life &&
        strcmp(o->text, t->text) == 0) {
      if (t->kind == FUNCTION) return COVEY_EEXIST;
      crowd_drop(o);
    }
  }
  t->object = node;
  t->open = true;
  switch (t->kind) {
  case NEWS: return covey_group_on_message(node, t->text, on_message, t);
  case FUNCTION: return covey_serve(node, t->text, on_request, t);
  default: return covey_endpoint_on_channel(node, t->text, on_channel, t);
  }
}

static int make_talk(crowd *c, thing *t, covey_node *node)
{
  covey_channel *channel;
  covey_subscription *s;
  covey_pending *p;
  int r;
  if (t->kind == CHANNEL) {
    covey_channel_options o = {.name = c->them, .endpoint = "even", .flags = COVEY_CHANNEL_TRY};
    if ((r = covey_channel_open(node, &o, &channel)) < 0) return r;
    t->object = channel;
    t->open = true;
    (void)covey_channel_send(channel, "hello", 5, 0);
    return covey_channel_on_message(channel, on_next, t);
  }
  if (t->kind == SUBSCRIPTION) {
    covey_subscribe_options o = {.name = c->them, .topic = c->topic, .flags = COVEY_SUBSCRIBE_TRY};
    if ((r = covey_topic_subscribe(node, &o, &s)) < 0) return r;
    t->object = s;
    t->open = true;
    return covey_topic_on_message(s, on_next, t);
  }
  covey_call_options o = {.name =
                              crowd_pick(&c->dice, 2) ? c->them : c->sites[crowd_pick(&c->dice, NODES)].name,
                          .function = group_name(crowd_pick(&c->dice, GROUPS)),
                          .timeout = 1 + crowd_pick(&c->dice, 300),
                          .flags = COVEY_CALL_TRY,
                          .reply_max = 1000,
                          .on_done = on_done,
                          .arg = t};
  t->open = true; /* on_done runs on this thread, later */
  r = covey_call_start(node, &o, &(covey_buffer){"ask", 3}, 1, &p);
  if (r == 0) t->object = p;
  return r;
}

static int make_alone(crowd *c, thing *t)
{
  static const int set[] = {COVEY_SIGNAL_USR1};
  covey_process *p;
  covey_manager *m;
  covey_signals *s;
  int r;
  if (t->kind == PROCESS) {
    covey_process_options o = {.argv =
                                   crowd_pick(&c->dice, 2) ? TEST_HELPER("lines", "50") : TEST_HELPER("hang"),
                               .out.kind = COVEY_STDIO_LINES,
                               .loop = c->loop,
                               .on_line = on_line,
                               .user = t};
    if ((r = covey_spawn(&o, &p)) < 0) return r;
    t->object = p;
    t->open = true;
    return covey_process_on_end(p, on_end, t);
  }
  if (t->kind == MANAGER) {
    covey_manager_options o = {.loop = c->loop, .flags = COVEY_MANAGER_PLAIN, .on_end = on_member, .user = t};
    if ((r = covey_manager_new(&o, &m)) < 0) return r;
    t->object = m;
    t->open = true;
    for (int i = 0; i < 2 && r == 0; i++)
      r = covey_manager_spawn(
          m,
          &(covey_process_options){.argv = i ? TEST_HELPER("exit", "3") : TEST_HELPER("hang"),
                                   .out.kind = COVEY_STDIO_NULL},
          NULL);
    return r;
  }
  if (test_is_windows()) return COVEY_ENOTSUP;
  covey_signals_options o = {.signals = set, .count = 1, .on_event = on_signal, .user = t, .loop = c->loop};
  if ((r = covey_signals_open(&o, &s)) < 0) return r;
  t->object = s;
  t->open = true;
  return 0;
}

static void make(crowd *c)
{
  int kind = (int)crowd_pick(&c->dice, KINDS + 4), r;
  if (kind >= KINDS) kind -= KINDS; /* more of those to which others talk */
  if ((kind == PROCESS || kind == MANAGER) && crowd_pick(&c->dice, test_is_windows() ? 20 : 4)) return;
  if ((kind == PROCESS || kind == MANAGER) && test_has_thread_checker())
    return; /* it takes the numbers of closed loops for those loops */
  thing *t = crowd_new(c, kind);
  if (!t) return;
  t->node = (int)crowd_pick(&c->dice, NODES);
  t->life = c->sites[t->node].life;
  covey_node *node = c->sites[t->node].node;
  covey_topic *topic;
  if (kind <= ENDPOINT) {
    r = make_named(c, t, node);
  } else if (kind == TOPIC) {
    r = covey_topic_open(node, c->topic, &(covey_topic_options){.keep_last = 1}, &topic);
    if (r == 0) t->object = topic;
    t->open = r == 0;
  } else if (kind <= PENDING) {
    r = make_talk(c, t, node);
  } else {
    t->node = -1;
    r = make_alone(c, t);
  }
  if (r != COVEY_EEXIST && r != COVEY_ENOTSUP) site_expected(r, "opening");
  if (r < 0) crowd_drop(t);
}

/* ---- closing ---- */

void crowd_close(thing *t)
{
  crowd *c = t->crowd;
  covey_node *node = t->node >= 0 ? c->sites[t->node].node : NULL;
  void *object = t->object;
  int r = 0;
  crowd_drop(t); /* from here on it must not be called */
  switch (t->kind) {
  case NEWS:
    r = crowd_pick(&c->dice, 2) ? covey_group_close(node, t->text)
                                : covey_group_on_message(node, t->text, NULL, NULL);
    break;
  case FUNCTION: r = covey_serve_close(node, t->text); break;
  case ENDPOINT:
    r = crowd_pick(&c->dice, 2) ? covey_endpoint_close(node, t->text)
                                : covey_endpoint_on_channel(node, t->text, NULL, NULL);
    break;
  case CHANNEL:
    r = covey_channel_close(object, crowd_pick(&c->dice, 3) ? 0 : crowd_pick(&c->dice, 20));
    break;
  case SUBSCRIPTION: covey_unsubscribe(object); break;
  case TOPIC: covey_topic_close(object); break;
  case PENDING: covey_call_close(object); break;
  case PROCESS: covey_process_close(object); break;
  case MANAGER: covey_manager_free(object); break;
  default: covey_signals_close(object);
  }
  if (r != COVEY_EDEADLK || c->way != WAY_LENT) site_expected(r, "closing");
}

/* ---- acts ---- */

/* A call that would have to wait: the owner of a lent loop is refused at once, others wait their time. */
static void wait_a_little(crowd *c, covey_node *node)
{
  covey_message m;
  int64_t began = test_now();
  int r = covey_receive(node, "nobody-sends", c->way == WAY_LENT ? 60000 : 2, &m);
  CHECK_ERR(r, c->way == WAY_LENT ? COVEY_EDEADLK : COVEY_ETIMEDOUT);
  site_in_time(began, 2, "a wait of the owner");
}

static void say(crowd *c, thing *t)
{
  char data[200];
  int r = 0;
  test_make_pattern(data, sizeof data, 0);
  if (t->kind == TOPIC) r = covey_publish(t->object, data, sizeof data, 0);
  if (t->kind == CHANNEL) r = covey_channel_send(t->object, data, 1 + crowd_pick(&c->dice, sizeof data), 0);
  if (r != COVEY_EDEADLK || c->way != WAY_LENT) site_expected(r, "saying something");
}

void crowd_act(crowd *c)
{
  thing *t = c->things[crowd_pick(&c->dice, THINGS)];
  int i = (int)crowd_pick(&c->dice, NODES);
  c->acts++;
  for (int n = 0; n < NODES; n++) {
    if (!c->sites[n].node) crowd_open_node(c, n);
    if (!c->sites[n].node) return;
  }
  switch (crowd_pick(&c->dice, 12)) {
  case 0:
  case 1:
  case 2:
  case 3:
  case 4: make(c); break;
  case 5:
  case 6:
  case 7:
    if (t && (t->kind > ENDPOINT || crowd_pick(&c->dice, 4) == 0)) crowd_close(t);
    break;
  case 8:
    if (t) say(c, t);
    break;
  case 9: wait_a_little(c, c->sites[i].node); break;
  case 10:
    if (t && t->kind == MANAGER) (void)covey_manager_wait_any(t->object, 0, NULL);
    if (t && t->kind == PROCESS) (void)covey_process_stop_start(t->object, 10);
    break;
  default:
    if (crowd_pick(&c->dice, 12)) break;
    crowd_close_node(c, i);
    crowd_open_node(c, i);
  }
}
