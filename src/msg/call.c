#include "msg/call.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/send.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_MAX = 1048576 };

/* ---- the end of a call ---- */

static void release_room(cvy_call *call)
{
  if (call->room) call->node->replies -= call->room;
  call->room = 0;
}

static void unlist(cvy_call *call)
{
  if (call->listed) cvy_map_remove(&call->peer->calls, &call->by_id);
  call->listed = false;
}

static void finish(cvy_call *call, int code, const char *text)
{
  unlist(call);
  release_room(call);
  call->over = true;
  call->code = code;
  snprintf(call->text, sizeof call->text, "%s", text);
  if (call->on_over) call->on_over(call);
}

/* Nobody waits any more: the server is told. */
static void give_up(cvy_call *call, int code, const char *text)
{
  if (call->over) return;
  if (call->listed) cvy_peer_control(call->peer, CVY_FRAME_CANCEL, 0, 0, call->id, NULL, 0);
  finish(call, code, text);
}

void cvy_call_scrap(cvy_call *call)
{
  if (call->item) {
    cvy_peer_unref(call->item->owner);
    cvy_item_free(call->item);
  }
  cvy_peer_unref(call->peer);
  call->item = NULL;
  call->peer = NULL;
}

/* ---- what the connection tells ---- */

void cvy_call_unnamed(cvy_call *call)
{
  unlist(call);
  if (call->over) call->node->replies += call->room = call->reply_max;
  cvy_call_scrap(call);
  call->over = false;
}

void cvy_call_named(covey_peer *peer, const cvy_parcel *parcel)
{
  cvy_call *call = parcel->call;
  int64_t left = cvy_deadline_left(call->deadline);
  cvy_ask ask = {.left = UINT32_MAX, .room = call->reply_max};
  if (left >= 0 && left < UINT32_MAX) ask.left = (uint32_t)left;
  cvy_ask_encode(&ask, call->prefix);
  if (call->listed) cvy_call_unnamed(call);
  cvy_peer_ref(peer);
  call->peer = peer;
  call->id = parcel->id;
  call->listed = true;
  cvy_map_add(&peer->calls, &call->by_id, call->id);
}

static cvy_call *find_call(const covey_peer *peer, uint64_t id)
{
  cvy_map_node *n = cvy_map_find(&peer->calls, id);
  return n ? CVY_MAP_OF(n, cvy_call, by_id) : NULL;
}

bool cvy_call_waits(const covey_peer *peer, uint64_t id)
{
  return find_call(peer, id) != NULL;
}

int cvy_call_begins(covey_peer *peer, const cvy_begin *begin, uint64_t *ret_keep)
{
  const cvy_call *call = find_call(peer, begin->id);
  uint64_t size = begin->total - CVY_PREFIX;
  if (begin->total < CVY_PREFIX || begin->id > peer->tx.next_id) return COVEY_EPROTO;
  if (begin->kind == CVY_FRAME_ERR && size > CVY_ERROR_MAX) return COVEY_EPROTO;
  if (!call) return 0; /* we have given it up meanwhile */
  if (begin->kind == CVY_FRAME_REP && size > call->reply_max) return COVEY_EPROTO;
  *ret_keep = begin->total;
  return 0;
}

static bool is_code(int code)
{
  return code < 0 && code >= COVEY_EFAILED;
}

void cvy_call_arrived(covey_peer *peer, cvy_item *item)
{
  cvy_call *call = find_call(peer, item->id);
  uint32_t status;
  if (cvy_prefix_decode(cvy_item_data(item), (size_t)item->size, &status) < 0) {
    cvy_item_free(item);
    cvy_peer_end(peer, COVEY_EPROTO);
    return;
  }
  if (call && item->kind == CVY_FRAME_REP) {
    cvy_peer_ref(peer);
    item->owner = peer;
    call->item = item;
    finish(call, 0, "");
  } else {
    int code = (int32_t)status;
    if (call)
      finish(call, is_code(code) ? code : COVEY_EFAILED, (const char *)cvy_item_data(item) + CVY_PREFIX);
    cvy_item_free(item);
  }
  cvy_loop_changed(peer->loop);
}

void cvy_calls_over(covey_peer *peer)
{
  bool ours = peer->node->state != CVY_NODE_OPEN;
  cvy_map_node *n;
  while (peer->calls.count && (n = cvy_map_next(&peer->calls, NULL)) != NULL) {
    cvy_call *call = CVY_MAP_OF(n, cvy_call, by_id);
    if (ours)
      finish(call, COVEY_ECLOSED, "our node was closed");
    else
      finish(call, COVEY_EPEERDIED, "it ended before it answered");
  }
}

/* ---- making a call ---- */

int cvy_call_check(const covey_call_options *o, int64_t timeout, const covey_buffer *buffers, size_t count,
                   cvy_send *s)
{
  if (count && !buffers) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  if (o->priority < 0 || o->priority > 7)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "priority %d", (int)o->priority);
  if (o->flags & ~(uint32_t)COVEY_CALL_TRY) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags");
  if (!cvy_is_zero(o->reserved, 6))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_call_options");
  if (!o->function) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "function is NULL");
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = cvy_send_goal(o->pid, o->name, o->peer, o->reply_to, &s->goal);
  if (r == 0) r = cvy_group_name(o->function, false, &s->group);
  if (r < 0) return r;
  s->goal.once = timeout == 0 || (o->flags & COVEY_CALL_TRY);
  s->cancel = o->cancel;
  s->parcel.priority = (uint8_t)o->priority;
  s->parcel.kind = CVY_FRAME_REQ;
  return cvy_send_buffers(s, buffers, count);
}

