#include "msg/call.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/send.h"

#include <string.h>

/* ---- answers ---- */

int cvy_answer(covey_peer *peer, uint64_t id, uint8_t kind, int32_t status, const void *data, size_t size)
{
  uint8_t *body;
  if (peer->state != CVY_PEER_OPEN || peer->tx.broken || peer->tx.doom) return 0; /* nobody would get it */
  cvy_outlet *o = cvy_outlet_answers(peer);
  cvy_parcel *p = o ? cvy_parcel_own(kind, CVY_PREFIX + size, &body) : NULL;
  if (!p) return COVEY_ENOMEM;
  cvy_prefix_encode((uint32_t)status, body);
  if (size) memcpy(body + CVY_PREFIX, data, size);
  p->id = id;
  peer->answers += p->size;
  peer->node->answers += p->size;
  cvy_lane_add(o, p);
  return 0;
}

void cvy_answer_error(covey_peer *peer, uint64_t id, int code, const char *text)
{
  size_t size = strlen(text);
  int r = peer->node->answers > peer->node->max_memory ? COVEY_EPROTO : 0;
  if (size > CVY_ERROR_MAX) size = CVY_ERROR_MAX;
  if (r == 0) r = cvy_answer(peer, id, CVY_FRAME_ERR, code, text, size);
  if (r == 0 || peer->state == CVY_PEER_DEAD) return;
  peer->tx.doom = r;
  cvy_peer_dirty(peer);
}

/* Where so much waits already, the callers with most of it do not read, and lose their connection. */
static void make_room(covey_node *node, size_t size)
{
  while (node->answers && node->answers + size > node->max_memory) {
    covey_peer *most = NULL;
    for (covey_peer *p = node->peers; p; p = p->next)
      if (p->answers && (!most || p->answers > most->answers)) most = p;
    if (!most) return;
    cvy_peer_end(most, COVEY_EQUOTA);
  }
}

/* ---- requests that arrive ---- */

static void unlist(cvy_request *q)
{
  if (q->listed) cvy_map_remove(&q->peer->requests, &q->by_id);
  q->listed = false;
}

/* It was never handed out, and is in no queue. */
static void drop(cvy_request *q)
{
  unlist(q);
  cvy_peer_unref(q->peer);
  cvy_item_free(q->item);
  cvy_free(q);
}

bool cvy_request_new(covey_peer *peer, cvy_group *group, cvy_item *item)
{
  cvy_ask ask;
  cvy_request *q = NULL;
  item->place = group;
  if (cvy_ask_decode(cvy_item_data(item), (size_t)item->size, &ask) < 0) {
    cvy_peer_end(peer, COVEY_EPROTO);
  } else if ((q = cvy_alloc_zero(1, sizeof *q)) == NULL) {
    cvy_answer_error(peer, item->id, COVEY_ENOMEM, "the server is out of memory");
  }
  if (!q) {
    cvy_credit_return(group, item);
    cvy_item_free(item);
    return false;
  }
  q->item = item;
  q->peer = peer;
  q->group = group;
  q->loop = peer->loop;
  q->id = item->id;
  q->room = ask.room < peer->max_message ? ask.room : peer->max_message;
  q->deadline = ask.left == UINT32_MAX ? CVY_NEVER : cvy_deadline_in(ask.left);
  q->listed = true;
  cvy_map_add(&peer->requests, &q->by_id, q->id);
  item->place = q;
  return true;
}

void cvy_request_refuse(cvy_request *request, int code, const char *text)
{
  if (request->listed) cvy_answer_error(request->peer, request->id, code, text);
  drop(request);
}

/* Nobody waits for it: it leaves its queue, if it is still there. */
static void forget(cvy_request *q)
{
  unlist(q);
  if (q->out) return;
  cvy_queue_pick(&q->group->queue, q->item);
  q->group->node->items--;
  cvy_credit_return(q->group, q->item);
  drop(q);
}

void cvy_request_cancelled(covey_peer *peer, uint64_t id)
{
  cvy_map_node *n = cvy_map_find(&peer->requests, id);
  if (!n) return;
  cvy_request *q = CVY_MAP_OF(n, cvy_request, by_id);
  uint16_t number = q->group->number;
  forget(q);
  cvy_credit_now(peer, number);
  cvy_credit_serve(peer->node);
}

void cvy_requests_over(covey_peer *peer)
{
  cvy_map_node *n;
  while (peer->requests.count && (n = cvy_map_next(&peer->requests, NULL)) != NULL)
    forget(CVY_MAP_OF(n, cvy_request, by_id));
}

/* ---- requests that are handed out ---- */

