#include <covey/message.h>

#include "core/error.h"
#include "core/mem.h"
#include "msg/call.h"
#include "msg/group.h"
#include "msg/send.h"

#include <string.h>

/* ---- sending ---- */

static bool is_request(const cvy_send *s)
{
  return s->parcel.kind == CVY_FRAME_REQ;
}

int cvy_send_fail(const cvy_send *s, int code, int stage, int far, const char *why)
{
  char text[128];
  cvy_goal_text(&s->goal, text, sizeof text);
  uint8_t kind = s->parcel.kind;
  if (code == COVEY_ENOGROUP && kind == CVY_FRAME_NEXT) code = COVEY_ECLOSED;
  if (code == COVEY_ENOGROUP && kind != CVY_FRAME_DATA) code = COVEY_ENOTFOUND;
  const char *what = kind == CVY_FRAME_DATA   ? "group"
                     : kind == CVY_FRAME_REQ  ? "function"
                     : kind == CVY_FRAME_NEXT ? "channel"
                                              : "endpoint";
  cvy_fail(code, stage, "%s, %s %s: %s", text, what, s->group, why);
  return cvy_fail_far(code, far);
}

static bool usable(const covey_peer *peer)
{
  return peer->state == CVY_PEER_OPEN && !peer->tx.broken;
}

static cvy_outlet *find_outlet(const cvy_send *s)
{
  return cvy_outlet_find(s->peer, s->group, strlen(s->group), s->parcel.kind);
}

static bool has_group(void *arg)
{
  const cvy_send *s = arg;
  return !usable(s->peer) || s->peer->node->state != CVY_NODE_OPEN || find_outlet(s) != NULL;
}

/* Nothing was sent, and the peer cannot be used any more. */
static int peer_lost(const cvy_send *s)
{
  if (s->peer->node->state != CVY_NODE_OPEN) {
    return cvy_send_fail(s, COVEY_ECLOSED, COVEY_STAGE_WRITE, COVEY_FAR_NOTHING, "our node was closed");
  }
  if (!s->goal.peer) return CVY_SEND_RETRY;
  return cvy_send_fail(s, COVEY_EPEERDIED, COVEY_STAGE_WRITE, COVEY_FAR_NOTHING, "it has ended");
}

static int await_group(cvy_send *s, covey_node *node, cvy_outlet **ret)
{
  cvy_outlet *outlet = NULL;
  for (int r = 0;; r = cvy_loop_wait(node->loop, has_group, s, s->deadline, s->cancel)) {
    if (r == COVEY_ETIMEDOUT) r = COVEY_ENOGROUP;
    if (r < 0)
      return cvy_send_fail(s, r, COVEY_STAGE_GROUP, COVEY_FAR_NOTHING,
                           is_request(s) ? "it does not serve this function" : "it has not opened it");
    if (!usable(s->peer) || node->state != CVY_NODE_OPEN) return peer_lost(s);
    outlet = find_outlet(s);
    if (outlet) break;
  }
  *ret = outlet;
  return 0;
}

static bool is_done(void *arg)
{
  const cvy_send *s = arg;
  return cvy_lane_done(&s->parcel, s->peer) || (s->parcel.call && s->parcel.call->over);
}

static bool is_still(void *arg)
{
  const cvy_send *s = arg;
  return !s->parcel.planned;
}

/* Waits until no thread is writing it: nobody but them may touch it before. */
static void settle(cvy_send *s, covey_node *node)
{
  while (s->parcel.planned && cvy_loop_wait(node->loop, is_still, s, CVY_NEVER, NULL) < 0) {
    cvy_loop_unlock(
        node->loop); /* on the thread of a lent loop: another thread is inside a call that does not wait */
    cvy_loop_lock(node->loop);
  }
}

