#include "msg/lane.h"

#include "core/mem.h"
#include "msg/call.h"
#include "msg/channel.h"
#include "msg/handles.h"
#include "msg/topic.h"

#include <string.h>

bool cvy_is_answer(const cvy_parcel *parcel)
{
  return parcel->kind == CVY_FRAME_REP || parcel->kind == CVY_FRAME_ERR;
}

cvy_parcel *cvy_parcel_own(uint8_t kind, size_t size, uint8_t **ret_body)
{
  struct owned {
    cvy_parcel parcel;
    covey_buffer buffer;
  } *own = cvy_alloc(sizeof *own + size);
  if (!own) return NULL;
  *ret_body = (uint8_t *)(own + 1);
  own->buffer = (covey_buffer){*ret_body, size};
  own->parcel = (cvy_parcel){.buffers = &own->buffer, .count = 1, .size = size, .kind = kind};
  own->parcel.abandoned = own->parcel.charged = own->parcel.granted = true;
  return &own->parcel;
}

void cvy_parcel_free(cvy_parcel *parcel)
{
  if (parcel->payload) cvy_payload_spent(parcel->payload);
  cvy_handles_free(parcel->handles);
  cvy_free(parcel);
}

void cvy_lane_remove(cvy_outlet *o, cvy_parcel *parcel)
{
  cvy_outlet_unlink(o, parcel);
  cvy_parcel_free(parcel);
}

void cvy_lane_gap(cvy_outlet *o, uint64_t count)
{
  uint8_t body[8];
  size_t size = cvy_gap_encode(count, body);
  cvy_peer_control(o->peer, CVY_FRAME_GAP, 0, o->number, 0, body, size);
}

int cvy_lane_add(cvy_outlet *o, cvy_parcel *parcel)
{
  parcel->left = parcel->size;
  parcel->large |= parcel->size > CVY_FRAGMENT;
  if (o->full == COVEY_FULL_DROP_NEW) {
    if (!cvy_outlet_charge(o, parcel)) {
      if (parcel->result) return 0;
      o->dropped++;
      o->peer->dropped++;
      return 1;
    }
    if (o->dropped) {
      cvy_lane_gap(o, o->dropped);
      o->dropped = 0;
    }
  }
  parcel->outlet = o;
  parcel->next = NULL;
  if (o->last)
    o->last->next = parcel;
  else
    o->first = parcel;
  o->last = parcel;
  if (!o->framing) o->framing = parcel;
  if (parcel->payload) o->waiting += parcel->size;
  o->peer->tx.parcels++;
  cvy_outlet_ready(o);
  return 0;
}

void cvy_lane_end(cvy_outlet *o)
{
  uint8_t *body;
  covey_peer *peer = o->peer;
  if (peer->state != CVY_PEER_OPEN || peer->tx.broken || peer->tx.doom) return; /* nobody would get it */
  cvy_parcel *p = cvy_parcel_own(CVY_FRAME_END, 0, &body);
  if (!p) peer->tx.doom = COVEY_ENOMEM;
  if (p) cvy_lane_add(o, p);
  cvy_peer_dirty(peer);
}

/* ---- what was sent ---- */

static void wake_fragments(covey_peer *peer)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->outlets, n)) != NULL;) {
    cvy_outlet_ready(CVY_MAP_OF(n, cvy_outlet, by_number));
  }
}

static void answer_gone(covey_peer *peer, const cvy_parcel *p)
{
  peer->answers -= p->size;
  peer->node->answers -= p->size;
}

/* Its copies are kept until the peer has its own. */
static void hand_over(covey_peer *peer, cvy_parcel *p)
{
  cvy_handles **last = &peer->handed;
  while (*last) last = &(*last)->next;
  p->handles->id = p->id;
  *last = p->handles;
  p->handles = NULL;
}

void cvy_lane_emitted(covey_peer *peer, cvy_parcel *p, uint64_t end)
{
  cvy_outlet *o = p->outlet;
  p->emitted = true;
  p->end = end;
  if (p->kind != CVY_FRAME_HANDLE) peer->sent++;
  if (p->kind == CVY_FRAME_REQ) peer->called++;
  if (p->large && peer->tx.fragmented-- == CVY_ASSEMBLIES) wake_fragments(peer);
  if (o) {
    if (o->channel && p->kind == CVY_FRAME_NEXT) o->channel->sent++;
    cvy_outlet_unlink(o, p);
    if (o->closed && !p->abandoned && !p->acked) p->result = COVEY_ENOGROUP;
    if (o->closed) cvy_outlet_end(o);
  }
  if (p->abandoned) {
    bool unasked = p->kind == CVY_FRAME_END || p->kind == CVY_FRAME_PUB;
    if (cvy_is_answer(p) || unasked) peer->consumed++; /* nobody will tell, or ask */
    if (cvy_is_answer(p)) answer_gone(peer, p);
    if (p->handles && !p->acked && peer->state != CVY_PEER_DEAD) hand_over(peer, p);
    if (p->kind == CVY_FRAME_REQ && !cvy_call_waits(peer, p->id))
      cvy_peer_control(peer, CVY_FRAME_CANCEL, 0, 0, p->id, NULL, 0);
    cvy_parcel_free(p);
  } else if (o && p->want_ack && !p->acked && !p->result) {
    p->number = o->number;
    p->next = peer->acks;
    peer->acks = p;
  }
}

