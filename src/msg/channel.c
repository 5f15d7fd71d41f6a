#include "msg/channel.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/send.h"

#include <string.h>

enum { WINDOW = 65536 /* of a side */ };

/* ---- what the connection tells ---- */

int cvy_channel_answered(cvy_outlet *o, uint16_t number)
{
  const cvy_inlet *in = cvy_inlet_find(o->peer, number);
  covey_channel *c = in ? in->group->channel : NULL;
  if (!in || in->group->kind != CVY_FRAME_NEXT) return COVEY_EPROTO;
  if (in->closed) {
    cvy_lane_end(o); /* we have given it up meanwhile */
    return 0;
  }
  if (c->answered || (in->group->flags & CVY_GROUP_ANSWER)) return COVEY_EPROTO;
  c->answered = true;
  c->out = o;
  o->channel = c;
  cvy_room_changed(c->peer);
  return 0;
}

void cvy_channel_deaf(cvy_outlet *o)
{
  covey_channel *c = o->channel;
  o->channel = NULL;
  c->out = NULL;
  if (c->in) return;
  covey_channel **p = &c->endpoint->first_waiting; /* it was given up before anybody has accepted it */
  while (*p != c) p = &(*p)->next_waiting;
  *p = c->next_waiting;
  cvy_free(c);
}

/* All was read, up to END: the other side is told. */
static void close_read(covey_channel *c)
{
  if (c->heard && !c->in->queue.count && !c->in->closed) cvy_group_close(c->in->node, c->in);
}

void cvy_channel_heard(covey_channel *channel)
{
  channel->heard = true;
  channel->refused = !channel->answered;
  if (!channel->in->closed) cvy_credit_now(channel->peer, channel->in->number); /* a close counts on it */
  close_read(channel);
  cvy_handler_due(channel->in);
  cvy_room_changed(channel->peer);
  cvy_loop_changed(channel->loop);
}

/* ---- entering ---- */

/* The node, as long as there is something to wait for. */
static covey_node *node_of(const covey_channel *c)
{
  covey_node *node = !c->in->closed ? c->in->node : c->out ? c->peer->node : NULL;
  return node && node->state == CVY_NODE_OPEN ? node : NULL;
}

/* Locks. *ret: the node, which is entered; NULL: the channel is over, or its node. */
static int enter(covey_channel *c, covey_node **ret)
{
  if (!c) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "channel is NULL");
  int r = cvy_loop_check(c->loop);
  if (r < 0) return r;
  cvy_loop_lock(c->loop);
  *ret = node_of(c);
  if (*ret) (*ret)->users++;
  return 0;
}

static void leave(covey_channel *c, covey_node *node)
{
  if (node)
    cvy_node_leave(node);
  else
    cvy_loop_unlock(c->loop);
}

static bool is_gone(const covey_channel *c)
{
  return c->peer->state > CVY_PEER_BYE_SENT;
}

/* The connection has ended, by us or by the other side. */
static int lost_code(const covey_channel *c)
{
  return c->peer->failure == COVEY_ECLOSED ? COVEY_ECLOSED : COVEY_EPEERDIED;
}

static int fail(const covey_channel *c, int code, const char *why)
{
  const cvy_send s = {.goal = {.peer = c->peer}, .group = c->in->name, .parcel = {.kind = CVY_FRAME_NEXT}};
  return cvy_send_fail(&s, code, COVEY_STAGE_NONE, COVEY_FAR_NOTHING, why);
}

static int because(const char **ret_why, int code, const char *why)
{
  *ret_why = why;
  return code;
}

/* Why nothing can be sent; 0: it can, or (no out) the accept is due. */
static int verdict(const covey_channel *c, const covey_node *node, const char **ret_why)
{
  if (c->refused) return because(ret_why, COVEY_ENOTFOUND, "it was not accepted");
  if (c->said) return because(ret_why, COVEY_ECLOSED, "we have said that we send no more");
  if (is_gone(c) || c->peer->tx.broken) return because(ret_why, lost_code(c), "its connection has ended");
  if (!node || node->state != CVY_NODE_OPEN) return because(ret_why, COVEY_ECLOSED, "it was closed");
  if (!c->out && c->answered) return because(ret_why, COVEY_ECLOSED, "the other side has closed it");
  return 0;
}

static int send_verdict(const covey_channel *c, const covey_node *node)
{
  const char *why;
  int r = verdict(c, node, &why);
  return r < 0 ? fail(c, r, why) : 0;
}