/* The wait has ended with r before the parcel was done: takes it back, or leaves its rest to the library. */
static int give_up(cvy_send *s, covey_node *node, int r)
{
  settle(s, node);
  if (is_done(s)) return 0;
  int far = cvy_lane_abandon(&s->parcel, s->peer);
  if (r == COVEY_ETIMEDOUT && s->goal.once && far == COVEY_FAR_NOTHING) r = COVEY_EAGAIN;
  if (r == COVEY_ETIMEDOUT && s->goal.once && far != COVEY_FAR_NOTHING && is_request(s))
    return 0; /* the library sends the rest */
  int stage = far == COVEY_FAR_NOTHING ? COVEY_STAGE_ROOM
              : far == COVEY_FAR_SENT  ? COVEY_STAGE_RECEIPT
                                       : COVEY_STAGE_WRITE;
  return cvy_send_fail(s, r, stage, far,
                       far == COVEY_FAR_NOTHING ? "no room"
                       : far == COVEY_FAR_SENT  ? "not handed out"
                                                : "partly sent");
}

/* What has become of a parcel that is done. */
static int outcome(cvy_send *s)
{
  cvy_parcel *p = &s->parcel;
  int code = p->result;
  if (code == 0) return 0;
  int far = cvy_lane_abandon(p, s->peer);
  if (code == COVEY_ENOMEM || code == COVEY_ECLOSED)
    return cvy_send_fail(s, code, COVEY_STAGE_WRITE, far, "sending");
  if (code == COVEY_ENOGROUP) {
    if (far == COVEY_FAR_NOTHING) return CVY_SEND_RETRY;
    return cvy_send_fail(s, code, COVEY_STAGE_GROUP, far, "it was closed");
  }
  if (far == COVEY_FAR_NOTHING) return peer_lost(s);
  return cvy_send_fail(s, COVEY_EPEERDIED, COVEY_STAGE_WRITE, far, "it has ended");
}

int cvy_send_deliver(cvy_send *s, covey_node *node, cvy_outlet *outlet)
{
  if (s->parcel.want_ack && outlet->full == COVEY_FULL_DROP_OLD) {
    return cvy_send_fail(s, COVEY_ENOTSUP, COVEY_STAGE_RECEIPT, COVEY_FAR_NOTHING,
                         "it drops its oldest messages: no receipts");
  }
  int r = cvy_lane_add(outlet, &s->parcel);
  if (r > 0 && s->parcel.want_ack)
    return cvy_send_fail(s, COVEY_EAGAIN, COVEY_STAGE_ROOM, COVEY_FAR_NOTHING, "dropped for want of room");
  if (r > 0) return 0;
  cvy_peer_flush(s->peer);
  if (!is_done(s)) r = cvy_loop_wait(node->loop, is_done, s, s->deadline, s->cancel);
  if (r < 0) r = give_up(s, node, r);
  if (r == 0 && !cvy_lane_done(&s->parcel, s->peer)) { /* it was answered before it was whole over there */
    settle(s, node);
    if (!cvy_lane_done(&s->parcel, s->peer)) cvy_lane_abandon(&s->parcel, s->peer);
  } else if (r == 0) {
    r = outcome(s);
  }
  s->id = s->parcel.id;
  return r;
}

/* As before its first try. */
static cvy_parcel fresh(const cvy_parcel *p)
{
  return (cvy_parcel){.buffers = p->buffers,
                      .count = p->count,
                      .size = p->size,
                      .call = p->call,
                      .kind = p->kind,
                      .priority = p->priority,
                      .want_ack = p->want_ack};
}

int cvy_send_find(cvy_send *s, covey_node *node, cvy_outlet **ret)
{
  int r = cvy_address_find(node, &s->goal, s->deadline, s->cancel, &s->peer);
  if (r < 0) return r;
  if (s->parcel.size - (is_request(s) ? CVY_PREFIX : 0) > s->peer->max_message)
    return cvy_send_fail(s, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, COVEY_FAR_NOTHING, "longer than it takes");
  return await_group(s, node, ret);
}

static int send_once(cvy_send *s, covey_node *node)
{
  cvy_outlet *outlet = NULL;
  int r = cvy_send_find(s, node, &outlet);
  if (r == 0) r = cvy_send_deliver(s, node, outlet);
  if (r == CVY_SEND_RETRY && s->parcel.call) cvy_call_unnamed(s->parcel.call);
  if (r == CVY_SEND_RETRY) s->parcel = fresh(&s->parcel);
  cvy_peer_unref(s->peer);
  s->peer = NULL;
  return r;
}

