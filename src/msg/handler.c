#include "msg/handler.h"

#include "core/error.h"
#include "msg/call.h"
#include "msg/channel.h"
#include "msg/topic.h"

static CVOS_THREAD_LOCAL const cvy_inside *innermost;

void cvy_inside_enter(cvy_inside *here, const void *what)
{
  *here = (cvy_inside){what, innermost};
  innermost = here;
}

void cvy_inside_leave(const cvy_inside *here)
{
  innermost = here->outer;
}

void cvy_handler_bind(cvy_group *group, cvy_due *due)
{
  due->group = group;
  cvy_group_ref(group);
  cvy_loop_ref(group->loop);
  group->running++;
}

static bool is_stream(const cvy_group *g)
{
  return g->kind == CVY_FRAME_NEXT || g->kind == CVY_FRAME_PUB;
}

static void call(cvy_due *due)
{
  cvy_group *g = due->group;
  if (g->kind == CVY_FRAME_REQ) {
    g->on_request(&due->request, g->arg);
    covey_request_free(&due->request);
    return;
  }
  if (g->kind == CVY_FRAME_GROUP_OPEN) {
    g->on_channel(due->channel, due->code, g->arg);
    return;
  }
  if (is_stream(g))
    g->on_next(due->code ? NULL : &due->message, due->code, g->arg);
  else
    g->on_message(&due->message, g->arg);
  covey_message_free(&due->message);
}

void cvy_handler_run(cvy_due *due)
{
  cvy_group *g = due->group;
  covey_loop *loop = g->loop;
  cvy_inside here;
  cvy_inside_enter(&here, g);
  call(due);
  cvy_inside_leave(&here);
  cvy_loop_lock(loop);
  g->running--;
  cvy_loop_changed(loop);
  cvy_loop_unlock(loop);
  cvy_group_unref(g);
  cvy_loop_release(loop);
}

/* Whether the callback of g has something to do. */
static bool is_due(const cvy_group *g)
{
  if (!g->handled) return false;
  if (g->kind == CVY_FRAME_GROUP_OPEN) return g->first_waiting != NULL;
  if (!is_stream(g)) return !g->closed && g->queue.count;
  if (g->told || g->running) return false;
  return g->channel ? cvy_channel_has_next(g->channel) : cvy_subscription_has_next(g->subscription);
}

/* The next of g for its callback. Lock held. */
static bool take(cvy_group *g, cvy_due *ret)
{
  *ret = (cvy_due){.code = 0};
  if (!is_due(g)) return false;
  if (is_stream(g)) {
    cvy_handler_bind(g, ret); /* from here on nothing else of it is due */
    ret->code = g->channel ? cvy_channel_take(g->channel, &ret->message)
                           : cvy_subscription_take(g->subscription, &ret->message);
    g->told = ret->code < 0;
    return true;
  }
  if (g->kind == CVY_FRAME_GROUP_OPEN) {
    ret->code = cvy_endpoint_take(g, &ret->channel);
  } else if (g->kind == CVY_FRAME_REQ) {
    cvy_request *q = cvy_request_take(g);
    if (!q) return false;
    cvy_request_fill(q, &ret->request);
  } else {
    cvy_message_take(g, &ret->message);
  }
  cvy_handler_bind(g, ret);
  return true;
}

enum { ROUND = 16 /* that one note runs: others want their turn */ };

static void call_back(void *arg)
{
  cvy_group *g = arg;
  covey_loop *loop = g->loop;
  cvy_due due;
  for (int i = 0; i < ROUND; i++) {
    cvy_loop_lock(loop);
    covey_node *node = g->closed ? NULL : g->node;
    if (node) node->users++;
    bool taken = take(g, &due);
    if (taken && i + 1 == ROUND) cvy_handler_due(g);
    if (node)
      cvy_node_leave(node);
    else
      cvy_loop_unlock(loop);
    if (!taken) break;
    cvy_handler_run(&due);
  }
  if (is_stream(g)) { /* what came meanwhile had to wait */
    cvy_loop_lock(loop);
    cvy_handler_due(g);
    cvy_loop_unlock(loop);
  }
  cvy_group_unref(g);
}

void cvy_handler_due(cvy_group *group)
{
  if (group->note.queued || !is_due(group)) return;
  cvy_group_ref(group);
  cvy_loop_note(group->loop, &group->note);
}

void cvy_handlers_over(covey_peer *peer)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->inlets, n)) != NULL;) {
    cvy_inlet *in = CVY_MAP_OF(n, cvy_inlet, by_number);
    if (!in->closed && is_stream(in->group)) cvy_handler_due(in->group);
  }
}

void cvy_handler_set(cvy_group *group, void *arg)
{
  group->handled = true;
  group->told = false;
  group->arg = arg;
  group->note.run = call_back;
  group->note.arg = group;
  cvy_handler_due(group);
  cvy_loop_changed(group->loop); /* receives that wait have lost it */
}

struct others {
  const uint32_t *running;
  uint32_t own; /* that the waiting thread is inside of itself */
};

static bool are_gone(void *arg)
{
  const struct others *w = arg;
  return *w->running <= w->own;
}

int cvy_inside_quiet(covey_loop *loop, const void *what, const uint32_t *running)
{
  struct others w = {running, 0};
  for (const cvy_inside *i = innermost; i; i = i->outer) w.own += i->what == what;
  return are_gone(&w) ? 0 : cvy_loop_wait(loop, are_gone, &w, CVY_NEVER, NULL);
}

int cvy_handler_quiet(cvy_group *group)
{
  int r = cvy_inside_quiet(group->loop, group, &group->running);
  return r < 0 ? cvy_fail(r, COVEY_STAGE_NONE, "the callback of %s runs in another thread", group->name) : 0;
}

int cvy_handler_drop(cvy_group *group, bool another)
{
  if (group->handled) {
    group->handled = false;
    if (cvy_loop_unnote(group->loop, &group->note)) cvy_group_unref(group);
    int r = cvy_handler_quiet(group);
    if (r < 0) return r;
  }
  if (!another || !group->closed) return 0;
  return cvy_fail(COVEY_ECLOSED, COVEY_STAGE_GROUP, "%s was closed", group->name);
}

int cvy_handler_stream(covey_loop *loop, cvy_group *group,
                       void (*on_next)(covey_message *message, int code, void *arg), void *arg)
{
  int r = cvy_loop_check(loop);
  if (r < 0) return r;
  cvy_loop_lock(loop);
  r = cvy_handler_drop(group, false); /* the end is told to another one, too */
  if (r == 0 && on_next) {
    group->on_next = on_next;
    cvy_handler_set(group, arg);
  }
  cvy_loop_unlock(loop);
  return r;
}

int covey_group_on_message(covey_node *node, const char *name,
                           void (*on_message)(covey_message *message, void *arg), void *arg)
{
  cvy_group *g = NULL;
  int r = cvy_group_name(name, false, &name);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  g = cvy_group_find(node, name, CVY_FRAME_DATA);
  if (!g && on_message) r = cvy_group_make(node, name, CVY_FRAME_DATA, NULL, &g);
  if (g) cvy_group_ref(g);
  if (r == 0 && g) r = cvy_handler_drop(g, on_message != NULL); /* the old one goes first, wholly */
  if (r == 0 && on_message) {
    g->on_message = on_message;
    cvy_handler_set(g, arg);
  }
  cvy_group_unref(g);
  cvy_node_leave(node);
  return r;
}
