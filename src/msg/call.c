#include "msg/call.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/send.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_MAX = 1048576 };

/* What a call is about, for failures: "process 12, function add". */
typedef struct about {
  char text[224];
} about;

struct covey_pending {
  cvy_call call;
  about what;
  uint32_t refs; /* the caller's, the queued note's, the open timer's, a call's that is inside */
  covey_loop *loop;
  void (*on_done)(covey_pending *pending, void *arg);
  void *arg;
  cvy_note note;
  cvy_timer *timer; /* of the deadline, for on_done; NULL: none */
  cvy_task task;    /* closes it */
  bool closed;      /* by its caller */
  bool taken;       /* its outcome was told */
};

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

/* Notes the callback, if there is one that waits. */
static void announce(cvy_call *call)
{
  covey_pending *p = call->pending;
  if (!p || !p->on_done || p->closed || p->taken || p->note.queued) return;
  p->refs++;
  cvy_loop_note(p->loop, &p->note);
}

static void finish(cvy_call *call, int code, const char *text)
{
  unlist(call);
  release_room(call);
  call->over = true;
  call->code = code;
  snprintf(call->text, sizeof call->text, "%s", text);
  announce(call);
}

/* Nobody waits any more: the server is told. */
static void give_up(cvy_call *call, int code, const char *text)
{
  if (call->over) return;
  if (call->listed) cvy_peer_control(call->peer, CVY_FRAME_CANCEL, 0, 0, call->id, NULL, 0);
  finish(call, code, text);
}

/* What it holds, once it is in no list. Without the lock, too. */
static void scrap(cvy_call *call)
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
  scrap(call);
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

static int check(const covey_call_options *o, int64_t timeout, cvy_send *s)
{
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
  return 0;
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

/* Sends the request. The node is entered; on failure the call holds nothing. */
static int launch(covey_node *node, cvy_send *s, const covey_call_options *o, const covey_buffer *buffers,
                  size_t count, cvy_call *call)
{
  covey_buffer few[8], *all = few;
  int r = reserve(node, o->reply_max, call);
  if (r < 0) return r;
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
    scrap(call);
  }
  return r;
}

static void describe(const cvy_send *s, about *ret)
{
  char text[128];
  cvy_goal_text(&s->goal, text, sizeof text);
  snprintf(ret->text, sizeof ret->text, "%s, function %s", text, s->group);
}

/* Tells the outcome of a call that is over; its item becomes the reply's. */
static int outcome(cvy_call *call, const char *what, covey_reply *ret)
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

static bool is_over(void *arg)
{
  const cvy_call *call = arg;
  return call->over || call->node->state != CVY_NODE_OPEN;
}

/* The wait for a call has ended with r; if the call is not over, it is now. */
static void end_wait(cvy_call *call, int r)
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
  about what;
  if (o->on_done) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "on_done is for covey_call_start");
  int r = check(o, timeout, &s);
  if (r == 0) r = cvy_send_buffers(&s, buffers, count);
  if (r == 0 && !ret) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_reply is NULL");
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  call.deadline = cvy_deadline_in(timeout);
  s.deadline = o->flags & COVEY_CALL_TRY ? cvy_deadline_in(0) : call.deadline;
  r = launch(node, &s, o, buffers, count, &call);
  if (r == 0) {
    r = is_over(&call) ? 0 : cvy_loop_wait(node->loop, is_over, &call, call.deadline, o->cancel);
    end_wait(&call, r);
    describe(&s, &what);
    r = outcome(&call, what.text, ret);
  }
  scrap(&call);
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

static int check_pointers(const covey_call_options *o, const covey_buffer *buffers, size_t count)
{
  if (!o) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: whom?");
  if (count && !buffers) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  return 0;
}

