#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/send.h"
#include "msg/topic.h"

/* ---- what the connection tells ---- */

/* From here on old messages make room here: their credit goes back as they arrive. */
static int drop_old(cvy_group *g)
{
  covey_node *node = g->node;
  if (node->lent + g->window > node->max_memory / 2) return COVEY_EQUOTA;
  node->lent += g->window;
  g->full = COVEY_FULL_DROP_OLD;
  cvy_queue_init(&g->queue, g->window, g->max_count, false);
  return 0;
}

/* BEGIN and END. COVEY_EPROTO: out of place. */
static int event(covey_subscription *s, const cvy_pub *pub)
{
  bool begin = pub->what == CVY_PUB_BEGIN;
  if (s->over || (begin && s->began) || (!begin && s->began && pub->number < s->arrived)) return COVEY_EPROTO;
  if (begin) {
    s->began = true;
    s->next = s->arrived = pub->number;
    if (pub->drop_old) s->over = drop_old(s->group);
  } else {
    s->arrived = pub->number;
    s->over = pub->code;
  }
  return 0;
}

static int message(covey_subscription *s, const cvy_pub *pub)
{
  if (s->over || !s->began || pub->number < s->arrived) return COVEY_EPROTO;
  s->arrived = pub->number + 1;
  return 1;
}

void cvy_topic_arrived(covey_peer *peer, cvy_group *group, cvy_item *item)
{
  covey_subscription *s = group->subscription;
  cvy_pub pub;
  int r = cvy_pub_decode(cvy_item_data(item), (size_t)item->size, &pub);
  bool old = group->full == COVEY_FULL_DROP_OLD;
  item->place = group;
  if (r == 0 && s->over != COVEY_EQUOTA) /* else it is what was on its way */
    r = pub.what >= CVY_PUB_BEGIN ? event(s, &pub) : message(s, &pub);
  if (old || r <= 0) cvy_credit_return(group, item);
  if (r > 0) {
    if (old) cvy_group_evict(group, item->size);
    cvy_peer_ref(peer);
    cvy_queue_push(&group->queue, item);
    group->node->items++;
  } else {
    cvy_item_free(item);
  }
  if (r < 0) cvy_peer_end(peer, r);
  cvy_handler_due(group);
  cvy_loop_changed(group->loop);
}

void cvy_topic_ends(cvy_group *group, uint64_t number)
{
  group->subscription->end = number;
}

void cvy_topics_over(covey_peer *peer, int code)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->inlets, n)) != NULL;) {
    cvy_inlet *in = CVY_MAP_OF(n, cvy_inlet, by_number);
    covey_subscription *s = in->closed || in->group->kind != CVY_FRAME_PUB ? NULL : in->group->subscription;
    if (s && !s->over) s->over = code;
  }
}

/* ---- subscribing ---- */

int cvy_subscription_open(covey_peer *peer, const char *topic, const covey_group_options *room,
                          covey_subscription *ret)
{
  cvy_group *g = NULL;
  int r = cvy_group_make(peer->node, topic, CVY_FRAME_PUB, room, &g);
  if (r < 0) return r;
  cvy_group_ref(g);
  g->subscription = ret;
  *ret = (covey_subscription){.group = g, .loop = peer->loop};
  if (cvy_inlet_open(peer, g) == 0) return 0;
  cvy_subscription_close(ret);
  return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_GROUP, "topic %s", topic);
}

void cvy_subscription_close(covey_subscription *s)
{
  if (!s->group->closed) cvy_group_close(s->group->node, s->group);
  cvy_group_unref(s->group);
}

static bool is_open(const covey_subscription *s)
{
  return !s->group->closed && s->group->node->state == CVY_NODE_OPEN;
}

static bool is_settled(void *arg)
{
  const covey_subscription *s = arg;
  return s->began || s->over || !is_open(s);
}

