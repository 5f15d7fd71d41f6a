#include "core/mem.h"
#include "msg/call.h"
#include "msg/channel.h"
#include "msg/group.h"
#include "msg/handles.h"
#include "msg/watch.h"

/* The budget. One half of max_memory is for windows: full windows while less than half of it is lent, the least window from there on. The
 * other half is for grants of large messages, at most half of that for one peer, if it is more than one message. */
static uint64_t windows_full(const covey_node *node)
{
  return node->max_memory / 4;
}
static uint64_t windows_most(const covey_node *node)
{
  return node->max_memory / 2;
}
static uint64_t grants_most(const covey_node *node)
{
  return node->max_memory - node->max_memory / 2;
}

cvy_inlet *cvy_inlet_find(const covey_peer *peer, uint16_t number)
{
  cvy_map_node *n = cvy_map_find(&peer->inlets, number);
  return n ? CVY_MAP_OF(n, cvy_inlet, by_number) : NULL;
}

/* ---- those who wait for memory, in turn ---- */

static void join_hungry(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  if (in->hungry) return;
  in->hungry = true;
  in->next_hungry = NULL;
  if (node->hungry_last)
    node->hungry_last->next_hungry = in;
  else
    node->hungry = in;
  node->hungry_last = in;
}

static void leave_hungry(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  cvy_inlet *before = NULL;
  if (!in->hungry) return;
  for (cvy_inlet *i = node->hungry; i != in; i = i->next_hungry) before = i;
  if (before)
    before->next_hungry = in->next_hungry;
  else
    node->hungry = in->next_hungry;
  if (node->hungry_last == in) node->hungry_last = before;
  in->hungry = false;
}

static void join_begging(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  in->is_begging = true;
  in->next_begging = NULL;
  if (node->begging_last)
    node->begging_last->next_begging = in;
  else
    node->begging = in;
  node->begging_last = in;
}

static void leave_begging(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  cvy_inlet *before = NULL;
  if (!in->is_begging) return;
  for (cvy_inlet *i = node->begging; i != in; i = i->next_begging) before = i;
  if (before)
    before->next_begging = in->next_begging;
  else
    node->begging = in->next_begging;
  if (node->begging_last == in) node->begging_last = before;
  in->is_begging = false;
}

/* ---- windows ---- */

static void announce(cvy_inlet *in)
{
  cvy_group *g = in->group;
  cvy_group_open open = {.window = (uint32_t)in->window,
                         .max_count = g->max_count,
                         .flags = g->flags,
                         .name_size = g->name_size};
  uint8_t body[12 + 255];
  for (size_t i = 0; i < g->name_size; i++) open.name[i] = g->name[i];
  size_t size = cvy_group_open_encode(&open, body);
  cvy_peer_control(in->peer, CVY_FRAME_GROUP_OPEN, 0, in->number, g->partner, body, size);
}

static void send_credit(cvy_inlet *in, uint64_t id, uint64_t bytes, uint32_t count)
{
  uint8_t body[16];
  cvy_credit credit = {.bytes = bytes, .count = count};
  size_t size = cvy_credit_encode(&credit, body);
  cvy_peer_control(in->peer, CVY_FRAME_CREDIT, 0, in->number, id, body, size);
}

/* Lends as much of the group's window as memory allows; false when that is nothing. */
static bool lend(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  uint64_t most = in->group->window, window = most;
  if (node->lent + (most - in->window) > windows_full(node)) {
    if (in->window || node->lent + CVY_WINDOW_LEAST > windows_most(node)) return false;
    window = CVY_WINDOW_LEAST;
  }
  uint64_t more = window - in->window;
  bool first = in->window == 0;
  node->lent += more;
  in->window = window;
  in->unused += more;
  announce(in);
  if (!first && more) send_credit(in, 0, more, 0);
  return true;
}

int cvy_inlet_open(covey_peer *peer, cvy_group *group)
{
  cvy_inlet *in = cvy_alloc_zero(1, sizeof *in);
  if (!in) return COVEY_ENOMEM;
  in->peer = peer;
  in->group = group;
  in->number = group->number;
  in->unused_count = group->max_count;
  cvy_map_add(&peer->inlets, &in->by_number, in->number);
  if (!lend(in) || in->window < group->window) join_hungry(in);
  return 0;
}