/* Room for the answer. */
static int reserve(covey_node *node, size_t reply_max, cvy_call *call)
{
  uint64_t usual = node->max_message < REPLY_MAX ? node->max_message : REPLY_MAX;
  uint64_t most = reply_max ? reply_max : usual;
  if (most > node->max_message)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reply_max is above max_message of the node");
  if (node->replies + most > CVY_REPLIES_SHARE * node->max_memory) {
    return cvy_fail_far(cvy_fail(COVEY_EQUOTA, COVEY_STAGE_ROOM, "calls in flight may bring too much"),
                        COVEY_FAR_NOTHING);
  }
  call->node = node;
  call->reply_max = call->room = most;
  node->replies += most;
  return 0;
}

int cvy_call_launch(covey_node *node, cvy_send *s, const covey_call_options *o, const covey_buffer *buffers,
                    size_t count, cvy_call *call)
{
  covey_buffer few[8], *all = few;
  int r = reserve(node, o->reply_max, call);
  if (r < 0) return r;
  s->deadline = o->flags & COVEY_CALL_TRY ? cvy_deadline_in(0) : call->deadline;
  if (count >= 8) all = cvy_realloc_array(NULL, count + 1, sizeof *all);
  if (!all) r = cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "request");
  if (r == 0) {
    all[0] = (covey_buffer){call->prefix, CVY_PREFIX};
    if (count) memcpy(all + 1, buffers, count * sizeof *all);
    s->parcel.buffers = all;
    s->parcel.count = count + 1;
    s->parcel.size += CVY_PREFIX;
    s->parcel.call = call;
    r = cvy_send_run(s, node);
  }
  if (all != few) cvy_free(all);
  if (r < 0) {
    unlist(call);
    release_room(call);
    cvy_call_scrap(call);
  }
  return r;
}

void cvy_call_describe(const cvy_send *s, cvy_call_about *ret)
{
  char text[128];
  cvy_goal_text(&s->goal, text, sizeof text);
  snprintf(ret->text, sizeof ret->text, "%s, function %s", text, s->group);
}

int cvy_call_outcome(cvy_call *call, const char *what, covey_reply *ret)
{
  cvy_item *item = call->item;
  uint32_t status;
  if (call->code < 0) {
    cvy_fail(call->code, COVEY_STAGE_RECEIPT, "%s: %s", what, call->text);
    return cvy_fail_far(call->code, COVEY_FAR_SENT);
  }
  cvy_prefix_decode(cvy_item_data(item), (size_t)item->size, &status);
  call->item = NULL;
  covey_peer *peer = item->owner;
  *ret = (covey_reply){.data = cvy_item_data(item) + CVY_PREFIX, .size = (size_t)item->size - CVY_PREFIX};
  ret->status = (int32_t)status;
  ret->from = peer->identity;
  ret->peer = peer;
  ret->internal = item;
  return 0;
}

bool cvy_call_is_over(void *arg)
{
  const cvy_call *call = arg;
  return call->over || call->node->state != CVY_NODE_OPEN;
}

void cvy_call_end(cvy_call *call, int r)
{
  if (r == COVEY_ETIMEDOUT)
    give_up(call, r, "no answer in time");
  else if (r == COVEY_ECANCELED)
    give_up(call, r, "cancelled");
  else if (r < 0)
    give_up(call, r, "waiting for the answer");
  else
    give_up(call, COVEY_ECLOSED, "our node was closed");
}

static int run(covey_node *node, const covey_call_options *o, int64_t timeout, const covey_buffer *buffers,
               size_t count, covey_reply *ret)
{
  cvy_send s = {.id = 0};
  cvy_call call = {.id = 0};
  cvy_call_about what;
  if (o->on_done) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "on_done is for covey_call_start");
  int r = cvy_call_check(o, timeout, buffers, count, &s);
  if (r == 0 && !ret) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_reply is NULL");
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  call.deadline = cvy_deadline_in(timeout);
  r = cvy_call_launch(node, &s, o, buffers, count, &call);
  if (r == 0) {
    r = cvy_call_is_over(&call)
            ? 0
            : cvy_loop_wait(node->loop, cvy_call_is_over, &call, call.deadline, o->cancel);
    cvy_call_end(&call, r);
    cvy_call_describe(&s, &what);
    r = cvy_call_outcome(&call, what.text, ret);
  }
  cvy_call_scrap(&call);
  cvy_node_leave(node);
  return r;
}

int covey_call(covey_node *node, int64_t pid, const char *function, const void *data, size_t size,
               int64_t timeout, covey_reply *ret_reply)
{
  covey_call_options options = {.pid = pid, .function = function};
  covey_buffer buffer = {data, size};
  return run(node, &options, timeout, &buffer, 1, ret_reply);
}

int covey_call_run(covey_node *node, const covey_call_options *options, const covey_buffer *buffers,
                   size_t count, covey_reply *ret_reply)
{
  if (!options) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: whom?");
  return run(node, options, cvy_option_time(options->timeout, COVEY_FOREVER), buffers, count, ret_reply);
}

void covey_reply_free(covey_reply *reply)
{
  if (!reply) return;
  cvy_item *item = reply->internal;
  if (item) {
    cvy_peer_unref(item->owner);
    cvy_item_free(item);
  }
  *reply = (covey_reply){0};
}
