#include "msg/topic.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"

#include <string.h>

enum { SUBSCRIBERS = 1024 };

struct covey_topic {
  covey_topic *next; /* of its node's */
  covey_node *node;  /* NULL: it was closed */
  covey_loop *loop;  /* counted */
  cvy_outlet *first; /* its subscribers */
  uint32_t count, max_count;
  uint64_t number;   /* of the next message */
  cvy_payload *kept; /* the last one; NULL: none */
  bool keep;
  bool busy; /* a publisher waits for room: others have to wait for it, so that all see one order */
  int slow;
  uint64_t max_bytes, max_message;
  size_t name_size;
  char name[COVEY_NAME_MAX + 1];
};

/* ---- payloads and parcels ---- */

static uint8_t *bytes_of(cvy_payload *payload)
{
  return (uint8_t *)(payload + 1);
}

static void release(cvy_payload *payload)
{
  if (!payload || --payload->refs) return;
  if (payload->node) payload->node->published -= sizeof *payload + payload->size;
  cvy_free(payload);
}

/* One frame for one subscriber. */
typedef struct ticket {
  cvy_parcel parcel;
  covey_buffer buffers[2];
  uint8_t prefix[CVY_PREFIX];
} ticket;

void cvy_payload_spent(cvy_payload *payload)
{
  payload->node->published -= sizeof(ticket);
  release(payload);
}

/* Puts a frame into o. payload: NULL for BEGIN and END. reserve: only if there is room at the subscriber. False: there is none, or no memory. */
static bool put(cvy_outlet *o, const cvy_pub *pub, cvy_payload *payload, bool reserve)
{
  ticket *t = cvy_alloc_zero(1, sizeof *t);
  if (!t) return false;
  cvy_parcel *p = &t->parcel;
  t->buffers[0] = (covey_buffer){t->prefix, cvy_pub_encode(pub, t->prefix)};
  p->buffers = t->buffers;
  p->count = 1;
  p->size = CVY_PREFIX;
  if (payload) {
    t->buffers[1] = (covey_buffer){bytes_of(payload), payload->size};
    p->count = 2;
    p->size += payload->size;
  }
  p->large = p->size > CVY_FRAGMENT;
  p->kind = CVY_FRAME_PUB;
  p->abandoned = true;
  if (reserve && !cvy_outlet_charge(o, p)) {
    cvy_free(t);
    return false;
  }
  if (payload) {
    p->payload = payload;
    payload->refs++;
    payload->node->published += sizeof *t;
  }
  cvy_lane_add(o, p);
  return true;
}

/* Takes the oldest message of which nothing was sent out of o. False: there is none. */
static bool evict(cvy_outlet *o)
{
  for (cvy_parcel *p = o->closed ? NULL : o->first; p; p = p->next) {
    if (!p->payload || p->started || p->planned) continue;
    cvy_lane_abandon(p, o->peer);
    cvy_parcel_free(p);
    return true;
  }
  return false;
}

/* Makes room for cost bytes in the node: what waits for the slowest goes, and if that does not help, its connection. */
static int make_room(covey_node *node, uint64_t cost)
{
  while (node->published + cost > node->max_memory) {
    cvy_outlet *most = NULL;
    for (covey_peer *p = node->peers; p; p = p->next) {
      for (cvy_map_node *n = NULL; (n = cvy_map_next(&p->outlets, n)) != NULL;) {
        cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_number);
        if (o->waiting > (most ? most->waiting : 0)) most = o;
      }
    }
    if (!most)
      return cvy_fail(COVEY_EQUOTA, COVEY_STAGE_ROOM, "the kept messages of topics take all of max_memory");
    bool some = false;
    while (evict(most)) some = true;
    if (!some) cvy_peer_end(most->peer, COVEY_EQUOTA);
  }
  return 0;
}

/* ---- subscribers ---- */

void cvy_topic_left(cvy_outlet *outlet)
{
  covey_topic *t = outlet->topic;
  if (!t) return;
  cvy_outlet **at = &t->first;
  while (*at != outlet) at = &(*at)->next_subscriber;
  *at = outlet->next_subscriber;
  outlet->topic = NULL;
  outlet->topic_over = true;
  t->count--;
}

static bool is_there(const covey_peer *peer)
{
  return peer->state == CVY_PEER_OPEN && !peer->tx.broken && !peer->tx.bye && !peer->tx.doom;
}

/* Without memory for the word its connection ends: nothing is worse than a subscriber who waits for ever. Behind our good-bye nobody may hear it. */
static void say(cvy_outlet *o, const cvy_pub *pub)
{
  if (!is_there(o->peer) || put(o, pub, NULL, false)) return;
  o->peer->tx.doom = COVEY_ENOMEM;
  cvy_peer_dirty(o->peer);
}