/* What the wait for the answer has brought. */
static int outcome(const covey_subscription *sub, const cvy_send *s, int r)
{
  const char *why = "it has not opened this topic";
  if (!is_open(sub)) {
    r = COVEY_ECLOSED;
    why = "our node was closed";
  } else if (sub->over && (!sub->began || sub->over == COVEY_EQUOTA)) {
    if (s->peer->state != CVY_PEER_OPEN && !s->goal.peer)
      return CVY_SEND_RETRY; /* perhaps another comes in time */
    r = sub->over;
    why = r == COVEY_EQUOTA ? "no room for one more subscriber" : "it has ended";
  } else if (r == COVEY_ETIMEDOUT) {
    r = sub->began ? 0 : COVEY_ENOTFOUND;
  }
  return r < 0 ? cvy_send_fail(s, r, COVEY_STAGE_GROUP, COVEY_FAR_NOTHING, why) : 0;
}

/* s->parcel.want_ack: the publisher's answer is waited for. */
static int join_once(covey_node *node, cvy_send *s, const covey_group_options *room, covey_subscription *sub)
{
  int r = cvy_address_find(node, &s->goal, s->deadline, s->cancel, &s->peer);
  if (r < 0) return r;
  r = cvy_subscription_open(s->peer, s->group, room, sub);
  if (r == 0) {
    cvy_node_flush(node);
    if (s->parcel.want_ack) r = cvy_loop_wait(node->loop, is_settled, sub, s->deadline, s->cancel);
    r = outcome(sub, s, r);
    if (r != 0) cvy_subscription_close(sub);
  }
  cvy_peer_unref(s->peer);
  s->peer = NULL;
  return r;
}

static int check(const covey_subscribe_options *o, int64_t timeout, cvy_send *s)
{
  if ((o->flags & ~(uint32_t)COVEY_SUBSCRIBE_TRY) || !cvy_is_zero(o->reserved, 6))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS,
                    "flags or reserved words of covey_subscribe_options");
  if (!o->topic) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "topic is NULL");
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = cvy_send_goal(o->pid, o->name, o->peer, o->reply_to, &s->goal);
  if (r == 0) r = cvy_group_name(o->topic, false, &s->group);
  s->goal.once = timeout == 0;
  s->deadline = cvy_deadline_in(timeout);
  s->cancel = o->cancel;
  s->parcel.kind = CVY_FRAME_PUB;
  s->parcel.want_ack = !(o->flags & COVEY_SUBSCRIBE_TRY);
  return r;
}

static int subscribe(covey_node *node, const covey_subscribe_options *o, int64_t timeout,
                     covey_subscription **ret)
{
  cvy_send s = {.id = 0};
  covey_group_options room = {.max_bytes = o->max_bytes, .max_count = o->max_count};
  int r = check(o, timeout, &s);
  if (r == 0 && !ret) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_subscription is NULL");
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  covey_subscription *sub = cvy_alloc(sizeof *sub);
  if (!sub)
    r = cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "subscription");
  else if (s.goal.peer && s.goal.peer->node != node)
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a peer of another node");
  else
    do r = join_once(node, &s, &room, sub);
    while (r == CVY_SEND_RETRY);
  if (r == 0) {
    cvy_loop_ref(node->loop);
    *ret = sub;
  } else {
    cvy_free(sub);
  }
  cvy_node_leave(node);
  return r;
}

int covey_subscribe(covey_node *node, int64_t pid, const char *topic, int64_t timeout,
                    covey_subscription **ret_subscription)
{
  return subscribe(node, &(covey_subscribe_options){.pid = pid, .topic = topic}, timeout, ret_subscription);
}

int covey_topic_subscribe(covey_node *node, const covey_subscribe_options *options,
                          covey_subscription **ret_subscription)
{
  if (!options) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options are NULL: whose topic?");
  int64_t timeout =
      options->flags & COVEY_SUBSCRIBE_TRY ? 0 : cvy_option_time(options->timeout, COVEY_FOREVER);
  return subscribe(node, options, timeout, ret_subscription);
}

