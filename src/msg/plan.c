#include "core/mem.h"
#include "msg/call.h"
#include "msg/lane.h"

#include <string.h>

enum {
  PLAN_BYTES =
      256 *
      1024 /* bytes in one write: what a socket takes at once, and a bound for the time without the lock */
};

/* ---- plan ---- */

/* Adds up to size bytes of the parcel's message from where it stands, as far as pieces are left. Returns the bytes. */
static size_t plan_body(cvy_plan *plan, cvy_parcel *p, size_t size)
{
  size_t done = 0;
  while (done < size && plan->piece_count < CVY_PLAN_PIECES) {
    const covey_buffer *b = &p->buffers[p->buffer];
    size_t n = b->size - p->offset;
    if (n > size - done) n = size - done;
    if (n) plan->pieces[plan->piece_count++] = (cvos_piece){(const uint8_t *)b->data + p->offset, n};
    done += n;
    p->offset += n;
    if (p->offset == b->size && p->buffer + 1 < p->count) {
      p->buffer++;
      p->offset = 0;
    } else if (n == 0) {
      break;
    }
  }
  plan->bytes += done;
  return done;
}

static void plan_bytes(cvy_plan *plan, const void *data, size_t size)
{
  if (!size) return;
  plan->pieces[plan->piece_count++] = (cvos_piece){data, size};
  plan->bytes += size;
}

static void encode(const cvy_outlet *o, const cvy_parcel *p, struct cvy_planned *f)
{
  cvy_header h = {.kind = p->large ? CVY_FRAME_FRAG : p->kind, .group = o->number, .id = p->id};
  h.size = f->body + f->header_size - CVY_HEADER;
  h.flags = (uint8_t)(p->priority | (p->large && !f->last ? CVY_FLAG_MORE : 0) |
                      (p->want_ack || p->grant ? CVY_FLAG_WANT_ACK : 0) | (p->brings ? CVY_FLAG_HANDLES : 0));
  cvy_header_encode(&h, f->header);
  if (f->header_size > CVY_HEADER) {
    cvy_frag first = {.total = p->size, .kind = p->kind, .lent = p->extra ? (uint32_t)p->lent : 0};
    cvy_frag_encode(&first, f->header + CVY_HEADER);
  }
}

enum plan_result {
  PLAN_WAIT,  /* nothing to send at the moment */
  PLAN_WHOLE, /* a frame was added */
  PLAN_SHORT  /* a frame was added, but pieces ran out before its end: it must be the last one */
};

/* The next frame of the outlet's first unfinished message. */
static enum plan_result plan_frame(covey_peer *peer, cvy_outlet *o, cvy_plan *plan)
{
  cvy_tx *tx = &peer->tx;
  cvy_parcel *p = o->framing;
  struct cvy_planned *f = &plan->frames[plan->frame_count];
  if (!p || p->result || (!o->closed && !cvy_outlet_charge(o, p))) return PLAN_WAIT;
  if (p->handles && p->next && !p->next->abandoned && !cvy_outlet_charge(o, p->next))
    return PLAN_WAIT; /* its message must follow */
  bool begins = p->id == 0 || (cvy_is_answer(p) && p->left == p->size);
  size_t body = p->left;
  if (p->large) {
    if (!p->granted && body > p->free) body = p->free;
    if (body > CVY_FRAGMENT) body = CVY_FRAGMENT;
    if (!body || (begins && tx->fragmented >= CVY_ASSEMBLIES)) return PLAN_WAIT;
  }
  *f = (struct cvy_planned){.parcel = p, .buffer = p->buffer, .offset = p->offset, .left = p->left};
  f->first = begins;
  f->header_size = CVY_HEADER + (p->large && f->first ? CVY_PREFIX : 0);
  if (f->first) {
    if (!p->id) p->id = ++tx->next_id;
    if (p->call) cvy_call_named(peer, p);
    if (p->grant) p->grant->id = p->id;
    if (p->large) tx->fragmented++;
  }
  plan_bytes(plan, f->header, f->header_size);
  size_t held = plan_body(plan, p, body);
  if (p->large && held) body = held; /* of many small buffers: a shorter fragment */
  p->left -= body;
  if (p->large && !p->granted) p->free -= body;
  f->body = (uint32_t)body;
  f->last = p->left == 0;
  p->planned = true;
  if (f->last) o->framing = p->next;
  encode(o, p, f);
  plan->frame_count++;
  return held == body ? PLAN_WHOLE : PLAN_SHORT;
}