cvy_request *cvy_request_take(cvy_group *group)
{
  covey_node *node = group->node;
  cvy_item *item;
  while ((item = cvy_queue_take(&group->queue)) != NULL) {
    cvy_request *q = item->place;
    node->items--;
    cvy_credit_return(group, item);
    cvy_credit_serve(node);
    if (cvy_deadline_passed(q->deadline)) {
      cvy_request_refuse(q, COVEY_ETIMEDOUT, "not handed out in time");
      continue;
    }
    q->out = true;
    cvy_group_ref(group);
    cvy_loop_ref(q->loop);
    return q;
  }
  return NULL;
}

void cvy_request_fill(cvy_request *q, covey_request *ret)
{
  *ret = (covey_request){.data = cvy_item_data(q->item) + CVY_PREFIX};
  ret->size = (size_t)q->item->size - CVY_PREFIX;
  ret->function = q->group->name;
  ret->reply_max = q->room < SIZE_MAX ? (size_t)q->room : SIZE_MAX;
  ret->priority = cvy_item_priority(q->item);
  ret->from = q->peer->identity;
  ret->peer = q->peer;
  ret->internal = q;
}

static int function_name(const char *name, bool any, const char **ret)
{
  if (!name) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "function is NULL");
  return cvy_group_name(name, any, ret);
}

struct receive {
  covey_node *node;
  cvy_group *group; /* NULL: any */
  bool handled;
};

static bool has_request(void *arg)
{
  const struct receive *w = arg;
  if (w->node->state != CVY_NODE_OPEN || (w->group && w->group->closed)) return true;
  return cvy_group_filled(w->node, w->group, CVY_FRAME_REQ, w->handled) != NULL;
}

/* Waits for a request and takes it. *ret_group: where, valid as long as the lock is held. */
static int await_request(struct receive *w, cvy_deadline deadline, covey_cancel *cancel, cvy_request **ret)
{
  for (;;) {
    int r = cvy_loop_wait(w->node->loop, has_request, w, deadline, cancel);
    if (r < 0) return cvy_fail(r, COVEY_STAGE_NONE, "no request");
    if (w->node->state != CVY_NODE_OPEN)
      return cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "the node was closed");
    if (w->group && w->group->closed)
      return cvy_fail(COVEY_ECLOSED, COVEY_STAGE_GROUP, "function %s was closed", w->group->name);
    *ret = cvy_request_take(cvy_group_filled(w->node, w->group, CVY_FRAME_REQ, w->handled));
    if (*ret) return 0;
    cvy_node_flush(w->node);
  }
}

static int find_function(covey_node *node, const char *name, cvy_group **ret)
{
  cvy_group *g = cvy_group_find(node, name, CVY_FRAME_REQ);
  int r = 0;
  if (!g) r = cvy_group_make(node, name, CVY_FRAME_REQ, &(covey_group_options){.priorities = 1}, &g);
  if (r == 0 && g->handled) r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "a handler serves %s", name);
  if (r == 0) *ret = g;
  return r;
}

static int receive(covey_node *node, const char *name, cvy_deadline deadline, covey_cancel *cancel,
                   covey_request *ret)
{
  struct receive w = {NULL, NULL, false};
  cvy_request *q = NULL;
  int r = 0;
  if (!ret) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_request is NULL");
  if (r == 0) r = function_name(name, true, &name);
  if (r == 0) r = cvy_node_enter(node, &w.node);
  if (r < 0) return r;
  if (strcmp(name, COVEY_ANY_GROUP) != 0) r = find_function(w.node, name, &w.group);
  if (r == 0) {
    if (w.group) cvy_group_ref(w.group);
    cvy_node_flush(w.node);
    r = await_request(&w, deadline, cancel, &q);
    cvy_group_unref(w.group);
  }
  if (r == 0) cvy_request_fill(q, ret);
  cvy_node_leave(w.node);
  return r;
}

int covey_call_receive(covey_node *node, const char *function, int64_t timeout, covey_request *ret_request)
{
  int r = cvy_timeout_check(timeout);
  return r < 0 ? r : receive(node, function, cvy_deadline_in(timeout), NULL, ret_request);
}

int covey_request_receive(covey_node *node, const covey_receive_options *options, covey_request *ret_request)
{
  cvy_deadline deadline;
  int r = options ? cvy_receive_check(options, &deadline)
                  : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: which function?");
  return r < 0 ? r : receive(node, options->group, deadline, options->cancel, ret_request);
}

/* ---- what the server does with one ---- */

/* Locks. NULL, recorded: it is no request, or one that was inherited by fork. */
static cvy_request *enter(const covey_request *request, int *ret_code)
{
  cvy_request *q = request ? request->internal : NULL;
  *ret_code = q ? cvy_loop_check(q->loop)
                : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "this is no received request");
  if (*ret_code < 0) return NULL;
  cvy_loop_lock(q->loop);
  return q;
}

/* What becomes of an answer to it: 0, or why nobody gets one. */
static int reason(const cvy_request *q)
{
  if (q->answered) return COVEY_EINVAL;
  if (q->peer->state == CVY_PEER_DEAD) return COVEY_EPEERDIED;
  if (q->peer->node->state != CVY_NODE_OPEN) return COVEY_ECLOSED;
  return q->listed ? 0 : q->peer->state == CVY_PEER_OPEN ? COVEY_ECANCELED : COVEY_EPEERDIED;
}

