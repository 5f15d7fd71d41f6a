#include "msg/group.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "msg/call.h"
#include "msg/channel.h"
#include "msg/handler.h"
#include "msg/topic.h"

#include <string.h>

static const char standard_name[] = "default";

enum {
  HANDLES_COUNT =
      16 /* messages that a sender may have waiting, where they may bring handles and nobody says how many */
};

int cvy_group_name(const char *name, bool any, const char **ret_name)
{
  if (!name) name = standard_name;
  size_t size = strlen(name);
  if (size == 0 || size > COVEY_NAME_MAX) {
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "name \"%.64s\" has %s", name,
                    size ? "more than 64 bytes" : "no character");
  }
  if (!any && strcmp(name, COVEY_ANY_GROUP) == 0) {
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "name \"*\" (COVEY_ANY_GROUP) is for receiving");
  }
  *ret_name = name;
  return 0;
}

cvy_group *cvy_group_find(const covey_node *node, const char *name, uint8_t kind)
{
  size_t size = strlen(name);
  uint64_t key = cvy_map_hash(node->groups.seed, name, size);
  for (cvy_map_node *n = cvy_map_find(&node->groups, key); n; n = cvy_map_again(n)) {
    cvy_group *g = CVY_MAP_OF(n, cvy_group, by_name);
    if (g->kind == kind && g->name_size == size && memcmp(g->name, name, size) == 0) return g;
  }
  return NULL;
}

void cvy_group_ref(cvy_group *group)
{
  cvy_add_u32(&group->refs, 1);
}

void cvy_group_unref(cvy_group *group)
{
  if (group && cvy_add_u32(&group->refs, UINT32_MAX) == 1) cvy_free(group);
}

/* ---- numbers: the smallest ones, so that tables stay dense; used again once every peer has answered the close ---- */

static int take_number(covey_node *node, cvy_group *group)
{
  uint32_t i = node->number_hint;
  while (i < node->number_count && node->numbers[i]) i++;
  if (i > CVY_GROUPS_MAX) return COVEY_ELIMIT;
  if (i >= node->number_count) {
    uint32_t count = node->number_count ? node->number_count * 2 : 8;
    cvy_group **numbers = cvy_realloc_array(node->numbers, count, sizeof(cvy_group *));
    if (!numbers) return COVEY_ENOMEM;
    memset(numbers + node->number_count, 0, (count - node->number_count) * sizeof(cvy_group *));
    node->numbers = numbers;
    node->number_count = count;
  }
  node->numbers[i] = group;
  node->number_hint = i + 1;
  group->number = (uint16_t)i;
  return 0;
}

static void free_number(covey_node *node, cvy_group *group)
{
  node->numbers[group->number] = NULL;
  if (group->number < node->number_hint) node->number_hint = group->number;
}

void cvy_group_answered(covey_node *node, cvy_group *group)
{
  if (!group->closed) return;
  free_number(node, group);
  cvy_group_unref(group);
}

/* ---- open and close ---- */

static void limits(const covey_node *node, const covey_group_options *options, cvy_group *g)
{
  uint64_t bytes = options && options->max_bytes ? options->max_bytes : node->window;
  if (bytes < CVY_WINDOW_LEAST) bytes = CVY_WINDOW_LEAST;
  g->window = bytes;
  g->max_count = options ? options->max_count : 0;
  g->full = options ? options->full : COVEY_FULL_BLOCK;
  g->priorities = options && options->priorities;
  if (g->full == COVEY_FULL_DROP_NEW) g->flags |= CVY_GROUP_DROP_NEW;
  if (g->full == COVEY_FULL_DROP_OLD) g->flags |= CVY_GROUP_DROP_OLD;
  if (g->priorities) g->flags |= CVY_GROUP_PRIORITIES;
  if (g->kind == CVY_FRAME_REQ) g->flags |= CVY_GROUP_FUNCTION;
  if (g->kind == CVY_FRAME_GROUP_OPEN) g->flags |= CVY_GROUP_ENDPOINT;
  if (g->kind == CVY_FRAME_PUB) g->flags |= CVY_GROUP_TOPIC;
  if (options && options->handles) g->flags |= CVY_GROUP_HANDLES;
  if (options && options->handles && !g->max_count) g->max_count = HANDLES_COUNT;
  if (g->full == COVEY_FULL_DROP_OLD) { /* bounded here; its window only keeps a flood in bounds */
    cvy_queue_init(&g->queue, bytes, g->max_count, g->priorities);
    g->max_count = 0;
  } else {
    cvy_queue_init(&g->queue, 0, 0, g->priorities);
  }
}

static uint64_t reserved(const cvy_group *g)
{
  return g->full == COVEY_FULL_DROP_OLD ? g->queue.max_bytes : 0;
}

