#include "msg/outlet.h"

#include "core/mem.h"
#include "msg/channel.h"
#include "msg/topic.h"

#include <string.h>

enum {
  LEAST_LENT =
      1024 /* a large message begins with at least this much of the window; a window is never less than 4 of it */
};

cvy_outlet *cvy_outlet_find(const covey_peer *peer, const char *name, size_t size, uint8_t kind)
{
  uint64_t key = cvy_map_hash(peer->outlet_names.seed, name, size);
  for (cvy_map_node *n = cvy_map_find(&peer->outlet_names, key); n; n = cvy_map_again(n)) {
    cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_name);
    if (o->kind == kind && o->name_size == size && memcmp(o->name, name, size) == 0) return o;
  }
  return NULL;
}

static cvy_outlet *outlet_by_number(const covey_peer *peer, uint16_t number)
{
  cvy_map_node *n = cvy_map_find(&peer->outlets, number);
  return n ? CVY_MAP_OF(n, cvy_outlet, by_number) : NULL;
}

void cvy_outlet_ready(cvy_outlet *o)
{
  cvy_tx *tx = &o->peer->tx;
  cvy_room_changed(o->peer);
  if (o->ready || !o->framing) return;
  o->ready = true;
  o->next_ready = NULL;
  if (tx->ready_last)
    tx->ready_last->next_ready = o;
  else
    tx->ready = o;
  tx->ready_last = o;
  cvy_peer_dirty(o->peer);
}

void cvy_outlet_rest(cvy_outlet *o)
{
  cvy_tx *tx = &o->peer->tx;
  cvy_outlet *before = NULL;
  if (!o->ready) return;
  for (cvy_outlet *i = tx->ready; i != o; i = i->next_ready) before = i;
  if (before)
    before->next_ready = o->next_ready;
  else
    tx->ready = o->next_ready;
  if (tx->ready_last == o) tx->ready_last = before;
  o->ready = false;
}

static void drop_grant(cvy_outlet *o, const cvy_large *grant)
{
  cvy_large **p = &o->large;
  while (*p && *p != grant) p = &(*p)->next;
  if (!*p) return;
  cvy_large *gone = *p;
  *p = gone->next;
  o->large_bytes -= gone->extra;
  cvy_free(gone);
}

/* The message with this number was handed out, as the peer says: perhaps before all of it has gone. */
static void grant_used_up(cvy_outlet *o, uint64_t id)
{
  cvy_large *g = id ? o->large : NULL;
  while (g && g->id != id) g = g->next;
  for (cvy_parcel *p = g ? o->first : NULL; p; p = p->next)
    if (p->grant == g) p->grant = NULL;
  drop_grant(o, g);
}

static void unname(cvy_outlet *o)
{
  if (o->named) cvy_map_remove(&o->peer->outlet_names, &o->by_name);
  o->named = false;
}

void cvy_outlet_free(cvy_outlet *o)
{
  if (o->channel) cvy_channel_deaf(o);
  cvy_outlet_rest(o);
  cvy_topic_left(o);
  cvy_map_remove(&o->peer->outlets, &o->by_number);
  unname(o);
  while (o->large) drop_grant(o, o->large);
  if (!cvy_room_left(o)) cvy_free(o);
}

static void add_outlet(covey_peer *peer, cvy_outlet *o)
{
  cvy_map_add(&peer->outlets, &o->by_number, o->number);
  o->named = o->kind != CVY_FRAME_NEXT;
  if (!o->named) return;
  cvy_map_add(&peer->outlet_names, &o->by_name, cvy_map_hash(peer->outlet_names.seed, o->name, o->name_size));
}

cvy_outlet *cvy_outlet_answers(covey_peer *peer)
{
  cvy_outlet *o = outlet_by_number(peer, 0);
  if (o) return o;
  o = cvy_alloc_zero(1, sizeof *o);
  if (!o) return NULL;
  o->peer = peer;
  o->kind = CVY_FRAME_REP;
  add_outlet(peer, o);
  return o;
}

/* ---- what the peer says of its groups ---- */

/* What a group takes, by its flags; 0: they contradict each other. */
static uint8_t kind_of(uint16_t flags)
{
  switch (flags) {
  case CVY_GROUP_ENDPOINT: return CVY_FRAME_GROUP_OPEN;
  case CVY_GROUP_TOPIC: return CVY_FRAME_PUB;
  case CVY_GROUP_CHANNEL:
  case CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER: return CVY_FRAME_NEXT;
  default:
    if (flags & (CVY_GROUP_ENDPOINT | CVY_GROUP_CHANNEL | CVY_GROUP_ANSWER | CVY_GROUP_TOPIC)) return 0;
    return flags & CVY_GROUP_FUNCTION ? CVY_FRAME_REQ : CVY_FRAME_DATA;
  }
}