static int reply(cvy_request *q, int32_t status, const void *data, size_t size)
{
  covey_node *node = q->peer->node;
  make_room(node, size);
  if (q->peer->state == CVY_PEER_DEAD) return COVEY_EPEERDIED;
  int r = cvy_answer(q->peer, q->id, CVY_FRAME_REP, status, data, size);
  if (r < 0) return r;
  unlist(q);
  return 0;
}

int covey_call_reply(covey_request *request, int32_t status, const void *data, size_t size)
{
  static const char *const texts[] = {"it was answered already", "the caller is gone", "our node was closed",
                                      "the caller has given up", "the reply"};
  int r;
  if (!data && size) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "data is NULL");
  cvy_request *q = enter(request, &r);
  if (!q) return r;
  covey_loop *loop = q->loop;
  r = reason(q);
  if (r == 0 && size > q->room) {
    cvy_loop_unlock(loop);
    return cvy_fail(COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, "the caller takes %llu bytes as a reply, not %llu",
                    (unsigned long long)q->room, (unsigned long long)size);
  }
  if (r == 0) {
    covey_node *node = q->peer->node;
    node->users++;
    r = reply(q, status, data, size);
    if (r != COVEY_ENOMEM) q->answered = true;
    cvy_node_leave(node);
  } else {
    q->answered = true;
    cvy_loop_unlock(loop);
  }
  if (r == 0) return 0;
  int which = r == COVEY_EINVAL      ? 0
              : r == COVEY_EPEERDIED ? 1
              : r == COVEY_ECLOSED   ? 2
              : r == COVEY_ECANCELED ? 3
                                     : 4;
  return cvy_fail(r, r == COVEY_EINVAL ? COVEY_STAGE_ARGUMENTS : COVEY_STAGE_WRITE, "%s", texts[which]);
}

static bool is_unwanted(void *arg)
{
  const cvy_request *q = arg;
  return q->answered || !q->listed || q->peer->state == CVY_PEER_DEAD || cvy_deadline_passed(q->deadline);
}

int covey_request_wanted(const covey_request *request)
{
  int r;
  cvy_request *q = enter(request, &r);
  if (!q) return r;
  if (!is_unwanted(q)) cvy_loop_wait(q->loop, is_unwanted, q, cvy_deadline_in(0), NULL); /* a look */
  r = !is_unwanted(q);
  cvy_loop_unlock(q->loop);
  return r;
}

int64_t covey_request_left(const covey_request *request)
{
  if (covey_request_wanted(request) <= 0) return 0;
  const cvy_request *q = request->internal;
  return cvy_deadline_left(q->deadline);
}

void covey_request_free(covey_request *request)
{
  int r;
  if (!request) return;
  cvy_request *q = request->internal;
  if (q && enter(request, &r)) {
    covey_loop *loop = q->loop;
    covey_node *node = reason(q) == 0 ? q->peer->node : NULL;
    cvy_group *group = q->group;
    if (node) {
      node->users++;
      cvy_answer_error(q->peer, q->id, COVEY_EFAILED, "the server let go of the request without an answer");
    }
    drop(q);
    cvy_group_unref(group);
    if (node)
      cvy_node_leave(node);
    else
      cvy_loop_unlock(loop);
    cvy_loop_release(loop);
  }
  *request = (covey_request){0};
}

/* ---- handlers ---- */

int covey_serve(covey_node *node, const char *function, void (*handler)(covey_request *request, void *arg),
                void *arg)
{
  cvy_group *g = NULL;
  int r = function_name(function, false, &function);
  if (r == 0 && !handler) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "handler is NULL");
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  if (cvy_group_find(node, function, CVY_FRAME_REQ))
    r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "function %s is served already", function);
  else
    r = find_function(node, function, &g);
  if (r == 0) {
    g->on_request = handler;
    cvy_handler_set(g, arg);
  }
  cvy_node_leave(node);
  return r;
}

int covey_serve_run(covey_node *node, int64_t timeout, covey_cancel *cancel)
{
  struct receive w = {NULL, NULL, true};
  cvy_request *q = NULL;
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = cvy_node_enter(node, &w.node);
  if (r < 0) return r;
  r = await_request(&w, cvy_deadline_in(timeout), cancel, &q);
  if (r < 0) {
    cvy_node_leave(w.node);
    return r;
  }
  cvy_due due;
  cvy_request_fill(q, &due.request);
  cvy_handler_bind(q->group, &due);
  cvy_node_leave(w.node);
  cvy_handler_run(&due);
  return 0;
}

int covey_serve_close(covey_node *node, const char *function)
{
  int r = function_name(function, false, &function);
  return r < 0 ? r : cvy_group_close_named(node, function, CVY_FRAME_REQ);
}