int covey_call_run(covey_node *node, const covey_call_options *options, const covey_buffer *buffers,
                   size_t count, covey_reply *ret_reply)
{
  int r = check_pointers(options, buffers, count);
  if (r < 0) return r;
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

/* ---- calls that nobody waits for yet ---- */

/* Lock held; it is released. */
static void unref(covey_pending *p)
{
  covey_loop *loop = p->loop;
  bool last = --p->refs == 0;
  cvy_loop_unlock(loop);
  if (!last) return;
  scrap(&p->call);
  cvy_free(p);
  cvy_loop_release(loop);
}

/* Locks, and holds the node as long as the call is not over: NULL then. */
static covey_node *enter(covey_pending *p)
{
  cvy_loop_lock(p->loop);
  if (p->call.over || p->call.node->state != CVY_NODE_OPEN) return NULL;
  p->call.node->users++;
  return p->call.node;
}

/* Unlocks; the lock is taken again. */
static void flush(covey_pending *p, covey_node *node)
{
  if (node) {
    cvy_node_leave(node);
    cvy_loop_lock(p->loop);
  }
}

static void call_back(void *arg)
{
  covey_pending *p = arg;
  cvy_loop_lock(p->loop);
  bool wanted = !p->closed && !p->taken;
  cvy_loop_unlock(p->loop);
  if (wanted) p->on_done(p, p->arg);
  cvy_loop_lock(p->loop);
  unref(p);
}

static void expired(void *arg)
{
  covey_pending *p = arg;
  covey_node *node = enter(p);
  end_wait(&p->call, COVEY_ETIMEDOUT);
  flush(p, node);
  cvy_loop_changed(p->loop);
  cvy_loop_unlock(p->loop);
}

static int open_timer(void *arg)
{
  covey_pending *p = arg;
  int r = cvy_timer_open(p->loop, expired, p, &p->timer);
  if (r == 0) cvy_timer_set(p->timer, p->call.deadline);
  return r;
}

static void close_timer(void *arg)
{
  covey_pending *p = arg;
  cvy_timer_close(p->timer);
  cvy_loop_lock(p->loop);
  unref(p);
}

/* Nobody has seen the call yet: lets it be seen by its callback. Lock held; released meanwhile. */
static int watch(covey_pending *p)
{
  int r = 0;
  if (!p->on_done) return 0;
  if (p->call.deadline != CVY_NEVER && !p->call.over) {
    p->refs++; /* the timer's */
    cvy_loop_unlock(p->loop);
    r = cvy_loop_call(p->loop, open_timer, p);
    cvy_loop_lock(p->loop);
    if (r < 0) {
      p->refs--;
      give_up(&p->call, r, "timer");
      return cvy_fail(r, COVEY_STAGE_NONE, "a timer for on_done");
    }
  }
  p->call.pending = p;
  if (p->call.over) announce(&p->call);
  return 0;
}

static covey_pending *new_pending(const covey_call_options *o, int64_t timeout, covey_loop *loop)
{
  covey_pending *p = cvy_alloc_zero(1, sizeof *p);
  if (!p) return NULL;
  p->refs = 2; /* its caller's, and covey_call_start's */
  p->on_done = o->on_done;
  p->arg = o->arg;
  p->note = (cvy_note){.run = call_back, .arg = p};
  p->task = (cvy_task){.run = close_timer, .arg = p};
  p->call.deadline = cvy_deadline_in(timeout);
  cvy_loop_ref(loop);
  p->loop = loop;
  return p;
}

/* Gives the reference of the call that is inside back; failed: its caller gets none. */
static void leave(covey_pending *p, bool failed)
{
  cvy_loop_lock(p->loop);
  if (failed) p->refs--;
  unref(p);
}

int covey_call_start(covey_node *node, const covey_call_options *options, const covey_buffer *buffers,
                     size_t count, covey_pending **ret_pending)
{
  cvy_send s = {.id = 0};
  int r = check_pointers(options, buffers, count);
  if (r < 0) return r;
  if (!ret_pending) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_pending is NULL");
  int64_t timeout = cvy_option_time(options->timeout, COVEY_FOREVER);
  r = check(options, timeout, &s);
  if (r == 0) r = cvy_send_buffers(&s, buffers, count);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  covey_pending *p = new_pending(options, timeout, node->loop);
  if (!p) {
    cvy_node_leave(node);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "call");
  }
  s.deadline = options->flags & COVEY_CALL_TRY ? cvy_deadline_in(0) : p->call.deadline;
  describe(&s, &p->what);
  r = launch(node, &s, options, buffers, count, &p->call);
  if (r == 0) r = watch(p);
  cvy_node_leave(node);
  leave(p, r < 0);
  if (r == 0) *ret_pending = p;
  return r;
}