int cvy_outlet_opened(covey_peer *peer, uint16_t number, uint64_t id, const cvy_group_open *open)
{
  cvy_outlet *o = outlet_by_number(peer, number);
  uint8_t kind = kind_of(open->flags);
  if (open->name_size > COVEY_NAME_MAX || open->window < CVY_WINDOW_LEAST) return COVEY_EPROTO;
  if (!kind || (id != 0) != (kind == CVY_FRAME_NEXT) || id > UINT16_MAX) return COVEY_EPROTO;
  if (peer->tx.broken) return 0; /* nothing can go there: what it has sent before is read, no more */
  if (o) {                       /* the same again: its window has grown, the bytes come as credit */
    if (o->closed || o->kind != kind || o->name_size != open->name_size ||
        memcmp(o->name, open->name, open->name_size)) {
      return COVEY_EPROTO;
    }
    if (open->window > o->window) o->window = open->window;
    return 0;
  }
  if (peer->outlets.count >= CVY_GROUPS_MAX || (kind != CVY_FRAME_NEXT && kind != CVY_FRAME_PUB &&
                                                cvy_outlet_find(peer, open->name, open->name_size, kind))) {
    return COVEY_EPROTO;
  }
  o = cvy_alloc_zero(1, sizeof *o);
  if (!o) return COVEY_ENOMEM;
  o->peer = peer;
  o->number = number;
  o->kind = kind;
  o->window = o->credit = open->window;
  o->max_count = o->messages = open->max_count;
  if (open->flags & CVY_GROUP_DROP_NEW)
    o->full = COVEY_FULL_DROP_NEW;
  else if (open->flags & CVY_GROUP_DROP_OLD)
    o->full = COVEY_FULL_DROP_OLD;
  o->takes_handles = (open->flags & CVY_GROUP_HANDLES) != 0;
  o->name_size = open->name_size;
  memcpy(o->name, open->name, open->name_size);
  add_outlet(peer, o);
  if (kind == CVY_FRAME_PUB) cvy_topic_subscribed(o);
  if (kind != CVY_FRAME_NEXT) return 0;
  return open->flags & CVY_GROUP_ANSWER ? cvy_channel_answered(o, (uint16_t)id)
                                        : cvy_channel_asked(o, (uint16_t)id);
}

/* Frames of a closed group are thrown away over there; what was begun must still be ended, so that the peer's assembly ends. */
void cvy_outlet_end(cvy_outlet *o)
{
  if (o->first) return;
  cvy_peer_control(o->peer, CVY_FRAME_ACK, 0, o->number, UINT64_MAX, NULL, 0);
  cvy_outlet_free(o);
}

void cvy_outlet_unlink(cvy_outlet *o, cvy_parcel *parcel)
{
  cvy_parcel *before = NULL;
  for (cvy_parcel *p = o->first; p != parcel; p = p->next) before = p;
  if (before)
    before->next = parcel->next;
  else
    o->first = parcel->next;
  if (o->last == parcel) o->last = before;
  if (o->framing == parcel) o->framing = parcel->next;
  parcel->outlet = NULL;
  parcel->next = NULL;
  if (parcel->payload) o->waiting -= parcel->size;
  o->peer->tx.parcels--;
}

void cvy_outlet_refuse(cvy_outlet *o, cvy_parcel *parcel, int code)
{
  cvy_outlet_refund(o, parcel);
  cvy_outlet_unlink(o, parcel);
  parcel->result = code;
  if (parcel->abandoned) cvy_parcel_free(parcel);
}

int cvy_outlet_closed(covey_peer *peer, uint16_t number)
{
  cvy_outlet *o = outlet_by_number(peer, number);
  if (peer->tx.broken) return 0; /* all have gone */
  if (!o || o->closed) return COVEY_EPROTO;
  o->closed = true;
  unname(o);
  if (o->channel) cvy_channel_deaf(o);
  cvy_topic_left(o);
  for (cvy_parcel *p = o->first, *next; p; p = next) {
    next = p->next;
    if (p->started || p->planned) {
      p->granted = true;
      continue;
    }
    cvy_outlet_refuse(o, p, COVEY_ENOGROUP);
  }
  for (cvy_parcel **p = &peer->acks; *p;) { /* discarded: what was handed out had its ACK before this */
    cvy_parcel *lost = *p;
    if (lost->number != number) {
      p = &lost->next;
      continue;
    }
    *p = lost->next;
    lost->result = COVEY_ENOGROUP;
  }
  cvy_outlet_ready(o);
  cvy_outlet_end(o);
  return 0;
}