int cvy_send_buffers(cvy_send *s, const covey_buffer *buffers, size_t count)
{
  static const covey_buffer nothing = {NULL, 0};
  s->parcel.buffers = count ? buffers : &nothing;
  s->parcel.count = count ? count : 1;
  for (size_t i = 0; i < count; i++) {
    if (!buffers[i].data && buffers[i].size) {
      return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "data is NULL");
    }
    if (buffers[i].size > SIZE_MAX / 2 - s->parcel.size)
      return cvy_send_fail(s, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, COVEY_FAR_NOTHING, "size");
    s->parcel.size += buffers[i].size;
  }
  return 0;
}

int cvy_send_run(cvy_send *s, covey_node *node)
{
  int r;
  if (s->goal.peer && s->goal.peer->node != node) {
    return cvy_send_fail(s, COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, COVEY_FAR_NOTHING, "a peer of another node");
  }
  do r = send_once(s, node);
  while (r == CVY_SEND_RETRY);
  return r;
}

static int run_send(covey_node *node, cvy_send *s, const covey_buffer *buffers, size_t count)
{
  s->parcel.kind = CVY_FRAME_DATA;
  int r = cvy_send_buffers(s, buffers, count);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  r = cvy_send_run(s, node);
  cvy_node_leave(node);
  return r;
}

int covey_send(covey_node *node, int64_t pid, const char *group, const void *data, size_t size,
               int64_t timeout)
{
  covey_buffer buffer = {data, size};
  cvy_send s = {.goal = {.pid = pid, .once = timeout == 0}};
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = cvy_group_name(group, false, &s.group);
  if (r == 0 && pid <= 0) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "pid %lld", (long long)pid);
  if (r < 0) return r;
  s.deadline = cvy_deadline_in(timeout);
  return run_send(node, &s, &buffer, 1);
}

int cvy_send_goal(int64_t pid, const char *name, covey_peer *peer, const covey_message *reply_to,
                  cvy_goal *ret_goal)
{
  int targets = (pid != 0) + (name != NULL) + (peer != NULL) + (reply_to != NULL);
  if (targets != 1)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "exactly one of pid, name, peer and reply_to");
  if (pid < 0) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "pid %lld", (long long)pid);
  if (reply_to && !reply_to->peer)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reply_to is no received message");
  int r = name ? cvy_name_check(name, "name") : 0;
  if (r == 0) *ret_goal = (cvy_goal){.pid = pid, .name = name, .peer = reply_to ? reply_to->peer : peer};
  return r;
}

int cvy_send_check(const covey_send_options *o, cvy_send *s)
{
  if (o->priority < 0 || o->priority > 7)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "priority %d", (int)o->priority);
  if (o->level != COVEY_LEVEL_SENT && o->level != COVEY_LEVEL_CONSUMED) {
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "level %d", (int)o->level);
  }
  if (o->flags & ~(uint32_t)COVEY_SEND_TRY) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags");
  if (o->reserved0 || !cvy_is_zero(o->reserved, 6))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_send_options");
  int64_t timeout = o->flags & COVEY_SEND_TRY ? 0 : cvy_option_time(o->timeout, COVEY_FOREVER);
  int r = cvy_timeout_check(timeout);
  if (r < 0) return r;
  s->goal.once = timeout == 0;
  s->deadline = cvy_deadline_in(timeout);
  s->cancel = o->cancel;
  s->parcel.priority = (uint8_t)o->priority;
  s->parcel.want_ack = o->level == COVEY_LEVEL_CONSUMED;
  return 0;
}

int covey_message_send(covey_node *node, const covey_send_options *options, const covey_buffer *buffers,
                       size_t count, uint64_t *ret_id)
{
  cvy_send s = {.id = 0};
  int r = options ? cvy_send_goal(options->pid, options->name, options->peer, options->reply_to, &s.goal)
                  : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: to whom?");
  if (r == 0) r = cvy_group_name(options->group, false, &s.group);
  if (r == 0) r = cvy_send_check(options, &s);
  if (r == 0 && count && !buffers) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  if (r == 0) r = run_send(node, &s, buffers, count);
  if (r == 0 && ret_id) *ret_id = s.id;
  return r;
}