void covey_unsubscribe(covey_subscription *subscription)
{
  covey_subscription *s = subscription;
  if (!s || cvy_loop_check(s->loop) < 0) return;
  cvy_loop_lock(s->loop);
  cvy_handler_drop(s->group, false);
  covey_node *node = is_open(s) ? s->group->node : NULL;
  cvy_subscription_close(s);
  if (node) {
    node->users++;
    cvy_node_leave(node);
  } else {
    cvy_loop_unlock(s->loop);
  }
  cvy_loop_release(s->loop);
  cvy_free(s);
}

/* ---- messages ---- */

bool cvy_subscription_has_next(const covey_subscription *s)
{
  return !is_open(s) || s->group->queue.count || s->over;
}

static bool has_next(void *arg)
{
  const covey_subscription *s = arg;
  return s->group->handled || cvy_subscription_has_next(s);
}

static void hand_out(covey_subscription *s, covey_message *ret)
{
  cvy_pub pub;
  cvy_message_take(s->group, ret);
  cvy_pub_decode(ret->data, ret->size, &pub);
  ret->data = (const uint8_t *)ret->data + CVY_PREFIX;
  ret->size -= CVY_PREFIX;
  ret->kind = pub.what == CVY_PUB_KEPT ? COVEY_KIND_KEPT : COVEY_KIND_PUBLISHED;
  ret->lost = pub.number - s->next;
  s->lost += ret->lost;
  s->next = pub.number + 1;
}

int cvy_subscription_take(covey_subscription *s, covey_message *ret)
{
  int r = s->over;
  if (!is_open(s)) {
    r = COVEY_ECLOSED;
  } else if (s->group->queue.count) {
    hand_out(s, ret);
    return 0;
  } else {
    uint64_t end = s->began && s->end > s->arrived ? s->end : s->arrived;
    s->lost += end - s->next;
    s->next = end;
  }
  return cvy_fail(r, COVEY_STAGE_NONE, "topic %s", s->group->name);
}

static int next_message(covey_subscription *s, cvy_deadline deadline, covey_cancel *cancel,
                        covey_message *ret)
{
  int r = s && ret ? cvy_loop_check(s->loop)
                   : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "subscription or ret_message is NULL");
  if (r < 0) return r;
  cvy_loop_lock(s->loop);
  covey_node *node = is_open(s) ? s->group->node : NULL;
  if (!node) {
    cvy_loop_unlock(s->loop);
    return cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "the node was closed");
  }
  node->users++;
  r = cvy_loop_wait(s->loop, has_next, s, deadline, cancel);
  if (r < 0)
    cvy_fail(r, COVEY_STAGE_NONE, "topic %s", s->group->name);
  else if (s->group->handled)
    r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_NONE, "a callback has the messages of topic %s", s->group->name);
  else
    r = cvy_subscription_take(s, ret);
  cvy_node_leave(node);
  return r;
}

int covey_topic_next(covey_subscription *subscription, int64_t timeout, covey_message *ret_message)
{
  int r = cvy_timeout_check(timeout);
  return r < 0 ? r : next_message(subscription, cvy_deadline_in(timeout), NULL, ret_message);
}

int covey_topic_receive(covey_subscription *subscription, const covey_receive_options *options,
                        covey_message *ret_message)
{
  cvy_deadline deadline;
  covey_cancel *cancel;
  int r = cvy_receive_check_plain(options, &deadline, &cancel);
  return r < 0 ? r : next_message(subscription, deadline, cancel, ret_message);
}

int covey_topic_on_message(covey_subscription *subscription,
                           void (*on_message)(covey_message *message, int code, void *arg), void *arg)
{
  if (!subscription) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "subscription is NULL");
  return cvy_handler_stream(subscription->loop, subscription->group, on_message, arg);
}

uint64_t covey_subscription_lost(covey_subscription *subscription)
{
  covey_subscription *s = subscription;
  if (!s || cvy_loop_check(s->loop) < 0) return 0;
  cvy_loop_lock(s->loop);
  uint64_t lost = s->lost;
  cvy_loop_unlock(s->loop);
  return lost;
}