bool cvy_channel_has_room(const covey_channel *c)
{
  const char *why;
  return verdict(c, node_of(c), &why) < 0 || (c->out && cvy_room_fits(c->out, &c->wish));
}

/* ---- opening ---- */

static bool is_answered(void *arg)
{
  const covey_channel *c = arg;
  return c->answered || c->refused || is_gone(c) || c->peer->tx.broken ||
         c->peer->node->state != CVY_NODE_OPEN;
}

struct room {
  const cvy_send *s;
  uint16_t number;
};

/* The endpoint takes one more opening, or is not what it was. */
static bool has_room(void *arg)
{
  const struct room *w = arg;
  const covey_peer *peer = w->s->peer;
  const covey_node *node = peer->node;
  uint32_t n = 0;
  if (peer->state != CVY_PEER_OPEN || peer->tx.broken || node->state != CVY_NODE_OPEN) return true;
  const cvy_outlet *o = cvy_outlet_find(peer, w->s->group, strlen(w->s->group), CVY_FRAME_GROUP_OPEN);
  if (!o || o->number != w->number) return true;
  for (uint32_t i = 1; i < node->number_count; i++) {
    const cvy_group *g = node->numbers[i];
    if (!g || g->closed || g->kind != CVY_FRAME_NEXT || (g->flags & CVY_GROUP_ANSWER)) continue;
    n += g->channel->peer == peer && !g->channel->answered && g->partner == o->number;
  }
  return n < o->max_count;
}

/* Finds the endpoint, with room for an opening; s->peer is counted. */
static int find_endpoint(cvy_send *s, covey_node *node, uint16_t *ret_number)
{
  for (;;) {
    cvy_outlet *o = NULL;
    int r = cvy_send_find(s, node, &o);
    struct room w = {s, o ? o->number : 0};
    if (r == 0 && has_room(&w)) {
      *ret_number = o->number;
      return 0;
    }
    if (r == 0) r = cvy_loop_wait(node->loop, has_room, &w, s->deadline, s->cancel);
    if (r < 0 && w.number) {
      if (r == COVEY_ETIMEDOUT && s->goal.once) r = COVEY_EAGAIN;
      return cvy_send_fail(s, r, COVEY_STAGE_ROOM, COVEY_FAR_NOTHING, "too many openings wait there");
    }
    if (r < 0) return r;
    cvy_peer_unref(s->peer);
    s->peer = NULL;
  }
}

uint64_t cvy_channel_window(const covey_node *node, uint64_t window)
{
  if (window) return window;
  return node->window < WINDOW ? node->window : WINDOW;
}

void cvy_channel_adopt(covey_channel *c, cvy_group *group)
{
  c->in = group;
  c->wish.channel = c;
  group->channel = c;
  cvy_loop_ref(c->loop);
  cvy_peer_ref(c->peer);
}

/* Lock held; released on return. */
static void dispose(covey_channel *c, covey_node *node)
{
  if (!c->in->closed) cvy_group_close(c->in->node, c->in);
  c->in->channel = NULL;
  if (c->out) c->out->channel = NULL;
  covey_loop *loop = c->loop;
  cvy_group_unref(c->in);
  cvy_peer_unref(c->peer);
  leave(c, node);
  cvy_loop_release(loop);
  cvy_free(c);
}

static int check(const covey_channel_options *o, covey_channel **ret, cvy_send *s)
{
  if (!o) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: to whom?");
  if (!ret) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_channel is NULL");
  if (!o->endpoint) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "endpoint is NULL");
  if (o->window && o->window < CVY_WINDOW_LEAST)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "window is below 4 KiB");
  const covey_send_options rest = {
      .timeout = o->timeout, .cancel = o->cancel, .flags = o->flags, .reserved0 = o->reserved0};
  int r = cvy_is_zero(o->reserved, 6) ? cvy_send_check(&rest, s)
                                      : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words");
  bool once = s->goal.once;
  if (r == 0) r = cvy_send_goal(o->pid, o->name, o->peer, o->reply_to, &s->goal);
  if (r == 0) r = cvy_group_name(o->endpoint, false, &s->group);
  s->goal.once = once;
  s->parcel.kind = CVY_FRAME_GROUP_OPEN;
  return r;
}