static void drop_handles(cvy_inlet *in)
{
  cvy_handles_free(in->handles);
  in->handles = NULL;
}

static void free_inlet(cvy_inlet *in)
{
  drop_handles(in);
  leave_hungry(in);
  leave_begging(in);
  cvy_map_remove(&in->peer->inlets, &in->by_number);
  cvy_free(in);
}

/* A message that has begun and will not be handed out: its charge. The window's part goes where the rest of the inlet goes. */
static void forget_arriving(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  if (!in->arriving) return;
  if (!in->is_begging) {
    node->granted -= in->arriving_extra;
    in->peer->granted -= in->arriving_extra;
  }
  leave_begging(in);
  in->arriving = false;
  node->lent -= in->arriving_lent;
}

static void give_back(cvy_inlet *in)
{
  uint32_t most = in->group->max_count;
  if (!in->pending) return;
  send_credit(in, 0, in->pending, in->pending_count);
  in->unused += in->pending;
  if (most) in->unused_count += in->pending_count;
  in->pending = 0;
  in->pending_count = 0;
}

void cvy_inlet_closed(covey_peer *peer, cvy_group *group)
{
  cvy_inlet *in = cvy_inlet_find(peer, group->number);
  if (!in) return;
  if (in->arriving && group->kind == CVY_FRAME_REQ) {
    cvy_answer_error(peer, in->arriving_id, COVEY_ENOTFOUND, "it is not served any more");
  }
  if (group->kind == CVY_FRAME_NEXT) give_back(in); /* its sender counts what was read */
  forget_arriving(in);
  peer->node->lent -= in->unused + in->pending;
  in->unused = in->pending = 0;
  leave_hungry(in);
  if (in->window == 0) { /* never announced */
    free_inlet(in);
    return;
  }
  group->unanswered++;
  cvy_group_ref(group);
  in->closed = true;
  cvy_peer_control(peer, CVY_FRAME_GROUP_CLOSE, 0, in->number, 0, NULL, 0);
}

static void answered(cvy_inlet *in)
{
  cvy_group *group = in->group;
  covey_node *node = in->peer->node;
  free_inlet(in);
  if (--group->unanswered == 0) cvy_group_answered(node, group);
  cvy_group_unref(group);
}

int cvy_inlet_gone(covey_peer *peer, uint16_t number)
{
  cvy_inlet *in = cvy_inlet_find(peer, number);
  if (!in || !in->closed) return COVEY_EPROTO;
  answered(in);
  return 0;
}

/* ---- messages ---- */

static void try_grant(cvy_inlet *in)
{
  covey_node *node = in->peer->node;
  uint64_t bytes = in->arriving_extra, share = grants_most(node) / 2;
  bool fits = node->granted + bytes <= grants_most(node);
  if (in->peer->granted && in->peer->granted + bytes > share) fits = false;
  if (!fits) {
    if (!in->is_begging) join_begging(in);
    return;
  }
  leave_begging(in);
  node->granted += bytes;
  in->peer->granted += bytes;
  send_credit(in, in->arriving_id, bytes, 0);
}

int cvy_inlet_begin(covey_peer *peer, const cvy_begin *begin, uint64_t *ret_keep)
{
  cvy_inlet *in = cvy_inlet_find(peer, begin->group);
  uint64_t charge = begin->total + CVY_CHARGE_FIXED, lent = begin->lent ? begin->lent : charge;
  if (!in || (!in->closed && in->window == 0)) return COVEY_EPROTO;
  bool ends = begin->kind == CVY_FRAME_END;
  if ((ends ? CVY_FRAME_NEXT : begin->kind) != in->group->kind) return COVEY_EPROTO;
  if (in->closed) {
    if (begin->kind == CVY_FRAME_REQ)
      cvy_answer_error(peer, begin->id, COVEY_ENOTFOUND, "it is not served any more");
    return 0;
  }
  if (in->group->channel && in->group->channel->heard) return COVEY_EPROTO;
  if (ends && !in->arriving) *ret_keep = 1;
  if (ends) return in->arriving ? COVEY_EPROTO : 0;
  if (in->arriving || lent > charge || lent < CVY_CHARGE_FIXED || lent > in->unused) return COVEY_EPROTO;
  if (in->group->max_count && in->unused_count == 0) return COVEY_EPROTO;
  bool brings = (begin->flags & CVY_FLAG_HANDLES) != 0;
  if (brings && !in->handles) return COVEY_EPROTO;
  if (!brings) drop_handles(in);
  in->unused -= lent;
  if (in->group->max_count) in->unused_count--;
  in->arriving = true;
  in->arriving_id = begin->id;
  in->arriving_lent = lent;
  in->arriving_extra = charge - lent;
  if (in->arriving_extra) try_grant(in);
  *ret_keep = in->is_begging ? lent : charge;
  return 0;
}