static void end(const covey_topic *t, cvy_outlet *o, int code)
{
  cvy_topic_left(o);
  o->topic_over = true; /* also of one that was not let in */
  /* END has to wait for room, and may not get it before the node is closed */
  if (is_there(o->peer)) cvy_lane_gap(o, t->number);
  say(o, &(cvy_pub){.number = t->number, .code = code, .what = CVY_PUB_END});
}

void cvy_topics_bye(covey_peer *peer)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->outlets, n)) != NULL;) {
    cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_number);
    if (o->topic) end(o->topic, o, COVEY_ECLOSED);
  }
}

static void join(covey_topic *t, cvy_outlet *o)
{
  if (t->count >= t->max_count) {
    end(t, o, COVEY_EQUOTA);
    return;
  }
  o->topic = t;
  o->next_subscriber = t->first;
  o->offered = t->number - 1;
  t->first = o;
  t->count++;
  cvy_pub begin = {.number = t->number - (t->kept != NULL), .what = CVY_PUB_BEGIN};
  begin.drop_old = t->slow == COVEY_SLOW_DROP_OLD;
  say(o, &begin);
  /* what is not put is a gap, as every message */
  if (t->kept && t->kept->size <= o->peer->max_message)
    put(o, &(cvy_pub){.number = begin.number, .what = CVY_PUB_KEPT}, t->kept, false);
  cvy_loop_changed(t->loop);
}

static covey_topic *find_topic(const covey_node *node, const char *name, size_t size)
{
  covey_topic *t = node->topics;
  while (t && (t->name_size != size || memcmp(t->name, name, size) != 0)) t = t->next;
  return t;
}

void cvy_topic_subscribed(cvy_outlet *outlet)
{
  covey_topic *t = find_topic(outlet->peer->node, outlet->name, outlet->name_size);
  if (t && is_there(outlet->peer)) join(t, outlet);
}

/* ---- opening and closing ---- */

int covey_topic_open(covey_node *node, const char *name, const covey_topic_options *options,
                     covey_topic **ret_topic)
{
  static const covey_topic_options all_default;
  const covey_topic_options *o = options ? options : &all_default;
  covey_topic *t = NULL;
  int r = name ? cvy_group_name(name, false, &name)
               : cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "name is NULL");
  if (r < 0) return r;
  if (!ret_topic) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_topic is NULL");
  if (o->slow < COVEY_SLOW_DROP_NEW || o->slow > COVEY_SLOW_END)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "slow is none of COVEY_SLOW_...");
  if (o->keep_last & ~1) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "keep_last is neither 0 nor 1");
  if (o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a reserved word is not zero");
  r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  size_t size = strlen(name);
  if (find_topic(node, name, size))
    r = COVEY_EEXIST;
  else if (node->topic_count >= CVY_GROUPS_MAX)
    r = COVEY_ELIMIT;
  else if ((t = cvy_alloc_zero(1, sizeof *t)) == NULL)
    r = COVEY_ENOMEM;
  if (r == 0) {
    cvy_loop_ref(node->loop);
    *t = (covey_topic){.next = node->topics, .node = node, .loop = node->loop, .number = 1};
    t->max_count = o->max_subscribers ? o->max_subscribers : SUBSCRIBERS;
    t->max_bytes = o->max_bytes ? o->max_bytes : node->window;
    t->max_message = node->max_message;
    t->slow = o->slow;
    t->keep = o->keep_last != 0;
    t->name_size = size;
    memcpy(t->name, name, size);
    node->topics = t;
    node->topic_count++;
    for (covey_peer *p = node->peers; p; p = p->next) {
      uint64_t key = cvy_map_hash(p->outlet_names.seed, name, size);
      for (cvy_map_node *n = cvy_map_find(&p->outlet_names, key); n; n = cvy_map_again(n)) {
        cvy_outlet *out = CVY_MAP_OF(n, cvy_outlet, by_name);
        if (out->kind == CVY_FRAME_PUB && !out->topic && !out->topic_over && out->name_size == size &&
            memcmp(out->name, name, size) == 0 && is_there(p))
          join(t, out);
      }
    }
    *ret_topic = t;
  } else {
    cvy_fail(r, COVEY_STAGE_GROUP, "topic %s", name);
  }
  cvy_node_leave(node);
  return r;
}

void cvy_topics_fini(covey_node *node)
{
  for (covey_topic *t = node->topics; t; t = t->next) {
    while (t->first) cvy_topic_left(t->first);
    release(t->kept);
    t->kept = NULL;
    t->node = NULL;
  }
  node->topics = NULL;
}

