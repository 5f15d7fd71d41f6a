#include <covey/message.h>

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/lane.h"
#include "msg/send.h"
#include "msg/watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

void cvy_peer_count(const covey_peer *p, covey_statistics *sum)
{
  sum->sent += p->sent;
  sum->received += p->intake.whole;
  sum->bytes_out += p->tx.taken;
  sum->bytes_in += p->bytes_in;
  sum->dropped += p->dropped;
}

static void describe_traffic(const covey_peer *p, covey_statistics *ret)
{
  cvy_peer_count(p, ret);
  ret->unsent += p->tx.parcels;
  if (p->state == CVY_PEER_DEAD) return;
  ret->unread += p->sent - p->consumed;
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&p->inlets, n)) != NULL;) {
    const cvy_inlet *in = CVY_MAP_OF(n, cvy_inlet, by_number);
    if (!in->closed) ret->waiting += in->window - in->unused - in->pending;
  }
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&p->outlets, n)) != NULL;) {
    ret->credit += CVY_MAP_OF(n, cvy_outlet, by_number)->credit;
  }
}

static void describe(const covey_peer *p, covey_peer_description *ret)
{
  *ret = (covey_peer_description){.identity = p->identity, .max_message = p->max_message};
  memcpy(ret->name, p->name, sizeof p->name);
  if (p->transport == &cvy_transport_local) ret->flags |= COVEY_PEER_SELF;
  if (p->to_parent) ret->flags |= COVEY_PEER_PARENT;
  if (p->spawned) ret->flags |= COVEY_PEER_CHILD;
  if (p->dialled) ret->flags |= COVEY_PEER_DIALLED;
  if (p->state == CVY_PEER_DEAD) ret->ended = p->failure;
  describe_traffic(p, &ret->statistics);
}

int covey_node_peers(covey_node *node, covey_peer_description *ret_peers, size_t capacity)
{
  size_t count = 0;
  if (!ret_peers && capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_peers is NULL");
  int r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  for (const covey_peer *p = node->peers; p; p = p->next) {
    if (!p->introduced) continue;
    if (count < capacity) describe(p, &ret_peers[count]);
    count++;
  }
  cvy_node_leave(node);
  return (int)count;
}

int covey_node_statistics(covey_node *node, covey_statistics *ret_statistics)
{
  if (!ret_statistics) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_statistics is NULL");
  int r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  covey_statistics s = node->past;
  for (const covey_peer *p = node->peers; p; p = p->next) describe_traffic(p, &s);
  s.waiting = 0; /* also what ended peers have left */
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&node->groups, n)) != NULL;) {
    s.waiting += CVY_MAP_OF(n, cvy_group, by_name)->queue.bytes;
  }
  s.memory = node->lent + node->granted;
  s.peers = node->peer_count;
  *ret_statistics = s;
  cvy_node_leave(node);
  return 0;
}

/* ---- one peer ---- */

int covey_peer_open(covey_node *node, const covey_peer_options *o, covey_peer **ret_peer)
{
  cvy_goal goal;
  covey_peer *peer;
  if (!o || !ret_peer) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "options or ret_peer is NULL");
  if (o->flags & ~(uint32_t)COVEY_PEER_TRY || o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags or reserved words of covey_peer_options");
  int64_t timeout = o->flags & COVEY_PEER_TRY ? 0 : cvy_option_time(o->timeout, COVEY_FOREVER);
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = cvy_send_goal(o->pid, o->name, NULL, NULL, &goal);
  if (r < 0) return r;
  goal.once = timeout == 0;
  cvy_deadline deadline = cvy_deadline_in(timeout);
  r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  r = cvy_address_find(node, &goal, deadline, o->cancel, &peer);
  if (r == 0) cvy_loop_ref(peer->loop);
  cvy_node_leave(node);
  if (r == 0) *ret_peer = peer;
  return r;
}

void covey_peer_close(covey_peer *peer)
{
  if (!peer) return;
  cvy_loop_release(peer->loop);
  cvy_peer_unref(peer);
}