static void plan_control(cvy_tx *tx, cvy_plan *plan)
{
  size_t waiting = cvy_bytes_size(&tx->control);
  if (waiting && !cvy_bytes_size(&tx->flying)) {
    cvy_bytes empty = tx->flying;
    tx->flying = tx->control;
    tx->control = empty;
  } else if (waiting && cvy_bytes_append(&tx->flying, cvy_bytes_front(&tx->control), waiting) == 0) {
    cvy_bytes_consume(&tx->control, waiting);
  }
  plan->flying = cvy_bytes_size(&tx->flying);
  plan_bytes(plan, cvy_bytes_front(&tx->flying), (size_t)plan->flying);
}

void cvy_lane_plan(covey_peer *peer, cvy_plan *plan)
{
  cvy_tx *tx = &peer->tx;
  plan->piece_count = plan->frame_count = 0;
  plan->bytes = plan->cut = plan->flying = 0;
  plan->cut_parcel = tx->cut.parcel;
  tx->going = NULL;
  if (tx->cut.parcel) {
    cvy_parcel *p = tx->cut.parcel;
    plan->buffer = p->buffer;
    plan->offset = p->offset;
    plan->cut_header = tx->cut.header_size - tx->cut.header_done;
    plan_bytes(plan, tx->cut.header + tx->cut.header_done, plan->cut_header);
    size_t held = plan_body(plan, p, tx->cut.body);
    p->planned = true;
    plan->cut = plan->bytes;
    if (held < tx->cut.body) return;
  }
  plan_control(tx, plan);
  if (peer->state < CVY_PEER_OPEN || peer->state > CVY_PEER_BYE_GOT) return;
  while (tx->ready && plan->frame_count < CVY_PLAN_FRAMES && plan->piece_count + 2 <= CVY_PLAN_PIECES &&
         plan->bytes < PLAN_BYTES) {
    cvy_outlet *o = tx->ready;
    if (o->framing && o->framing->handles && plan->bytes)
      break; /* they travel with the first byte of a write */
    cvy_outlet_rest(o);
    enum plan_result r = plan_frame(peer, o, plan);
    if (r != PLAN_WAIT) cvy_outlet_ready(o);
    if (r == PLAN_SHORT) break;
  }
  if (plan->frame_count && !plan->cut && !plan->flying) tx->going = plan->frames[0].parcel->handles;
}

/* ---- settle ---- */

static void move_on(cvy_parcel *p, size_t buffer, size_t offset, size_t size)
{
  p->buffer = buffer;
  p->offset = offset;
  for (;;) {
    size_t n = p->buffers[p->buffer].size - p->offset;
    if (n > size) n = size;
    p->offset += n;
    size -= n;
    if (!size) return;
    p->buffer++;
    p->offset = 0;
  }
}

/* Nothing of this frame was taken: as if it had not been made. */
static void take_back(covey_peer *peer, struct cvy_planned *f)
{
  cvy_parcel *p = f->parcel;
  if (p->large && !p->granted) p->free += f->body;
  p->buffer = f->buffer;
  p->offset = f->offset;
  p->left = f->left;
  p->outlet->framing = p;
  if (f->first) {
    if (p->call) cvy_call_unnamed(p->call);
    if (p->grant) p->grant->id = 0;
    if (p->large) peer->tx.fragmented--;
    if (!cvy_is_answer(p)) {
      p->id = 0;
      peer->tx.next_id--;
    }
  }
  cvy_outlet_ready(p->outlet);
}

/* Bytes of a message were taken, up to end in the stream, before its sender has heard that the connection has ended. last: all of it, which is SENT. */
static void taken_before_the_end(covey_peer *peer, cvy_parcel *p, bool last, uint64_t end)
{
  p->started = true;
  if (!last) return;
  p->emitted = true;
  p->end = end;
  if (p->kind != CVY_FRAME_DATA || p->want_ack || p->abandoned) return;
  p->result = 0;
  peer->node->unknown++;
}