/* Announces a new side to s->peer and, where that is wanted, waits for the accept. The node is entered. */
static int begin(cvy_send *s, covey_node *node, uint64_t window, uint16_t endpoint, covey_channel **ret)
{
  cvy_group *side;
  covey_channel *c = cvy_alloc_zero(1, sizeof *c);
  if (!c) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "channel");
  int r =
      cvy_group_side(s->peer, s->group, cvy_channel_window(node, window), CVY_GROUP_CHANNEL, endpoint, &side);
  if (r < 0) {
    cvy_free(c);
    return r;
  }
  c->loop = node->loop;
  c->peer = s->peer;
  cvy_channel_adopt(c, side);
  cvy_node_flush(node);
  if (!s->goal.once) r = cvy_loop_wait(node->loop, is_answered, c, s->deadline, s->cancel);
  if (r < 0)
    r = cvy_send_fail(s, r, COVEY_STAGE_RECEIPT, COVEY_FAR_SENT, "it was not accepted");
  else if (!c->answered)
    r = send_verdict(c, node);
  if (r == 0) {
    *ret = c;
    return 0;
  }
  node->users++; /* as cvy_node_leave in dispose gives back */
  dispose(c, node);
  cvy_loop_lock(node->loop);
  return r;
}

int covey_channel_open(covey_node *node, const covey_channel_options *options, covey_channel **ret_channel)
{
  cvy_send s = {.id = 0};
  uint16_t endpoint = 0;
  int r = check(options, ret_channel, &s);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  if (s.goal.peer && s.goal.peer->node != node)
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a peer of another node");
  if (r == 0) r = find_endpoint(&s, node, &endpoint);
  if (r == 0) r = begin(&s, node, options->window, endpoint, ret_channel);
  cvy_peer_unref(s.peer);
  cvy_node_leave(node);
  return r;
}

/* ---- sending ---- */

/* Waits for the accept, then sends. Lock held. */
static int send_on(covey_channel *c, covey_node *node, cvy_send *s)
{
  for (;;) {
    int r = send_verdict(c, node);
    if (r == 0 && !c->out) {
      r = cvy_loop_wait(node->loop, is_answered, c, s->deadline, s->cancel);
      if (r == COVEY_ETIMEDOUT && s->goal.once) r = COVEY_EAGAIN;
      if (r < 0) return cvy_send_fail(s, r, COVEY_STAGE_GROUP, COVEY_FAR_NOTHING, "it is not accepted yet");
      continue;
    }
    if (r < 0) return r;
    if (s->parcel.size > c->peer->max_message)
      return cvy_send_fail(s, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, COVEY_FAR_NOTHING,
                           "longer than it takes");
    r = cvy_send_deliver(s, node, c->out);
    if (r != CVY_SEND_RETRY) return r; /* else its other side is gone: the verdict says how */
  }
}

static int send_message(covey_channel *c, cvy_send *s, const covey_buffer *buffers, size_t count)
{
  covey_node *node;
  s->parcel.kind = CVY_FRAME_NEXT;
  int r = cvy_send_buffers(s, buffers, count);
  if (r == 0) r = enter(c, &node);
  if (r < 0) return r;
  s->goal.peer = s->peer = c->peer;
  s->group = c->in->name;
  r = send_on(c, node, s);
  if (r == COVEY_EAGAIN) cvy_room_short(c->peer, c->out, &c->wish, s->parcel.size);
  leave(c, node);
  return r;
}

int covey_channel_send(covey_channel *channel, const void *data, size_t size, int64_t timeout)
{
  cvy_send s = {.goal = {.once = timeout == 0}};
  int r = cvy_timeout_check(timeout);
  if (r < 0) return r;
  s.deadline = cvy_deadline_in(timeout);
  return send_message(channel, &s, &(covey_buffer){data, size}, 1);
}

int covey_channel_message_send(covey_channel *channel, const covey_send_options *options,
                               const covey_buffer *buffers, size_t count)
{
  static const covey_send_options all_default;
  const covey_send_options *o = options ? options : &all_default;
  cvy_send s = {.id = 0};
  if (o->pid || o->name || o->peer || o->reply_to || o->group || o->priority || o->level || o->handles)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a channel has one goal, order and level");
  if (count && !buffers) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  int r = cvy_send_check(o, &s);
  return r < 0 ? r : send_message(channel, &s, buffers, count);
}

int covey_channel_end(covey_channel *channel)
{
  covey_node *node;
  int r = enter(channel, &node);
  if (r < 0) return r;
  if (!channel->said) {
    r = send_verdict(channel, node);
    if (r == 0 && !channel->out) r = fail(channel, COVEY_EAGAIN, "it is not accepted yet");
    if (r == 0) {
      cvy_lane_end(channel->out);
      channel->said = true;
    }
  }
  leave(channel, node);
  return r;
}