/* Enters a call about peer: its loop's lock is held. */
static int enter(covey_peer *peer, const void *ret)
{
  if (!peer || !ret) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "peer or what it returns is NULL");
  int r = cvy_loop_check(peer->loop);
  if (r == 0) cvy_loop_lock(peer->loop);
  return r;
}

int covey_peer_describe(covey_peer *peer, covey_peer_description *ret_description)
{
  int r = enter(peer, ret_description);
  if (r < 0) return r;
  describe(peer, ret_description);
  cvy_loop_unlock(peer->loop);
  return 0;
}

static bool has_ended(void *arg)
{
  const covey_peer *peer = arg;
  return peer->state == CVY_PEER_DEAD;
}

static int await(covey_peer *peer, cvy_predicate condition, cvy_deadline deadline, covey_cancel *cancel)
{
  int r = condition(peer) ? 0 : cvy_loop_wait(peer->loop, condition, peer, deadline, cancel);
  return r < 0 ? cvy_fail(r, COVEY_STAGE_NONE, "process %" PRId64, peer->identity.pid) : r;
}

int covey_peer_wait(covey_peer *peer, int64_t timeout, covey_cancel *cancel)
{
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = enter(peer, peer);
  if (r < 0) return r;
  r = await(peer, has_ended, cvy_deadline_in(timeout), cancel);
  cvy_loop_unlock(peer->loop);
  return r;
}

static bool has_told(void *arg)
{
  const covey_peer *peer = arg;
  return peer->state != CVY_PEER_OPEN || peer->tx.broken || peer->told == peer->asked;
}

static void describe_group(const cvy_outlet *o, covey_peer_group *ret)
{
  *ret = (covey_peer_group){.full = o->full, .window = o->window};
  if (o->kind == CVY_FRAME_REQ) ret->kind = COVEY_GROUP_FUNCTION;
  if (o->kind == CVY_FRAME_GROUP_OPEN) ret->kind = COVEY_GROUP_ENDPOINT;
  ret->credit = o->credit;
  ret->waiting = o->fill_count;
  ret->waiting_bytes = o->fill_bytes;
  memcpy(ret->name, o->name, o->name_size);
}

int covey_peer_groups(covey_peer *peer, int64_t timeout, covey_cancel *cancel, covey_peer_group *ret_groups,
                      size_t capacity)
{
  size_t count = 0;
  int r = cvy_timeout_check(timeout);
  if (r == 0) r = enter(peer, capacity ? (const void *)ret_groups : peer);
  if (r < 0) return r;
  if (peer->state == CVY_PEER_OPEN && !peer->tx.broken) {
    cvy_peer_control(peer, CVY_FRAME_LOOK, 0, 0, ++peer->asked, NULL, 0);
    cvy_peer_flush(peer);
    r = await(peer, has_told, cvy_deadline_in(timeout), cancel);
  }
  if (r == 0 && (peer->state != CVY_PEER_OPEN || peer->tx.broken))
    r = cvy_fail(COVEY_EPEERDIED, COVEY_STAGE_NONE, "process %" PRId64 " has ended", peer->identity.pid);
  for (cvy_map_node *n = NULL; r == 0 && (n = cvy_map_next(&peer->outlets, n)) != NULL;) {
    const cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_number);
    if (o->closed || !o->number || o->kind == CVY_FRAME_NEXT) continue; /* a side of a channel has no name */
    if (count < capacity) describe_group(o, &ret_groups[count]);
    count++;
  }
  cvy_loop_unlock(peer->loop);
  return r < 0 ? r : (int)count;
}