/* All of it was taken, but where a write pends (Windows) the system has it only then. */
static bool is_out(const cvy_parcel *p, const covey_peer *peer)
{
  return p->emitted && peer->tx.flushed >= p->end;
}

bool cvy_lane_done(const cvy_parcel *p, const covey_peer *peer)
{
  if (p->planned) return false;
  if (cvy_lane_result(p, peer)) return true;
  return is_out(p, peer) && (!p->want_ack || p->acked);
}

int cvy_lane_result(const cvy_parcel *p, const covey_peer *peer)
{
  if (!p->result && p->emitted && !is_out(p, peer) && peer->tx.broken) return COVEY_EPEERDIED;
  return p->result;
}

/* ---- a sender that gives up, and the end ---- */

/* A copy of what is left, in the parcel's place. NULL: out of memory. */
static cvy_parcel *copy_rest(const cvy_parcel *p)
{
  size_t rest = p->buffers[p->buffer].size - p->offset;
  for (size_t i = p->buffer + 1; i < p->count; i++) rest += p->buffers[i].size;
  uint8_t *data;
  cvy_parcel *copy = cvy_parcel_own(p->kind, rest, &data);
  if (!copy) return NULL;
  size_t done = 0;
  for (size_t i = p->buffer; i < p->count; i++) {
    size_t skip = i == p->buffer ? p->offset : 0;
    if (p->buffers[i].size > skip) {
      memcpy(data + done, (const uint8_t *)p->buffers[i].data + skip, p->buffers[i].size - skip);
    }
    done += p->buffers[i].size - skip;
  }
  const covey_buffer *whole = copy->buffers;
  *copy = *p;
  copy->buffers = whole;
  copy->count = 1;
  copy->buffer = copy->offset = 0;
  copy->abandoned = true;
  copy->want_ack = false;
  copy->call = NULL;
  return copy;
}

int cvy_lane_abandon(cvy_parcel *p, covey_peer *peer)
{
  cvy_outlet *o = p->outlet;
  if (p->emitted) {
    for (cvy_parcel **i = &peer->acks; *i; i = &(*i)->next) {
      if (*i != p) continue;
      *i = p->next;
      break;
    }
    return is_out(p, peer) ? COVEY_FAR_SENT : COVEY_FAR_MAYBE;
  }
  if (!o) return p->started ? COVEY_FAR_MAYBE : COVEY_FAR_NOTHING;
  if (!p->started) {
    cvy_outlet_refund(o, p);
    if (p->brings) cvy_handles_forget(o, p);
    cvy_outlet_unlink(o, p);
    cvy_outlet_ready(o);
    if (o->closed) cvy_outlet_end(o);
    return COVEY_FAR_NOTHING;
  }
  cvy_parcel *rest = copy_rest(p);
  if (!rest) {
    cvy_peer_end(peer, COVEY_ENOMEM);
    return COVEY_FAR_MAYBE;
  }
  for (cvy_parcel **i = &o->first; *i; i = &(*i)->next) {
    if (*i != p) continue;
    *i = rest;
    break;
  }
  if (o->last == p) o->last = rest;
  if (o->framing == p) o->framing = rest;
  if (peer->tx.cut.parcel == p) peer->tx.cut.parcel = rest;
  p->outlet = NULL;
  return COVEY_FAR_MAYBE;
}

void cvy_lane_hush(covey_peer *peer, int code)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->outlets, n)) != NULL;) {
    cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_number);
    for (cvy_parcel *p = o->first, *next; p; p = next) {
      next = p->next;
      /* whoever leaves, what was answered or ended is still told; and when we leave, what was published, where there is room */
      bool stays = p->started || p->planned || (p->abandoned && p->kind != CVY_FRAME_PUB);
      if (!stays && p->abandoned && code == COVEY_ECLOSED) stays = cvy_outlet_charge(o, p) && p->granted;
      p->granted = true;
      if (!stays) cvy_outlet_refuse(o, p, code);
    }
    cvy_outlet_ready(o);
  }
}

void cvy_lane_fini(covey_peer *peer, int code)
{
  cvy_map_node *n;
  while ((n = cvy_map_next(&peer->outlets, NULL)) != NULL) {
    cvy_outlet *o = CVY_MAP_OF(n, cvy_outlet, by_number);
    while (o->first) {
      cvy_parcel *p = o->first;
      cvy_outlet_unlink(o, p);
      p->result = code;
      if (cvy_is_answer(p))
        answer_gone(peer, p);
      else if (p->abandoned && p->kind != CVY_FRAME_END && p->kind != CVY_FRAME_PUB &&
               p->kind != CVY_FRAME_HANDLE && p->kind != CVY_FRAME_REQ)
        peer->node->unknown++;
      if (p->abandoned && !p->planned) cvy_parcel_free(p);
    }
    cvy_outlet_free(o);
  }
  while (peer->acks) {
    cvy_parcel *p = peer->acks;
    peer->acks = p->next;
    p->next = NULL;
    p->result = code;
  }
  peer->tx.cut.parcel = NULL;
}
