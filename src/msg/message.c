#include <covey/message.h>

#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "msg/call.h"
#include "msg/group.h"
#include "msg/handles.h"
#include "msg/room.h"
#include "msg/send.h"

#include <string.h>

enum {
  TAKEN_MS = 5 /* until it is looked again whether somebody has taken descriptors that are on their way */
};

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
                     : kind == CVY_FRAME_PUB  ? "topic"
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
                           is_request(s) ? "it does not serve this function"
                                         : "it has not opened it, or has no room for one more sender");
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
  return cvy_lane_done(s->now, s->peer) || (s->now->call && s->now->call->over);
}

static bool is_still(void *arg)
{
  const cvy_send *s = arg;
  return !s->now->planned;
}

static bool may_go_on(void *arg)
{
  const cvy_send *s = arg;
  return is_done(arg) || s->peer->node->state != CVY_NODE_OPEN;
}

static bool is_closing(void *arg)
{
  const covey_node *node = arg;
  return node->state != CVY_NODE_OPEN;
}

/* Waits until no thread is writing it: nobody but them may touch it before. */
static void settle(cvy_send *s, covey_node *node)
{
  while (s->now->planned && cvy_loop_wait(node->loop, is_still, s, CVY_NEVER, NULL) < 0) {
    cvy_loop_unlock(
        node->loop); /* on the thread of a lent loop: another thread is inside a call that does not wait */
    cvy_loop_lock(node->loop);
  }
}

/* As many descriptors of ours as the system allows, or as we may have open, are on their way: waits a little for somebody to take some, and sends again. */
static int too_many(const cvy_send *s, covey_node *node)
{
  int r = COVEY_ETIMEDOUT;
  if (!cvy_deadline_passed(s->deadline)) {
    cvy_deadline until = cvy_deadline_in(TAKEN_MS);
    r = cvy_loop_wait(node->loop, is_closing, node, until < s->deadline ? until : s->deadline, s->cancel);
    if (r == COVEY_ETIMEDOUT || r == 0) return CVY_SEND_RETRY;
  }
  return cvy_send_fail(s, r == COVEY_ETIMEDOUT ? COVEY_ELIMIT : r, COVEY_STAGE_WRITE, COVEY_FAR_NOTHING,
                       "too many descriptors are on their way");
}

/* What has become of a parcel that is done. */
static int outcome(cvy_send *s, covey_node *node)
{
  cvy_parcel *p = s->now;
  if (!cvy_lane_done(p, s->peer)) { /* it was answered before it was whole over there */
    settle(s, node);
    if (!cvy_lane_done(p, s->peer)) cvy_lane_abandon(p, s->peer);
    return 0;
  }
  int code = cvy_lane_result(p, s->peer);
  if (code == 0) return 0;
  int far = cvy_lane_abandon(p, s->peer);
  if (code == COVEY_ELIMIT && s->handle_count) return too_many(s, node);
  if (code != COVEY_EPEERDIED && code != COVEY_ENOGROUP)
    return cvy_send_fail(s, code, COVEY_STAGE_WRITE, far, "sending");
  if (code == COVEY_ENOGROUP) {
    if (far == COVEY_FAR_NOTHING) return CVY_SEND_RETRY;
    return cvy_send_fail(s, code, COVEY_STAGE_GROUP, far, "it was closed");
  }
  if (far == COVEY_FAR_NOTHING) return peer_lost(s);
  return cvy_send_fail(s, COVEY_EPEERDIED, COVEY_STAGE_WRITE, far, "it has ended");
}

/* Takes back what is not done of parcels from the one on, the last one first, and leaves the rest of one that was begun to the library. Returns the
 * first of these, and how far it came; count: there was none. */
static size_t take_back(cvy_send *s, covey_node *node, cvy_parcel *parcels, size_t from, size_t count,
                        int *ret_far)
{
  size_t first = count;
  while (count-- > from) {
    s->now = &parcels[count];
    settle(s, node);
    if (is_done(s)) continue;
    *ret_far = cvy_lane_abandon(s->now, s->peer);
    first = count;
  }
  return first;
}