/* cvy_lane_fini has been here meanwhile: the parcels are in no list, and those without a sender are ours to free. */
static void settle_ended(covey_peer *peer, cvy_plan *plan, uint64_t taken)
{
  cvy_parcel *orphans = NULL;
  uint64_t end = plan->cut;
  if (plan->cut_parcel && taken >= end)
    taken_before_the_end(peer, plan->cut_parcel, peer->tx.cut.last, peer->tx.taken + end);
  end += plan->flying;
  for (size_t i = 0; i < plan->frame_count && taken > end; i++) {
    struct cvy_planned *f = &plan->frames[i];
    end += (uint64_t)f->header_size + f->body;
    taken_before_the_end(peer, f->parcel, f->last && taken >= end, peer->tx.taken + end);
  }
  for (size_t i = 0; i <= plan->frame_count; i++) {
    cvy_parcel *p = i < plan->frame_count ? plan->frames[i].parcel : plan->cut_parcel;
    if (!p || !p->planned) continue;
    p->planned = false;
    if (!p->abandoned) continue;
    p->next = orphans;
    orphans = p;
  }
  while (orphans) {
    cvy_parcel *p = orphans;
    orphans = p->next;
    cvy_parcel_free(p);
  }
}

/* The frame that had been cut. Returns the bytes of it that were taken; less than plan->cut: it is cut again. */
static uint64_t settle_cut(covey_peer *peer, const cvy_plan *plan, uint64_t taken)
{
  cvy_tx *tx = &peer->tx;
  uint64_t n = taken < plan->cut ? taken : plan->cut;
  uint32_t header = tx->cut.header_size - tx->cut.header_done;
  if (n < header) header = (uint32_t)n;
  tx->cut.parcel->planned = false;
  tx->cut.header_done += header;
  tx->cut.body -= (uint32_t)(n - header);
  if (tx->cut.header_done == tx->cut.header_size && tx->cut.body == 0) {
    cvy_parcel *p = tx->cut.parcel;
    tx->cut.parcel = NULL;
    if (tx->cut.last) cvy_lane_emitted(peer, p, tx->taken + n);
  }
  return n;
}

static void cut_frame(cvy_tx *tx, struct cvy_planned *f, uint64_t taken)
{
  uint32_t header = taken < f->header_size ? (uint32_t)taken : f->header_size;
  f->parcel->started = true;
  move_on(f->parcel, f->buffer, f->offset, (size_t)(taken - header));
  tx->cut.parcel = f->parcel;
  memcpy(tx->cut.header, f->header, f->header_size);
  tx->cut.header_size = f->header_size;
  tx->cut.header_done = header;
  tx->cut.body = f->body - (uint32_t)(taken - header);
  tx->cut.last = f->last;
}

void cvy_lane_settle(covey_peer *peer, cvy_plan *plan, uint64_t taken)
{
  cvy_tx *tx = &peer->tx;
  uint64_t end = tx->taken, n = 0;
  if (tx->broken || peer->state == CVY_PEER_DEAD) {
    settle_ended(peer, plan, taken);
    return;
  }
  for (size_t i = 0; i < plan->frame_count; i++) plan->frames[i].parcel->planned = false;
  if (plan->cut_parcel) n = settle_cut(peer, plan, taken);
  uint64_t in_cut = n;
  taken -= n;
  end += n;
  n = taken < plan->flying ? taken : plan->flying;
  cvy_bytes_consume(&tx->flying, (size_t)n);
  taken -= n;
  end += n;
  size_t i = 0;
  for (; i < plan->frame_count; i++) {
    struct cvy_planned *f = &plan->frames[i];
    n = (uint64_t)f->header_size + f->body;
    if (taken < n) break;
    taken -= n;
    end += n;
    f->parcel->started = true;
    if (f->last) cvy_lane_emitted(peer, f->parcel, end);
  }
  for (size_t k = plan->frame_count; k-- > i + (taken ? 1 : 0);) take_back(peer, &plan->frames[k]);
  if (tx->cut.parcel) { /* cut again: it stands where it stood, and what was taken further */
    uint64_t body = in_cut - (plan->cut_header < in_cut ? plan->cut_header : in_cut);
    move_on(tx->cut.parcel, plan->buffer, plan->offset, (size_t)body);
  } else if (taken && i < plan->frame_count) {
    cut_frame(tx, &plan->frames[i], taken);
  }
}