bool cvy_inlet_exceeds(const covey_peer *peer, uint16_t number)
{
  const cvy_inlet *in = cvy_inlet_find(peer, number);
  if (!in || in->closed || !in->is_begging) return false;
  for (int i = 0; i < CVY_ASSEMBLIES; i++) {
    const cvy_assembly *a = &peer->intake.many[i];
    if (a->used && a->id == in->arriving_id) return a->have > in->arriving_lent - CVY_CHARGE_FIXED;
  }
  return false;
}

void cvy_inlet_whole(covey_peer *peer, cvy_item *item)
{
  cvy_inlet *in = cvy_inlet_find(peer, item->group);
  if (!in || !in->arriving) return;
  in->arriving = false;
  item->extra = (uint32_t)in->arriving_extra;
  item->attached = in->handles;
  item->detach = cvy_handles_free;
  in->handles = NULL;
}

/* A quarter of the window: few frames, and a sender that waits for half a window gets it. While more messages wait here to be handed out, half of it:
 * their credit follows at once. Of a channel that sends no more each message: its other side, which closes, counts what was not read. */
static bool is_due(const cvy_inlet *in)
{
  if (in->group->channel && in->group->channel->heard) return true;
  uint32_t most = in->group->max_count;
  uint64_t times = in->group->queue.count ? 2 : 4;
  return in->pending * times >= in->window || (most && in->pending_count * times >= most);
}

void cvy_credit_now(covey_peer *peer, uint16_t number)
{
  cvy_inlet *in = cvy_inlet_find(peer, number);
  if (in && !in->closed) give_back(in);
}

void cvy_credit_settle(covey_peer *peer)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->inlets, n)) != NULL;) {
    cvy_inlet *in = CVY_MAP_OF(n, cvy_inlet, by_number);
    if (!in->closed) give_back(in);
  }
}

void cvy_credit_return(cvy_group *group, cvy_item *item)
{
  covey_peer *peer = item->owner;
  covey_node *node = group->node;
  cvy_inlet *in = peer->state == CVY_PEER_DEAD ? NULL : cvy_inlet_find(peer, group->number);
  uint64_t lent = cvy_item_charge(item) - item->extra;
  node->granted -= item->extra;
  if (peer->state != CVY_PEER_DEAD) peer->granted -= item->extra;
  if (in && !in->closed) {
    if (item->flags & CVY_FLAG_WANT_ACK) {
      cvy_peer_control(peer, CVY_FRAME_ACK, 0, group->number, item->id, NULL, 0);
      item->flags &= (uint8_t)~CVY_FLAG_WANT_ACK;
    }
    in->pending += lent;
    in->pending_count++;
    if (is_due(in)) give_back(in);
  } else {
    node->lent -= lent;
  }
  item->extra = 0;
}

void cvy_credit_left(cvy_group *group, cvy_item *item)
{
  if (cvy_watch_is_event(item))
    group->node->events--;
  else if (group->full != COVEY_FULL_DROP_OLD)
    cvy_credit_return(group, item);
}

void cvy_credit_serve(covey_node *node)
{
  for (cvy_inlet *in = node->begging, *next; in; in = next) {
    next = in->next_begging;
    try_grant(in);
  }
  while (node->hungry && lend(node->hungry)) {
    cvy_inlet *in = node->hungry;
    leave_hungry(in);
    if (in->window < in->group->window) join_hungry(in);
  }
}

void cvy_credit_fini(covey_peer *peer)
{
  covey_node *node = peer->node;
  cvy_map_node *n;
  while ((n = cvy_map_next(&peer->inlets, NULL)) != NULL) {
    cvy_inlet *in = CVY_MAP_OF(n, cvy_inlet, by_number);
    forget_arriving(in);
    node->lent -= in->unused + in->pending;
    if (in->closed)
      answered(in);
    else
      free_inlet(in);
  }
  peer->granted = 0;
}