void cvy_peer_look(covey_peer *peer, uint64_t id)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->inlets, n)) != NULL;) {
    const cvy_inlet *in = CVY_MAP_OF(n, cvy_inlet, by_number);
    const cvy_queue *q = &in->group->queue;
    cvy_credit fill = {.bytes = q->bytes, .count = (uint32_t)q->count};
    uint8_t body[16];
    if (in->closed || !in->window) continue;
    size_t size = cvy_credit_encode(&fill, body);
    cvy_peer_control(peer, CVY_FRAME_FILL, 0, in->number, 0, body, size);
  }
  cvy_peer_control(peer, CVY_FRAME_PONG, 0, 0, id, NULL, 0);
}

/* ---- coming and going ---- */

enum { EVENTS_MOST = 4096 };

void cvy_watch_tell(covey_peer *peer, bool up)
{
  covey_node *node = peer->node;
  cvy_group *g = node->watch;
  if (!g || peer->transport == &cvy_transport_local) return;
  cvy_item *item = node->events < EVENTS_MOST ? cvy_item_new(0) : NULL;
  if (!item) {
    cvy_queue_skip(&g->queue, 1);
    return;
  }
  item->kind = up ? CVY_FRAME_HELLO : CVY_FRAME_BYE;
  cvy_item_data(item)[0] = 0;
  item->owner = peer;
  item->arrival = ++node->arrivals;
  cvy_peer_ref(peer);
  node->events++;
  node->items++;
  cvy_queue_push(&g->queue, item);
  cvy_handler_due(g);
  cvy_loop_changed(node->loop);
}

bool cvy_watch_is_event(const cvy_item *item)
{
  return item->kind == CVY_FRAME_HELLO || item->kind == CVY_FRAME_BYE;
}

int covey_node_watch(covey_node *node, const char *group, int on)
{
  cvy_group *g = NULL;
  if (on & ~1) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "on is neither 0 nor 1");
  int r = on ? cvy_group_name(group, false, &group) : 0;
  if (r == 0) r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  if (on) g = cvy_group_find(node, group, CVY_FRAME_DATA);
  if (on && !g) r = cvy_group_make(node, group, CVY_FRAME_DATA, NULL, &g);
  if (r == 0 && g != node->watch) {
    node->watch = g; /* which leaves it when it closes */
    for (covey_peer *p = node->peers; g && p; p = p->next) {
      if (p->introduced) cvy_watch_tell(p, true);
    }
  }
  cvy_node_leave(node);
  return r;
}

/* ---- addresses ---- */

struct list {
  const cvos_address *where;
  covey_node_entry *entries;
  size_t count, capacity;
};

static void found(void *arg, const char *name)
{
  struct list *list = arg;
  covey_node_entry e = {0};
  bool number = name[0] >= '1' && name[0] <= '9' && !name[strspn(name, "0123456789")] && strlen(name) < 19;
  if (number != list->where->by_pid || (!number && strncmp(name, "n-", 2) != 0)) return;
  if (number)
    e.pid = strtoll(name, NULL, 10);
  else if (strlen(name + 2) <= COVEY_NAME_MAX)
    memcpy(e.name, name + 2, strlen(name + 2));
  if (!e.pid && !e.name[0]) return;
  if (list->count < list->capacity) list->entries[list->count] = e;
  list->count++;
}

int covey_node_list(const char *app, const char *directory, covey_node_entry *ret_entries, size_t capacity)
{
  cvos_address where = {
      .directory = directory, .app = app ? app : CVY_STANDARD_APP, .name = "n", .by_pid = true};
  struct list list = {&where, ret_entries, 0, capacity};
  char place[200];
  if (!ret_entries && capacity) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_entries is NULL");
  int r = app ? cvy_name_check(app, "app") : 0;
  if (r < 0) return r;
  r = cvos_address_list(&where, found, &list); /* numbers may mean something elsewhere than names */
  where.by_pid = false;
  if (r == 0) r = cvos_address_list(&where, found, &list);
  if (r == 0) return (int)list.count;
  cvos_address_text(&where, place, sizeof place);
  return cvy_fail(r, r == COVEY_EINVAL ? COVEY_STAGE_ARGUMENTS : COVEY_STAGE_OPEN, "nodes of %s at %s",
                  where.app, place);
}