/* The wait has ended with r before all parcels were done. */
static int give_up(cvy_send *s, covey_node *node, cvy_parcel *parcels, size_t count, size_t *went, int r)
{
  int far = COVEY_FAR_NOTHING;
  size_t first = take_back(s, node, parcels, *went, count, &far);
  for (; *went < first; ++*went) {
    s->now = &parcels[*went];
    int e = outcome(s, node);
    if (e != 0) return e;
  }
  if (first == count) return 0;
  if (r == COVEY_ETIMEDOUT && s->goal.once && far == COVEY_FAR_NOTHING) r = COVEY_EAGAIN;
  if (r == COVEY_ETIMEDOUT && s->goal.once && is_request(s)) return 0; /* the library sends the rest */
  int stage = far == COVEY_FAR_NOTHING ? COVEY_STAGE_ROOM
              : far == COVEY_FAR_SENT  ? COVEY_STAGE_RECEIPT
                                       : COVEY_STAGE_WRITE;
  return cvy_send_fail(s, r, stage, far,
                       r == COVEY_ECLOSED         ? "our node was closed"
                       : far == COVEY_FAR_NOTHING ? "no room"
                       : far == COVEY_FAR_SENT    ? "not handed out"
                                                  : "partly sent");
}

/* Puts s->now behind what waits for outlet. */
static int put(cvy_send *s, cvy_outlet *outlet)
{
  if (s->now->want_ack && outlet->full == COVEY_FULL_DROP_OLD) {
    return cvy_send_fail(s, COVEY_ENOTSUP, COVEY_STAGE_RECEIPT, COVEY_FAR_NOTHING,
                         "it drops its oldest messages: no receipts");
  }
  int r = cvy_handles_add(s, outlet);
  if (r < 0) return r;
  r = cvy_lane_add(outlet, s->now);
  if (r > 0 && s->now->brings) cvy_handles_forget(outlet, NULL);
  if (r > 0 && s->now->want_ack)
    return cvy_send_fail(s, COVEY_EAGAIN, COVEY_STAGE_ROOM, COVEY_FAR_NOTHING, "dropped for want of room");
  if (r > 0) s->now->emitted = true; /* as good as gone */
  CVY_STEP(ADDED);
  return 0;
}

static bool would_drop(const cvy_send *s, const cvy_outlet *outlet)
{
  return outlet->full == COVEY_FULL_DROP_NEW &&
         !cvy_outlet_affords(outlet, s->now->size + CVY_CHARGE_FIXED, NULL);
}

static int deliver(cvy_send *s, covey_node *node, cvy_outlet *outlet, cvy_parcel *parcels, size_t count,
                   size_t *went)
{
  size_t added = 0;
  int r = 0, far;
  if (s->parcel.want_ack && outlet->full == COVEY_FULL_DROP_NEW) count = 1;
  for (; added < count && r == 0; added += r == 0) {
    s->now = &parcels[added];
    if (added && would_drop(s, outlet))
      break; /* only behind those that have gone: its drop is told as one that went */
    r = put(s, outlet);
  }
  if (r == COVEY_ELIMIT && s->peer->handed) return too_many(s, node); /* our copies of those take the room */
  if (added == 0) return r; /* else that failure comes again when it is the first */
  cvy_peer_flush(s->peer);
  for (r = 0; *went < added && r == 0; *went += r == 0) {
    s->now = &parcels[*went];
    if (!is_done(s)) r = cvy_loop_wait(node->loop, may_go_on, s, s->deadline, s->cancel);
    if (r == 0 && !is_done(s)) r = COVEY_ECLOSED;
    if (r < 0) return give_up(s, node, parcels, added, went, r);
    r = outcome(s, node);
    if (r != 0) take_back(s, node, parcels, *went + 1, added, &far);
  }
  return r;
}

int cvy_send_deliver(cvy_send *s, covey_node *node, cvy_outlet *outlet)
{
  size_t went = 0;
  int r = deliver(s, node, outlet, &s->parcel, 1, &went);
  s->id = s->parcel.id;
  return r;
}

int cvy_send_find(cvy_send *s, covey_node *node, cvy_outlet **ret)
{
  int r = cvy_address_find(node, &s->goal, s->deadline, s->cancel, &s->peer);
  if (r < 0) return r;
  if (s->parcel.size - (is_request(s) ? CVY_PREFIX : 0) > s->peer->max_message)
    return cvy_send_fail(s, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, COVEY_FAR_NOTHING, "longer than it takes");
  return await_group(s, node, ret);
}

static int send_once(cvy_send *s, covey_node *node, cvy_parcel *parcels, size_t count, size_t *went)
{
  cvy_outlet *outlet = NULL;
  int r = cvy_send_find(s, node, &outlet);
  if (r == 0 && (r = deliver(s, node, outlet, parcels, count, went)) == COVEY_EAGAIN) {
    outlet = find_outlet(s); /* it may have been closed just now: then there is no such group */
    if (!outlet) r = CVY_SEND_RETRY;
    if (outlet) cvy_room_short(s->peer, outlet, &outlet->wish, parcels[*went].size);
  }
  cvy_peer_unref(s->peer);
  s->peer = NULL;
  return r;
}