/* One that nobody has been told of. */
static int make(covey_node *node, const char *name, uint8_t kind, const covey_group_options *options,
                cvy_group **ret)
{
  cvy_group *g = cvy_alloc_zero(1, sizeof *g);
  int r = g ? 0 : COVEY_ENOMEM;
  if (r < 0) return cvy_fail(r, COVEY_STAGE_GROUP, "%s", name);
  g->refs = 1;
  g->node = node;
  g->loop = node->loop;
  g->kind = kind;
  g->name_size = (uint8_t)strlen(name);
  memcpy(g->name, name, g->name_size);
  limits(node, options, g);
  if (g->window > node->max_memory / 2 || g->window > UINT32_MAX ||
      node->lent + reserved(g) > node->max_memory / 2) {
    r = cvy_fail(COVEY_EQUOTA, COVEY_STAGE_GROUP, "%s: max_bytes is above what is left of half of max_memory",
                 name);
  } else {
    r = node->group_count >= CVY_GROUPS_MAX ? COVEY_ELIMIT : take_number(node, g);
    if (r < 0) (void)cvy_fail(r, COVEY_STAGE_GROUP, "%s", name);
  }
  if (r < 0) {
    cvy_free(g);
    return r;
  }
  node->lent += reserved(g);
  node->group_count++;
  *ret = g;
  return 0;
}

int cvy_group_make(covey_node *node, const char *name, uint8_t kind, const covey_group_options *options,
                   cvy_group **ret)
{
  cvy_group *g;
  int r = make(node, name, kind, options, &g);
  if (r < 0) return r;
  cvy_map_add(&node->groups, &g->by_name, cvy_map_hash(node->groups.seed, g->name, g->name_size));
  for (covey_peer *p = node->peers; p; p = p->next) {
    if (kind != CVY_FRAME_PUB && p->state == CVY_PEER_OPEN && cvy_inlet_open(p, g) < 0)
      p->tx.doom = COVEY_ENOMEM;
    if (p->tx.doom) cvy_peer_dirty(p);
  }
  *ret = g;
  return 0;
}

int cvy_group_side(covey_peer *peer, const char *name, uint64_t window, uint16_t flags, uint16_t partner,
                   cvy_group **ret)
{
  cvy_group *g;
  int r = make(peer->node, name, CVY_FRAME_NEXT, &(covey_group_options){.max_bytes = (size_t)window}, &g);
  if (r < 0) return r;
  g->flags = flags;
  g->partner = partner;
  cvy_group_ref(g);
  r = cvy_inlet_open(peer, g);
  if (r == 0 && cvy_inlet_find(peer, g->number)->window == 0) r = COVEY_EQUOTA;
  if (r == 0) {
    *ret = g;
    return 0;
  }
  cvy_group_close(peer->node, g);
  cvy_group_unref(g);
  return cvy_fail(r, COVEY_STAGE_GROUP, "channel of %s", name);
}

void cvy_group_close(covey_node *node, cvy_group *g)
{
  g->closed = true;
  if (node->watch == g) node->watch = NULL;
  node->group_count--;
  node->lent -= reserved(g);
  if (g->kind != CVY_FRAME_NEXT) cvy_map_remove(&node->groups, &g->by_name);
  cvy_endpoint_shut(g);
  for (covey_peer *p = node->peers; p; p = p->next) cvy_inlet_closed(p, g);
  cvy_item *item;
  while ((item = cvy_queue_take(&g->queue)) != NULL) {
    node->items--;
    cvy_credit_left(g, item);
    if (g->kind == CVY_FRAME_REQ) {
      cvy_request_refuse(item->place, COVEY_ENOTFOUND, "it is not served any more");
      continue;
    }
    cvy_peer_unref(item->owner);
    cvy_item_free(item);
  }
  if (cvy_loop_unnote(g->loop, &g->note)) cvy_group_unref(g);
  cvy_handler_due(g);
  cvy_credit_serve(node);
  if (g->unanswered == 0) cvy_group_answered(node, g);
  cvy_loop_changed(node->loop);
}

int cvy_groups_init(covey_node *node)
{
  uint64_t seed;
  int r = cvos_random(&seed, sizeof seed);
  if (r == 0) r = cvy_map_init(&node->groups, seed);
  if (r < 0) return cvy_fail(r, COVEY_STAGE_OPEN, "groups");
  node->number_hint = 1;
  return cvy_group_make(node, standard_name, CVY_FRAME_DATA, NULL, &node->standard);
}