int cvy_outlet_credit(covey_peer *peer, uint16_t number, uint64_t id, const cvy_credit *credit)
{
  cvy_outlet *o = outlet_by_number(peer, number);
  if (!o) return 0; /* closed meanwhile, and answered */
  if (id) {
    for (cvy_parcel *p = o->first; p; p = p->next) {
      if (p->id != id) continue;
      if (p->granted || credit->bytes != p->extra) return COVEY_EPROTO;
      p->granted = true;
      break;
    }
  } else {
    if (credit->bytes > ((uint64_t)1 << 40) || o->credit > ((uint64_t)1 << 40)) return COVEY_EPROTO;
    o->credit += credit->bytes;
    if (o->max_count) o->messages += credit->count;
    if (o->kind != CVY_FRAME_PUB) peer->consumed += credit->count;
    if (o->kind == CVY_FRAME_REQ) peer->called -= credit->count;
    if (o->channel) o->channel->consumed += credit->count;
  }
  cvy_outlet_ready(o);
  return 0;
}

int cvy_outlet_fill(covey_peer *peer, uint16_t number, const cvy_credit *fill)
{
  cvy_outlet *o = outlet_by_number(peer, number);
  if (o) { /* else closed meanwhile */
    o->fill_bytes = fill->bytes;
    o->fill_count = fill->count;
  }
  return 0;
}

int cvy_outlet_ack(covey_peer *peer, uint16_t number, uint64_t id)
{
  cvy_outlet *o = outlet_by_number(peer, number);
  if (o) {
    grant_used_up(o, id);
    cvy_outlet_ready(o);
    for (cvy_parcel *p = o->first; p; p = p->next) /* the thread that wrote it has not noted that yet */
      if (p->id == id && p->want_ack) p->acked = true;
  }
  for (cvy_parcel **p = &peer->acks; *p; p = &(*p)->next) {
    if ((*p)->id != id) continue;
    cvy_parcel *acked = *p;
    *p = acked->next;
    acked->acked = true;
    break;
  }
  return 0;
}

/* ---- credit for a parcel ---- */

/* A message that could wait for ever for half a window takes what is there and asks for
 * the rest, once earlier grants have been used up. */
bool cvy_outlet_affords(const cvy_outlet *o, uint64_t need, uint64_t *ret_lent)
{
  uint64_t lent = need;
  if (o->max_count && o->messages == 0) return false;
  if (need > o->credit) {
    if (need <= o->window / 2 || o->credit < LEAST_LENT) return false;
    lent = o->credit;
    if (o->large_bytes && o->large_bytes + (need - lent) > CVY_LARGE_SHARE) return false;
  }
  if (ret_lent) *ret_lent = lent;
  return true;
}

bool cvy_outlet_charge(cvy_outlet *o, cvy_parcel *parcel)
{
  uint64_t need = parcel->size + CVY_CHARGE_FIXED, lent;
  if (parcel->charged) return true;
  if (!cvy_outlet_affords(o, need, &lent)) return false;
  if (lent < need) {
    parcel->grant = cvy_alloc_zero(1, sizeof *parcel->grant);
    if (!parcel->grant) {
      if (!parcel->abandoned) parcel->result = COVEY_ENOMEM; /* nobody to tell: later, perhaps */
      return false;
    }
    parcel->grant->extra = need - lent;
    parcel->grant->next = o->large;
    o->large = parcel->grant;
    o->large_bytes += need - lent;
    parcel->large = true;
  }
  o->credit -= lent;
  if (o->max_count) o->messages--;
  parcel->lent = lent;
  parcel->extra = need - lent;
  parcel->free = (size_t)(lent - CVY_CHARGE_FIXED);
  parcel->granted = parcel->extra == 0;
  parcel->charged = true;
  return true;
}

void cvy_outlet_refund(cvy_outlet *o, cvy_parcel *parcel)
{
  if (!parcel->charged) return;
  o->credit += parcel->lent;
  if (o->max_count) o->messages++;
  if (parcel->grant) {
    drop_grant(o, parcel->grant);
    parcel->grant = NULL;
  }
  parcel->charged = false;
}