/* A parcel like another, before its first try. */
static cvy_parcel fresh(const cvy_parcel *p, const covey_buffer *buffers, size_t count, size_t size)
{
  return (cvy_parcel){.buffers = buffers,
                      .count = count,
                      .size = size,
                      .call = p->call,
                      .kind = p->kind,
                      .priority = p->priority,
                      .want_ack = p->want_ack,
                      .brings = p->brings};
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

static int check_node(const cvy_send *s, const covey_node *node)
{
  if (!s->goal.peer || s->goal.peer->node == node) return 0;
  return cvy_send_fail(s, COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, COVEY_FAR_NOTHING, "a peer of another node");
}

int cvy_send_run(cvy_send *s, covey_node *node)
{
  size_t went = 0;
  cvy_parcel *p = &s->parcel;
  int r = check_node(s, node);
  while (r == 0 && (r = send_once(s, node, p, 1, &went)) == CVY_SEND_RETRY) {
    if (p->call) cvy_call_unnamed(p->call);
    *p = fresh(p, p->buffers, p->count, p->size);
    r = 0;
  }
  s->id = s->parcel.id;
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
  if (o->handle_count > COVEY_HANDLES_MAX)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "handle_count %u is above 64", o->handle_count);
  if ((o->handle_count > 0) != (o->handles != NULL))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS,
                    o->handles ? "handles without handle_count" : "handle_count without handles");
  if (o->flags & ~(uint32_t)COVEY_SEND_TRY) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags");
  if (o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_send_options");
  int64_t timeout = o->flags & COVEY_SEND_TRY ? 0 : cvy_option_time(o->timeout, COVEY_FOREVER);
  int r = cvy_timeout_check(timeout);
  if (r < 0) return r;
  s->goal.once = timeout == 0;
  s->deadline = cvy_deadline_in(timeout);
  s->cancel = o->cancel;
  s->handles = o->handles;
  s->handle_count = o->handle_count;
  s->handle_rights = o->handle_rights;
  s->parcel.brings = o->handle_count > 0;
  s->parcel.priority = (uint8_t)o->priority;
  s->parcel.want_ack = o->level == COVEY_LEVEL_CONSUMED;
  return 0;
}

/* To whom, to which group, and the rest. */
static int check_options(const covey_send_options *o, cvy_send *s)
{
  if (!o) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: to whom?");
  int r = cvy_send_goal(o->pid, o->name, o->peer, o->reply_to, &s->goal);
  if (r == 0) r = cvy_group_name(o->group, false, &s->group);
  return r < 0 ? r : cvy_send_check(o, s);
}

int covey_message_send(covey_node *node, const covey_send_options *options, const covey_buffer *buffers,
                       size_t count, uint64_t *ret_id)
{
  cvy_send s = {.id = 0};
  int r = check_options(options, &s);
  if (r == 0 && count && !buffers) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  if (r == 0) r = run_send(node, &s, buffers, count);
  if (r == 0 && ret_id) *ret_id = s.id;
  return r;
}

/* ---- several ---- */

enum { AT_ONCE = 64 /* messages that wait for one write: more than one takes */ };

static int send_several(cvy_send *s, covey_node *node, const covey_buffer *buffers, size_t count,
                        size_t *went)
{
  cvy_parcel parcels[AT_ONCE];
  int r = check_node(s, node);
  while (*went < count && r == 0) {
    size_t n = 0, done = 0;
    for (const covey_buffer *b = buffers + *went; n < AT_ONCE && n < count - *went; n++, b++) {
      parcels[n] = fresh(&s->parcel, b, 1, b->size);
    }
    r = send_once(s, node, parcels, n, &done);
    *went += done;
    if (r == CVY_SEND_RETRY) r = 0;
  }
  return r;
}

int covey_send_many(covey_node *node, const covey_send_options *options, const covey_buffer *buffers,
                    size_t count)
{
  cvy_send s = {.id = 0};
  size_t went = 0;
  int r = check_options(options, &s);
  if (r == 0 && count && !buffers) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  if (r == 0 && count > INT32_MAX) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "count");
  if (r == 0 && options->handle_count)
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "handles go along with one message");
  if (r < 0) return r;
  s.parcel.kind = CVY_FRAME_DATA;
  for (size_t i = 0; i < count; i++) {
    if (!buffers[i].data && buffers[i].size)
      return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "data is NULL");
    if (buffers[i].size > s.parcel.size) s.parcel.size = buffers[i].size;
  }
  r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  r = send_several(&s, node, buffers, count, &went);
  cvy_node_leave(node);
  return went ? (int)went : r;
}