/* ---- receiving ---- */

struct receive {
  covey_node *node;
  cvy_group *group; /* NULL: any */
};

static bool has_message(void *arg)
{
  const struct receive *w = arg;
  if (w->node->state != CVY_NODE_OPEN || (w->group && (w->group->closed || w->group->handled))) return true;
  return cvy_group_filled(w->node, w->group, CVY_FRAME_DATA, false) != NULL;
}

void cvy_message_take(cvy_group *group, covey_message *ret)
{
  cvy_item *item = cvy_queue_take(&group->queue);
  covey_peer *peer = item->owner; /* the item's reference becomes the message's */
  group->node->items--;
  if (group->full != COVEY_FULL_DROP_OLD) cvy_credit_return(group, item);
  cvy_credit_serve(group->node);
  cvy_group_ref(group);
  item->place = group;
  *ret = (covey_message){.data = cvy_item_data(item), .size = (size_t)item->size, .group = group->name};
  ret->kind = COVEY_KIND_DATA;
  ret->priority = cvy_item_priority(item);
  ret->id = item->id;
  ret->lost = item->lost;
  ret->from = peer->identity;
  ret->peer = peer;
  ret->internal = item;
}

static int receive(covey_node *node, const char *name, cvy_deadline deadline, covey_cancel *cancel,
                   covey_message *ret)
{
  struct receive w = {NULL, NULL};
  bool any = name && strcmp(name, COVEY_ANY_GROUP) == 0;
  int r = ret ? cvy_group_name(name, true, &name)
              : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_message is NULL");
  if (r == 0) r = cvy_node_enter(node, &w.node);
  if (r < 0) return r;
  if (!any) {
    w.group = cvy_group_find(w.node, name, CVY_FRAME_DATA);
    if (!w.group) r = cvy_group_make(w.node, name, CVY_FRAME_DATA, NULL, &w.group);
    if (r == 0) cvy_group_ref(w.group);
    cvy_node_flush(w.node);
  }
  if (r == 0) {
    r = cvy_loop_wait(w.node->loop, has_message, &w, deadline, cancel);
    if (r < 0)
      r = cvy_fail(r, COVEY_STAGE_NONE, "group %s", name);
    else if (w.node->state != CVY_NODE_OPEN)
      r = cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "the node was closed");
    else if (w.group && w.group->closed)
      r = cvy_fail(COVEY_ECLOSED, COVEY_STAGE_GROUP, "group %s was closed", name);
    else if (w.group && w.group->handled)
      r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "a callback has the messages of group %s", name);
    else
      cvy_message_take(cvy_group_filled(w.node, w.group, CVY_FRAME_DATA, false), ret);
    cvy_group_unref(w.group);
  }
  cvy_node_leave(w.node);
  return r;
}

int covey_receive(covey_node *node, const char *group, int64_t timeout, covey_message *ret_message)
{
  int r = cvy_timeout_check(timeout);
  return r < 0 ? r : receive(node, group, cvy_deadline_in(timeout), NULL, ret_message);
}

int cvy_receive_check(const covey_receive_options *o, cvy_deadline *ret_deadline)
{
  if (o->flags & ~(uint32_t)COVEY_RECEIVE_TRY) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags");
  if (o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_receive_options");
  int64_t timeout = o->flags & COVEY_RECEIVE_TRY ? 0 : cvy_option_time(o->timeout, COVEY_FOREVER);
  int r = cvy_timeout_check(timeout);
  if (r == 0) *ret_deadline = cvy_deadline_in(timeout);
  return r;
}

int covey_message_receive(covey_node *node, const covey_receive_options *options, covey_message *ret_message)
{
  static const covey_receive_options all_default;
  const covey_receive_options *o = options ? options : &all_default;
  cvy_deadline deadline;
  int r = cvy_receive_check(o, &deadline);
  return r < 0 ? r : receive(node, o->group, deadline, o->cancel, ret_message);
}

void covey_message_free(covey_message *message)
{
  if (!message) return;
  cvy_item *item = message->internal;
  if (item) {
    cvy_peer_unref(item->owner);
    cvy_group_unref(item->place);
    cvy_item_free(item);
  }
  *message = (covey_message){0};
}