/* Lock held: nobody else tells it. */
static int tell(covey_pending *p, covey_reply *ret)
{
  if (cvy_loop_unnote(p->loop, &p->note)) p->refs--;
  p->taken = true;
  return outcome(&p->call, p->what.text, ret);
}

int covey_call_wait(covey_pending *pending, int64_t timeout, covey_reply *ret_reply)
{
  covey_pending *p = pending;
  if (!p) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "pending is NULL");
  if (!ret_reply) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_reply is NULL");
  int r = cvy_timeout_check(timeout);
  if (r < 0 || (r = cvy_loop_check(p->loop)) < 0) return r;
  cvy_deadline until = cvy_deadline_in(timeout);
  covey_node *node = enter(p);
  if (node) {
    cvy_deadline first = until < p->call.deadline ? until : p->call.deadline;
    r = cvy_loop_wait(p->loop, is_over, &p->call, first, NULL);
    if (r == 0 || cvy_deadline_passed(p->call.deadline)) end_wait(&p->call, r);
  } else {
    end_wait(&p->call, 0);
  }
  if (p->taken)
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "the outcome of this call was told already");
  else if (p->call.over)
    r = tell(p, ret_reply);
  else if (r == COVEY_ETIMEDOUT)
    r = cvy_fail(COVEY_EAGAIN, COVEY_STAGE_RECEIPT, "%s: no answer yet", p->what.text);
  else
    r = cvy_fail(r, COVEY_STAGE_RECEIPT, "%s: waiting", p->what.text);
  flush(p, node);
  cvy_loop_unlock(p->loop);
  return r;
}

struct several {
  covey_pending *const *pending;
  size_t count;
};

static int64_t first_over(const struct several *s)
{
  for (size_t i = 0; i < s->count; i++) {
    covey_pending *p = s->pending[i];
    if (p && (is_over(&p->call) || cvy_deadline_passed(p->call.deadline))) return (int64_t)i;
  }
  return -1;
}

static bool any_over(void *arg)
{
  return first_over(arg) >= 0;
}

int covey_call_wait_any(covey_pending *const *pending, size_t count, int64_t timeout)
{
  struct several s = {pending, count};
  covey_loop *loop = NULL;
  cvy_deadline until = CVY_NEVER;
  int r = cvy_timeout_check(timeout);
  for (size_t i = 0; r == 0 && pending && i < count && i < INT32_MAX; i++) {
    if (!pending[i]) continue;
    if (loop && loop != pending[i]->loop)
      return cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "a call of another node");
    loop = pending[i]->loop;
    if (pending[i]->call.deadline < until) until = pending[i]->call.deadline;
  }
  if (r == 0 && !loop) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "no call");
  if (r < 0 || (r = cvy_loop_check(loop)) < 0) return r;
  cvy_deadline own = cvy_deadline_in(timeout);
  cvy_loop_lock(loop);
  r = cvy_loop_wait(loop, any_over, &s, own < until ? own : until, NULL);
  int64_t found = first_over(&s);
  cvy_loop_unlock(loop);
  if (found >= 0) return (int)found;
  return cvy_fail(r, COVEY_STAGE_RECEIPT, "no call is over");
}

void covey_call_cancel(covey_pending *pending)
{
  if (!pending || cvy_loop_check(pending->loop) < 0) return;
  covey_node *node = enter(pending);
  end_wait(&pending->call, COVEY_ECANCELED);
  cvy_loop_changed(pending->loop);
  flush(pending, node);
  cvy_loop_unlock(pending->loop);
}

void covey_call_close(covey_pending *pending)
{
  covey_pending *p = pending;
  if (!p || cvy_loop_check(p->loop) < 0) return;
  covey_node *node = enter(p);
  p->closed = true;
  end_wait(&p->call, COVEY_ECANCELED);
  flush(p, node);
  if (cvy_loop_unnote(p->loop, &p->note)) p->refs--;
  if (p->timer) cvy_loop_post(p->loop, &p->task);
  unref(p);
}