/* ---- receiving ---- */

bool cvy_channel_has_next(const covey_channel *c)
{
  return c->in->closed || c->in->queue.count || is_gone(c) || c->in->node->state != CVY_NODE_OPEN;
}

static bool has_next(void *arg)
{
  const covey_channel *c = arg;
  return c->in->handled || cvy_channel_has_next(c);
}

/* Why nothing more comes. */
static int receive_verdict(const covey_channel *c)
{
  if (c->refused) return fail(c, COVEY_ENOTFOUND, "it was not accepted");
  if (c->heard) return fail(c, COVEY_ECLOSED, "the other side sends no more");
  return fail(c, is_gone(c) ? lost_code(c) : COVEY_ECLOSED, "its connection has ended");
}

int cvy_channel_take(covey_channel *c, covey_message *ret)
{
  if (!c->in->queue.count || !node_of(c)) return receive_verdict(c);
  cvy_message_take(c->in, ret);
  close_read(c);
  return 0;
}

static int receive(covey_channel *c, cvy_deadline deadline, covey_cancel *cancel, covey_message *ret)
{
  covey_node *node;
  int r = ret ? enter(c, &node) : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_message is NULL");
  if (r < 0) return r;
  if (!has_next(c)) r = cvy_loop_wait(c->loop, has_next, c, deadline, cancel);
  if (r < 0)
    r = fail(c, r, "no message");
  else if (c->in->handled)
    r = fail(c, COVEY_EEXIST, "a callback has its messages");
  else
    r = cvy_channel_take(c, ret);
  leave(c, node);
  return r;
}

int covey_channel_receive(covey_channel *channel, int64_t timeout, covey_message *ret_message)
{
  int r = cvy_timeout_check(timeout);
  return r < 0 ? r : receive(channel, cvy_deadline_in(timeout), NULL, ret_message);
}

int covey_channel_message_receive(covey_channel *channel, const covey_receive_options *options,
                                  covey_message *ret_message)
{
  cvy_deadline deadline;
  covey_cancel *cancel;
  int r = cvy_receive_check_plain(options, &deadline, &cancel);
  return r < 0 ? r : receive(channel, deadline, cancel, ret_message);
}

int covey_channel_on_message(covey_channel *channel,
                             void (*on_message)(covey_message *message, int code, void *arg), void *arg)
{
  if (!channel) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "channel is NULL");
  return cvy_handler_stream(channel->loop, channel->in, on_message, arg);
}

/* ---- the end ---- */

int covey_channel_identity(const covey_channel *channel, covey_identity *ret_identity)
{
  if (!channel || !ret_identity)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s is NULL", channel ? "ret_identity" : "channel");
  int r = cvy_loop_check(channel->loop);
  if (r == 0) *ret_identity = channel->peer->identity;
  return r;
}

static bool is_read(void *arg)
{
  const covey_channel *c = arg;
  return !c->out || c->peer->node->state != CVY_NODE_OPEN;
}

/* Messages that were sent and, as far as we were told, not read. */
static uint64_t in_doubt(const covey_channel *c)
{
  uint64_t n = c->sent > c->consumed ? c->sent - c->consumed : 0;
  for (const cvy_parcel *p = c->out ? c->out->first : NULL; p; p = p->next) n += p->kind == CVY_FRAME_NEXT;
  return n;
}

int covey_channel_close(covey_channel *channel, int64_t timeout)
{
  covey_node *node;
  int r = cvy_timeout_check(timeout);
  if (r < 0 || !channel) return r;
  r = covey_channel_on_message(channel, NULL, NULL);
  if (r == 0) r = cvy_room_end(channel);
  if (r == 0) r = enter(channel, &node);
  if (r < 0) return r;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  if (channel->out && !channel->said) cvy_lane_end(channel->out);
  channel->said = true;
  if (!channel->in->closed) cvy_group_close(channel->in->node, channel->in);
  if (node) cvy_node_flush(node);
  if (node && !is_read(channel)) r = cvy_loop_wait(channel->loop, is_read, channel, deadline, NULL);
  uint64_t unknown = in_doubt(channel);
  dispose(channel, node);
  if (r == COVEY_EDEADLK) return cvy_fail(r, COVEY_STAGE_NONE, "closing on the thread that runs the loop");
  return unknown > INT32_MAX ? INT32_MAX : (int)unknown;
}
