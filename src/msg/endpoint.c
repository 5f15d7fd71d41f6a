#include "core/error.h"
#include "core/mem.h"
#include "msg/channel.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/send.h"

enum { WAITING = 64 /* openings of one process at an endpoint */ };

/* ---- what the connection tells ---- */

static uint32_t waiting_of(const cvy_group *endpoint, const covey_peer *peer)
{
  uint32_t n = 0;
  for (const covey_channel *c = endpoint->first_waiting; c; c = c->next_waiting) n += c->peer == peer;
  return n;
}

int cvy_channel_asked(cvy_outlet *o, uint16_t endpoint)
{
  const cvy_inlet *in = cvy_inlet_find(o->peer, endpoint);
  if (!in || in->group->kind != CVY_FRAME_GROUP_OPEN) return COVEY_EPROTO;
  if (in->closed) {
    cvy_lane_end(o);
    return 0;
  }
  if (waiting_of(in->group, o->peer) >= in->group->max_count) return COVEY_EPROTO;
  covey_channel *c = cvy_alloc_zero(1, sizeof *c);
  if (!c) return COVEY_ENOMEM;
  c->peer = o->peer;
  c->loop = o->peer->loop;
  c->endpoint = in->group;
  c->out = o;
  o->channel = c;
  covey_channel **last = &in->group->first_waiting;
  while (*last) last = &(*last)->next_waiting;
  *last = c;
  cvy_handler_due(in->group);
  return 0;
}

static void refuse_first(cvy_group *endpoint)
{
  covey_channel *c = endpoint->first_waiting;
  endpoint->first_waiting = c->next_waiting;
  c->out->channel = NULL;
  cvy_lane_end(c->out);
  cvy_free(c);
}

void cvy_endpoint_shut(cvy_group *endpoint)
{
  while (endpoint->first_waiting) refuse_first(endpoint);
}

/* ---- opening, closing, accepting ---- */

static int endpoint_make(covey_node *node, const char *name, const covey_group_options *o, cvy_group **ret)
{
  covey_group_options own = {.max_bytes = CVY_WINDOW_LEAST,
                             .max_count = o && o->max_count ? o->max_count : WAITING};
  if (o && o->max_bytes > node->max_memory / 2)
    return cvy_fail(COVEY_EQUOTA, COVEY_STAGE_GROUP, "%s: max_bytes is above half of max_memory", name);
  int r = cvy_group_make(node, name, CVY_FRAME_GROUP_OPEN, &own, ret);
  if (r == 0 && o) (*ret)->side_window = o->max_bytes;
  return r;
}

static int endpoint_name(const char *name, const char **ret)
{
  if (!name) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "endpoint is NULL");
  return cvy_group_name(name, false, ret);
}

/* The field that says what is not allowed; NULL: none. */
static const char *wrong_option(const covey_group_options *o)
{
  if (o->full) return "full is not for endpoints";
  if (o->priorities) return "priorities is not for endpoints";
  if (o->handles) return "handles is not for endpoints";
  if (o->max_bytes && o->max_bytes < CVY_WINDOW_LEAST) return "max_bytes is below 4 KiB";
  return cvy_is_zero(o->reserved, 4) ? NULL : "a reserved word is not zero";
}

int covey_endpoint_open(covey_node *node, const char *endpoint, const covey_group_options *options)
{
  const covey_group_options *o = options;
  cvy_group *group;
  const char *wrong = o ? wrong_option(o) : NULL;
  if (wrong) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", wrong);
  int r = endpoint_name(endpoint, &endpoint);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  if (cvy_group_find(node, endpoint, CVY_FRAME_GROUP_OPEN))
    r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "%s", endpoint);
  else
    r = endpoint_make(node, endpoint, o, &group);
  cvy_node_leave(node);
  return r;
}

int covey_endpoint_close(covey_node *node, const char *endpoint)
{
  int r = endpoint_name(endpoint, &endpoint);
  return r < 0 ? r : cvy_group_close_named(node, endpoint, CVY_FRAME_GROUP_OPEN);
}

static bool has_waiting(void *arg)
{
  const cvy_group *endpoint = arg;
  return endpoint->closed || endpoint->handled || endpoint->first_waiting ||
         endpoint->node->state != CVY_NODE_OPEN;
}

/* Makes our side of the first that waits. */
static int take(cvy_group *endpoint, covey_channel **ret)
{
  covey_channel *c = endpoint->first_waiting;
  cvy_group *side;
  int r = cvy_group_side(c->peer, endpoint->name, cvy_channel_window(endpoint->node, endpoint->side_window),
                         CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER, c->out->number, &side);
  if (r < 0) return r;
  endpoint->first_waiting = c->next_waiting;
  cvy_channel_adopt(c, side);
  c->answered = true;
  *ret = c;
  return 0;
}

int cvy_endpoint_take(cvy_group *endpoint, covey_channel **ret)
{
  int r = take(endpoint, ret);
  if (r < 0) refuse_first(endpoint);
  return r;
}

static int accept_one(covey_node *node, const char *name, cvy_deadline deadline, covey_cancel *cancel,
                      covey_channel **ret)
{
  int r =
      ret ? endpoint_name(name, &name) : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_channel is NULL");
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  cvy_group *endpoint = cvy_group_find(node, name, CVY_FRAME_GROUP_OPEN);
  if (!endpoint) r = endpoint_make(node, name, NULL, &endpoint);
  if (r == 0) {
    cvy_group_ref(endpoint);
    cvy_node_flush(node);
    r = cvy_loop_wait(node->loop, has_waiting, endpoint, deadline, cancel);
    if (r < 0)
      r = cvy_fail(r, COVEY_STAGE_NONE, "endpoint %s", name);
    else if (endpoint->closed || node->state != CVY_NODE_OPEN)
      r = cvy_fail(COVEY_ECLOSED, COVEY_STAGE_GROUP, "endpoint %s was closed", name);
    else if (endpoint->handled)
      r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "a callback has the channels of endpoint %s", name);
    else
      r = take(endpoint, ret);
    cvy_group_unref(endpoint);
  }
  cvy_node_leave(node);
  return r;
}

int covey_channel_accept(covey_node *node, const char *endpoint, int64_t timeout, covey_channel **ret_channel)
{
  int r = cvy_timeout_check(timeout);
  return r < 0 ? r : accept_one(node, endpoint, cvy_deadline_in(timeout), NULL, ret_channel);
}

int covey_endpoint_accept(covey_node *node, const covey_receive_options *options, covey_channel **ret_channel)
{
  cvy_deadline deadline;
  int r = options ? cvy_receive_check(options, &deadline)
                  : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: which endpoint?");
  return r < 0 ? r : accept_one(node, options->group, deadline, options->cancel, ret_channel);
}

int covey_endpoint_on_channel(covey_node *node, const char *endpoint,
                              void (*on_channel)(covey_channel *channel, int code, void *arg), void *arg)
{
  cvy_group *g = NULL;
  int r = endpoint_name(endpoint, &endpoint);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  g = cvy_group_find(node, endpoint, CVY_FRAME_GROUP_OPEN);
  if (!g && on_channel) r = endpoint_make(node, endpoint, NULL, &g);
  if (g) cvy_group_ref(g);
  if (r == 0 && g) r = cvy_handler_drop(g, on_channel != NULL);
  if (r == 0 && on_channel) {
    g->on_channel = on_channel;
    cvy_handler_set(g, arg);
  }
  cvy_group_unref(g);
  cvy_node_leave(node);
  return r;
}