/* Locks, and holds the node: NULL, unlocked and recorded, when it was closed. */
static covey_node *enter(covey_topic *t)
{
  cvy_loop_lock(t->loop);
  covey_node *node = t->node;
  if (node && node->state == CVY_NODE_OPEN) {
    node->users++;
    return node;
  }
  cvy_loop_unlock(t->loop);
  cvy_fail(COVEY_ECLOSED, COVEY_STAGE_NONE, "the node was closed");
  return NULL;
}

void covey_topic_close(covey_topic *topic)
{
  covey_topic *t = topic;
  if (!t || cvy_loop_check(t->loop) < 0) return;
  cvy_loop_lock(t->loop);
  covey_node *node = t->node;
  if (node) {
    while (t->first) end(t, t->first, COVEY_ECLOSED);
    covey_topic **at = &node->topics;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    node->topic_count--;
    release(t->kept);
  }
  if (node && node->state == CVY_NODE_OPEN) {
    node->users++;
    cvy_node_leave(node);
  } else {
    cvy_loop_unlock(t->loop);
  }
  cvy_loop_release(t->loop);
  cvy_free(t);
}

/* ---- publishing ---- */

typedef struct edition {
  covey_topic *topic;
  covey_node *node;
  cvy_payload *payload;
  uint64_t number;
  int sent;
} edition;

/* Whether a subscriber has room for it, over there and here. */
static bool fits(const edition *e, const cvy_outlet *o)
{
  uint64_t size = CVY_PREFIX + e->payload->size;
  if (o->waiting && o->waiting + size > e->topic->max_bytes) return false;
  return (!o->last || o->last->charged) && cvy_outlet_affords(o, size + CVY_CHARGE_FIXED, NULL);
}

static bool is_due(const edition *e, const cvy_outlet *o)
{
  return o->offered < e->number && is_there(o->peer) && e->payload->size <= o->peer->max_message;
}

/* Offers it to those who have not got it; the ones without room are left, or (last) dealt with. True: some are left. */
static bool offer(edition *e, bool last)
{
  covey_topic *t = e->topic;
  const cvy_pub pub = {.number = e->number, .what = CVY_PUB_DATA};
  bool left = false, old = t->slow == COVEY_SLOW_DROP_OLD;
  for (cvy_outlet *o = t->first, *next; o; o = next) {
    next = o->next_subscriber;
    if (!is_due(e, o)) {
      o->offered = e->number;
      continue;
    }
    while (old && o->waiting && o->waiting + CVY_PREFIX + e->payload->size > t->max_bytes && evict(o))
      continue;
    if (!old && !fits(e, o)) {
      left = !last;
      if (last) o->offered = e->number;
      if (last && t->slow == COVEY_SLOW_END) end(t, o, COVEY_EQUOTA);
      continue;
    }
    e->sent += put(o, &pub, e->payload, !old);
    o->offered = e->number;
  }
  return left;
}

static bool may_go_on(void *arg)
{
  const edition *e = arg;
  bool left = false;
  if (e->node->state != CVY_NODE_OPEN) return true;
  for (const cvy_outlet *o = e->topic->first; o; o = o->next_subscriber) {
    if (!is_due(e, o)) continue;
    if (fits(e, o)) return true;
    left = true;
  }
  return !left;
}

static bool is_my_turn(void *arg)
{
  const edition *e = arg;
  return !e->topic->busy || e->node->state != CVY_NODE_OPEN;
}

/* Some have no room: waits for it, or looks whether the system has brought it already where nobody looks all the time. */
static int wait_for_room(edition *e, cvy_deadline deadline, covey_cancel *cancel)
{
  covey_topic *t = e->topic;
  int r = 0;
  bool left = t->slow == COVEY_SLOW_BLOCK;
  t->busy = true;
  if (left) cvy_node_flush(e->node);
  if (!left && cvy_loop_enter(t->loop)) {
    cvy_loop_unlock(t->loop);
    cvy_loop_leave(t->loop);
    cvy_loop_lock(t->loop);
  }
  while (left && r == 0) {
    r = cvy_loop_wait(t->loop, may_go_on, e, deadline, cancel);
    if (r == 0 && e->node->state != CVY_NODE_OPEN) r = COVEY_ECLOSED;
    if (r == 0) left = offer(e, false);
    cvy_node_flush(e->node);
  }
  offer(e, true);
  t->busy = false;
  cvy_loop_changed(t->loop);
  return r;
}