void cvy_groups_fini(covey_node *node)
{
  cvy_map_node *n;
  while (node->groups.buckets && (n = cvy_map_next(&node->groups, NULL)) != NULL) {
    cvy_group_close(node, CVY_MAP_OF(n, cvy_group, by_name));
  }
  for (uint32_t i = 1; i < node->number_count; i++) { /* sides of channels */
    if (node->numbers[i] && !node->numbers[i]->closed) cvy_group_close(node, node->numbers[i]);
  }
  cvy_topics_fini(node);
  cvy_map_fini(&node->groups);
  node->standard = NULL;
}

/* ---- messages ---- */

void cvy_group_evict(cvy_group *g, uint64_t size)
{
  for (cvy_item *old = cvy_queue_evict(&g->queue, size), *next; old; old = next) {
    next = old->next;
    g->node->items--;
    g->node->past.dropped++;
    cvy_credit_left(g, old);
    cvy_peer_unref(old->owner);
    cvy_item_free(old);
  }
}

void cvy_group_arrived(covey_peer *peer, uint16_t number, cvy_item *item)
{
  covey_node *node = peer->node;
  cvy_group *g = number < node->number_count ? node->numbers[number] : NULL;
  if (!item) return;
  cvy_inlet_whole(peer, item);
  if (!g || g->closed) {
    cvy_item_free(item);
    return;
  }
  if (item->kind == CVY_FRAME_END) {
    cvy_item_free(item);
    cvy_channel_heard(g->channel);
    return;
  }
  item->owner = peer;
  item->place = g;
  item->arrival = ++node->arrivals;
  if (g->kind == CVY_FRAME_PUB) {
    cvy_topic_arrived(peer, g, item);
    return;
  }
  if (g->full == COVEY_FULL_DROP_OLD) {
    cvy_credit_return(g, item);
    cvy_group_evict(g, item->size);
  }
  if (g->kind == CVY_FRAME_REQ && !cvy_request_new(peer, g, item)) return;
  cvy_peer_ref(peer);
  cvy_queue_push(&g->queue, item);
  CVY_STEP(QUEUED);
  node->items++;
  cvy_handler_due(g);
  cvy_loop_changed(node->loop);
}

cvy_group *cvy_group_filled(const covey_node *node, cvy_group *group, uint8_t kind, bool handled)
{
  cvy_group *found = NULL;
  uint64_t arrival = UINT64_MAX;
  if (group) return group->queue.count && group->handled == handled ? group : NULL;
  if (!node->items) return NULL;
  for (uint32_t i = 1; i < node->number_count; i++) {
    cvy_group *g = node->numbers[i];
    if (!g || g->closed || !g->queue.count || g->kind != kind || g->handled != handled) continue;
    const cvy_item *first = cvy_queue_peek(&g->queue);
    if (first->arrival >= arrival) continue;
    arrival = first->arrival;
    found = g;
  }
  return found;
}

/* The field that says what is not allowed; NULL: none. */
static const char *wrong_option(const covey_group_options *o)
{
  if (o->full < COVEY_FULL_BLOCK || o->full > COVEY_FULL_DROP_OLD) return "full is none of COVEY_FULL_...";
  if (o->priorities & ~1) return "priorities is neither 0 nor 1";
  if (o->handles & ~1) return "handles is neither 0 nor 1";
  return cvy_is_zero(o->reserved, 4) ? NULL : "a reserved word is not zero";
}

int covey_group_open(covey_node *node, const char *name, const covey_group_options *options)
{
  cvy_group *group;
  const char *wrong = options ? wrong_option(options) : NULL;
  if (wrong) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s", wrong);
  int r = cvy_group_name(name, false, &name);
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  if (cvy_group_find(node, name, CVY_FRAME_DATA))
    r = cvy_fail(COVEY_EEXIST, COVEY_STAGE_GROUP, "%s", name);
  else
    r = cvy_group_make(node, name, CVY_FRAME_DATA, options, &group);
  cvy_node_leave(node);
  return r;
}

int cvy_group_close_named(covey_node *node, const char *name, uint8_t kind)
{
  int r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  cvy_group *group = cvy_group_find(node, name, kind);
  if (group) {
    cvy_group_ref(group);
    cvy_group_close(node, group);
    cvy_node_flush(node);
    r = cvy_handler_quiet(group);
    cvy_group_unref(group);
  } else {
    r = cvy_fail(COVEY_ENOTFOUND, COVEY_STAGE_GROUP, "%s", name);
  }
  cvy_node_leave(node);
  return r;
}

int covey_group_close(covey_node *node, const char *name)
{
  int r = cvy_group_name(name, false, &name);
  if (r == 0 && strcmp(name, standard_name) == 0) {
    r = cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "group \"default\" is always open");
  }
  return r < 0 ? r : cvy_group_close_named(node, name, CVY_FRAME_DATA);
}