/* Gives it to all subscribers there are. The node is entered. */
static int spread(edition *e, cvy_deadline deadline, covey_cancel *cancel)
{
  covey_topic *t = e->topic;
  int r = 0;
  if (t->slow != COVEY_SLOW_BLOCK) deadline = CVY_NEVER; /* others are soon done */
  if (t->busy) r = cvy_loop_wait(t->loop, is_my_turn, e, deadline, cancel);
  if (r == 0 && e->node->state != CVY_NODE_OPEN) r = COVEY_ECLOSED;
  if (r < 0)
    return cvy_fail_far(cvy_fail(r, COVEY_STAGE_ROOM, "topic %s: its turn", t->name), COVEY_FAR_NOTHING);
  r = make_room(e->node, sizeof *e->payload + e->payload->size);
  if (r < 0) return r;
  e->payload->node = e->node;
  e->node->published += sizeof *e->payload + e->payload->size;
  e->number = t->number++;
  if (t->keep) {
    release(t->kept);
    t->kept = e->payload;
    e->payload->refs++;
  }
  bool left = offer(e, false);
  if (left) r = wait_for_room(e, deadline, cancel);
  if (r < 0) {
    cvy_fail(r, COVEY_STAGE_ROOM, "topic %s: not every subscriber had room", t->name);
    return cvy_fail_far(r, COVEY_FAR_MAYBE);
  }
  return e->sent;
}

static int publish(covey_topic *t, int64_t timeout, covey_cancel *cancel, const covey_buffer *buffers,
                   size_t count)
{
  uint64_t size = 0;
  int r = cvy_timeout_check(timeout);
  if (r == 0 && !t) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "topic is NULL");
  if (r == 0) r = cvy_loop_check(t->loop);
  for (size_t i = 0; r == 0 && i < count; i++) {
    if (!buffers[i].data && buffers[i].size)
      r = cvy_fail_at(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, (int64_t)i, -1, "data is NULL");
    else if (buffers[i].size > t->max_message - size)
      r = cvy_fail(COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, "topic %s: longer than max_message", t->name);
    else
      size += buffers[i].size;
  }
  if (r < 0) return r;
  cvy_payload *p = cvy_alloc(sizeof *p + (size_t)size);
  if (!p) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "message");
  *p = (cvy_payload){.refs = 1, .size = (size_t)size};
  uint8_t *to = bytes_of(p);
  for (size_t i = 0; i < count; i++) {
    if (buffers[i].size) memcpy(to, buffers[i].data, buffers[i].size);
    to += buffers[i].size;
  }
  edition e = {.topic = t, .payload = p, .node = enter(t)};
  if (!e.node) {
    cvy_free(p);
    return COVEY_ECLOSED;
  }
  r = spread(&e, cvy_deadline_in(timeout), cancel);
  release(p);
  cvy_node_leave(e.node);
  return r;
}

int covey_publish(covey_topic *topic, const void *data, size_t size, int64_t timeout)
{
  return publish(topic, timeout, NULL, &(covey_buffer){data, size}, 1);
}

int covey_topic_publish(covey_topic *topic, const covey_publish_options *options, const covey_buffer *buffers,
                        size_t count)
{
  static const covey_publish_options all_default;
  const covey_publish_options *o = options ? options : &all_default;
  if (!cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_publish_options");
  if (count && !buffers) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "buffers are NULL");
  return publish(topic, cvy_option_time(o->timeout, COVEY_FOREVER), o->cancel, buffers, count);
}

struct audience {
  const covey_topic *topic;
  const covey_node *node;
  uint32_t least;
};

static bool are_there(void *arg)
{
  const struct audience *w = arg;
  return w->topic->count >= w->least || w->node->state != CVY_NODE_OPEN;
}

int covey_topic_wait(covey_topic *topic, uint32_t subscribers, int64_t timeout)
{
  int r = cvy_timeout_check(timeout);
  if (r == 0 && !topic) r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "topic is NULL");
  if (r == 0) r = cvy_loop_check(topic->loop);
  if (r < 0) return r;
  covey_node *node = enter(topic);
  if (!node) return COVEY_ECLOSED;
  struct audience w = {topic, node, subscribers};
  r = cvy_loop_wait(topic->loop, are_there, &w, cvy_deadline_in(timeout), NULL);
  if (r == 0 && node->state != CVY_NODE_OPEN) r = COVEY_ECLOSED;
  if (r == 0)
    r = (int)topic->count;
  else
    cvy_fail(r, COVEY_STAGE_NONE, "topic %s has %u subscribers", topic->name, (unsigned)topic->count);
  cvy_node_leave(node);
  return r;
}
