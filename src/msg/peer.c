#include "msg/peer.h"

#include "core/atomics.h"
#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "msg/call.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/handles.h"
#include "msg/lane.h"
#include "msg/room.h"
#include "msg/self.h"
#include "msg/topic.h"
#include "msg/watch.h"

#include <string.h>

/* ---- memory ---- */

covey_peer *cvy_peer_new(covey_node *node, enum cvy_peer_state state, const cvy_transport *transport)
{
  covey_peer *peer = cvy_alloc_zero(1, sizeof *peer);
  if (!peer) return NULL;
  peer->refs = 2;
  peer->state = state;
  peer->node = node;
  peer->loop = node->loop;
  peer->transport = transport;
  peer->pin.handle = CVOS_NONE;
  peer->sender = -1;
  peer->limit = CVY_NEVER;
  cvy_intake_init(&peer->intake, node->max_message);
  if (cvy_map_init(&peer->inlets, node->by_pid.seed) < 0 ||
      cvy_map_init(&peer->outlets, node->by_pid.seed) < 0 ||
      cvy_map_init(&peer->outlet_names, node->by_pid.seed) < 0 ||
      cvy_map_init(&peer->calls, node->by_pid.seed) < 0 ||
      cvy_map_init(&peer->requests, node->by_pid.seed) < 0) {
    cvy_map_fini(&peer->inlets);
    cvy_map_fini(&peer->outlets);
    cvy_map_fini(&peer->outlet_names);
    cvy_map_fini(&peer->calls);
    cvy_free(peer);
    return NULL;
  }
  peer->next = node->peers;
  if (peer->next) peer->next->prev = peer;
  node->peers = peer;
  node->streams++;
  node->refs++;
  return peer;
}

void cvy_peer_ref(covey_peer *peer)
{
  cvy_add_u32(&peer->refs, 1);
}

void cvy_peer_unref(covey_peer *peer)
{
  if (peer && cvy_add_u32(&peer->refs, UINT32_MAX) == 1) cvy_free(peer);
}

/* ---- finding ---- */

static void unindex(covey_peer *peer)
{
  if (peer->in_pid) cvy_map_remove(&peer->node->by_pid, &peer->by_pid);
  if (peer->in_name) cvy_map_remove(&peer->node->by_name, &peer->by_name);
  peer->in_pid = peer->in_name = false;
}

void cvy_peer_index(covey_peer *peer)
{
  covey_node *node = peer->node;
  unindex(peer);
  if (peer->identity.pid && (!peer->name[0] || peer->spawned || peer->to_parent)) {
    cvy_map_add(&node->by_pid, &peer->by_pid, (uint64_t)peer->identity.pid);
    peer->in_pid = true;
  }
  if (peer->name[0] && peer->proven) {
    cvy_map_add(&node->by_name, &peer->by_name,
                cvy_map_hash(node->by_name.seed, peer->name, strlen(peer->name)));
    peer->in_name = true;
  }
}

/* Of several that are found the one that is furthest in its life before the good-bye: an open one, else one that is being made. */
static bool better(const covey_peer *a, const covey_peer *b)
{
  if (a->state > CVY_PEER_OPEN) return false;
  return !b || a->state > b->state;
}

covey_peer *cvy_peer_by_pid(const covey_node *node, int64_t pid)
{
  covey_peer *best = NULL;
  for (cvy_map_node *n = cvy_map_find(&node->by_pid, (uint64_t)pid); n; n = cvy_map_again(n)) {
    covey_peer *p = CVY_MAP_OF(n, covey_peer, by_pid);
    if (better(p, best)) best = p;
  }
  return best;
}

covey_peer *cvy_peer_by_name(const covey_node *node, const char *name)
{
  covey_peer *best = NULL;
  uint64_t key = cvy_map_hash(node->by_name.seed, name, strlen(name));
  for (cvy_map_node *n = cvy_map_find(&node->by_name, key); n; n = cvy_map_again(n)) {
    covey_peer *p = CVY_MAP_OF(n, covey_peer, by_name);
    if (strcmp(p->name, name) == 0 && better(p, best)) best = p;
  }
  return best;
}

covey_peer *cvy_peer_claims(const covey_node *node, const covey_identity *who, const char *name,
                            const uint8_t *instance)
{
  for (covey_peer *p = node->peers; p; p = p->next) {
    const covey_identity *id = &p->identity;
    if (p->state != CVY_PEER_OPEN || p->tx.broken || strcmp(p->name, name) != 0) continue;
    if (id->pid != who->pid || id->start != who->start) continue;
    if (!instance || memcmp(id->instance, instance, sizeof id->instance) == 0) return p;
  }
  return NULL;
}

/* ---- the end ---- */

static void remember_gone(covey_peer *peer, bool farewell)
{
  covey_node *node = peer->node;
  const covey_identity *who = &peer->identity;
  uint32_t i = 0;
  if (!who->pid || !who->start || who->pid == node->self.pid) return;
  while (i < CVY_GONE && node->gone[i].pid != who->pid) i++;
  if (i == CVY_GONE) {
    i = node->gone_next;
    node->gone_next = (i + 1) % CVY_GONE;
  }
  node->gone_epoch++;
  node->gone[i] = (struct cvy_gone){.pid = who->pid, .start = who->start, .farewell = farewell};
  memcpy(node->gone[i].instance, who->instance, sizeof who->instance);
}

static void break_off(covey_peer *peer, int code)
{
  if (peer->tx.broken) return;
  cvy_lane_fini(peer, code);
  peer->tx.broken = true;
  unindex(peer);
}

void cvy_peer_end(covey_peer *peer, int code)
{
  covey_node *node = peer->node;
  if (peer->state == CVY_PEER_DEAD) return;
  bool open = peer->introduced, soft = peer->state == CVY_PEER_LEAVING;
  bool farewell = peer->all_there || peer->state == CVY_PEER_BYE_GOT;
  if (open && !peer->all_there) node->unknown += peer->sent - peer->consumed - peer->called;
  peer->state = CVY_PEER_DEAD;
  peer->failure = code;
  CVY_STEP(ENDED);
  break_off(peer, open ? COVEY_EPEERDIED : code);
  cvy_calls_over(peer);
  cvy_requests_over(peer);
  cvy_topics_over(peer, farewell ? COVEY_ECLOSED : COVEY_EPEERDIED);
  cvy_handlers_over(peer);
  cvy_room_look(peer);
  cvy_credit_fini(peer);
  cvy_handles_fini(peer);
  cvy_intake_fini(&peer->intake);
  cvy_peer_count(peer, &node->past);
  if (code == COVEY_EPROTO) node->past.broken++;
  if (peer->introduced) {
    cvy_watch_tell(peer, false);
    node->peer_count--;
    if (!peer->name[0]) remember_gone(peer, farewell);
  }
  if (peer->shaking) node->handshakes--;
  if (node->parent == peer) node->parent = NULL;
  if (peer->prev)
    peer->prev->next = peer->next;
  else
    node->peers = peer->next;
  if (peer->next) peer->next->prev = peer->prev;
  peer->next = peer->prev = NULL;
  cvy_map_fini(&peer->inlets);
  cvy_map_fini(&peer->outlets);
  cvy_map_fini(&peer->outlet_names);
  cvy_map_fini(&peer->calls);
  cvy_map_fini(&peer->requests);
  cvy_credit_serve(node);
  if (!peer->tx.writing) peer->transport->close(peer, !soft);
  cvy_loop_changed(node->loop);
}

void cvy_peer_leave(covey_peer *peer, int code)
{
  if (peer->state == CVY_PEER_DEAD) return;
  cvy_lane_hush(peer, code);
  peer->failure = code;
  peer->state = CVY_PEER_LEAVING;
  cvy_handlers_over(peer);
  unindex(peer);
  cvy_peer_dirty(peer);
}

void cvy_peer_closed(covey_peer *peer)
{
  covey_node *node = peer->node;
  cvy_loop_lock(node->loop);
  cvy_bytes_fini(&peer->tx.control);
  cvy_bytes_fini(&peer->tx.flying);
  cvy_intake_placed(&peer->intake);
  cvos_process_close(&peer->pin);
  peer->io = NULL;
  node->streams--;
  cvy_loop_changed(node->loop);
  cvy_peer_unref(peer);
  cvy_node_release(node);
}

/* ---- writing ---- */

void cvy_peer_control(covey_peer *peer, int kind, int flags, uint16_t group, uint64_t id, const void *body,
                      size_t size)
{
  cvy_tx *tx = &peer->tx;
  uint8_t header[CVY_HEADER];
  cvy_header h = {
      .kind = (uint8_t)kind, .flags = (uint8_t)flags, .group = group, .size = (uint32_t)size, .id = id};
  if (peer->state == CVY_PEER_DEAD || tx->doom || tx->broken) return;
  cvy_header_encode(&h, header);
  if (cvy_bytes_size(&tx->control) > CVY_CONTROL_MOST)
    tx->doom = COVEY_EPROTO;
  else if (cvy_bytes_append(&tx->control, header, sizeof header) < 0)
    tx->doom = COVEY_ENOMEM;
  else if (size && cvy_bytes_append(&tx->control, body, size) < 0)
    tx->doom = COVEY_ENOMEM;
  cvy_peer_dirty(peer);
}

void cvy_peer_dirty(covey_peer *peer)
{
  covey_node *node = peer->node;
  if (peer->is_dirty || peer->state == CVY_PEER_DEAD) return;
  peer->is_dirty = true;
  cvy_peer_ref(peer);
  peer->next_dirty = node->dirty;
  node->dirty = peer;
}

/* What is done when nothing is left to write. True: there is something again. */
static bool written_all(covey_peer *peer)
{
  if (peer->state == CVY_PEER_LEAVING) {
    cvy_peer_end(peer, peer->failure);
  } else if (peer->tx.bye && peer->state == CVY_PEER_OPEN && peer->tx.parcels == 0) {
    cvy_bye bye = {.count = peer->sent, .id = peer->tx.next_id};
    uint8_t body[16];
    size_t size = cvy_bye_encode(&bye, body);
    cvy_peer_control(peer, CVY_FRAME_BYE, 0, 0, 0, body, size);
    peer->state = CVY_PEER_BYE_SENT;
    CVY_STEP(BYE);
    return true;
  }
  return false;
}

/* The system refuses the handles of a write, not its bytes (Linux: too many on their way, ETOOMANYREFS; a kind that may not travel): that costs their
 * message alone. */
static bool only_handles(const covey_peer *peer, int64_t n)
{
  return n < 0 && n != COVEY_ECLOSED && peer->tx.going && peer->state != CVY_PEER_DEAD && !peer->tx.broken;
}

static void account(covey_peer *peer, cvy_plan *plan, int64_t n)
{
  cvy_tx *tx = &peer->tx;
  if (only_handles(peer, n)) {
    cvy_lane_settle(peer, plan, 0);
    cvy_handles_refused(plan->frames[0].parcel, (int)n);
    cvy_loop_changed(peer->node->loop);
    return;
  }
  if (n == COVEY_ECLOSED)
    break_off(peer, COVEY_EPEERDIED); /* what it has sent before is still read */
  else if (n < 0)
    cvy_peer_end(peer, (int)n);
  if (n < 0) n = 0;
  cvy_lane_settle(peer, plan, (uint64_t)n);
  tx->taken += (uint64_t)n;
  bool pending = peer->state != CVY_PEER_DEAD && !tx->broken && peer->transport->pending(peer);
  if (!pending) tx->flushed = tx->taken;
  if ((uint64_t)n < plan->bytes && !tx->broken) tx->full = true;
  if (peer->state != CVY_PEER_DEAD && (tx->full || pending)) peer->transport->want_room(peer);
  cvy_loop_changed(peer->node->loop);
}

/* Nothing is left to write, and nothing to do then either: the common end of a flush. */
static bool all_quiet(const covey_peer *peer)
{
  const cvy_tx *tx = &peer->tx;
  return peer->state == CVY_PEER_OPEN && !tx->ready && !tx->cut.parcel && !tx->bye && !tx->doom &&
         !cvy_bytes_size(&tx->control) && !cvy_bytes_size(&tx->flying);
}

void cvy_peer_flush(covey_peer *peer)
{
  cvy_tx *tx = &peer->tx;
  covey_loop *loop = peer->node->loop;
  if (tx->writing || peer->state == CVY_PEER_DEAD || peer->state == CVY_PEER_DIALLING) return;
  cvy_peer_ref(peer);
  while (peer->state != CVY_PEER_DEAD && !tx->broken && (!tx->full || tx->doom)) {
    cvy_plan plan;
    if (tx->doom) {
      cvy_peer_end(peer, tx->doom);
      break;
    }
    cvy_lane_plan(peer, &plan);
    if (!plan.piece_count) {
      if (written_all(peer)) continue;
      break;
    }
    tx->writing = true;
    cvy_loop_unlock(loop);
    CVY_STEP(PLANNED);
    int system;
    int64_t n = peer->transport->write(peer, plan.pieces, plan.piece_count, &system);
    CVY_STEP(WRITTEN);
    cvy_loop_lock(loop);
    tx->writing = false;
    bool ended = peer->state == CVY_PEER_DEAD; /* meanwhile: its stream was not closed, for it was in use */
    account(peer, &plan, n);
    CVY_STEP(SETTLED);
    if (ended) peer->transport->close(peer, true);
    if (all_quiet(peer)) break;
  }
  if (peer->wishes) cvy_room_look(peer);
  cvy_peer_unref(peer);
}

void cvy_peer_room(covey_peer *peer)
{
  covey_node *node = peer->node;
  cvy_loop_lock(node->loop);
  if (peer->state != CVY_PEER_DEAD) {
    peer->tx.full = false;
    if (!peer->tx.writing && !peer->transport->pending(peer)) peer->tx.flushed = peer->tx.taken;
    cvy_loop_changed(node->loop);
    cvy_peer_dirty(peer);
  }
  cvy_node_unlock(node);
}

void cvy_peer_bye(covey_peer *peer)
{
  if (peer->transport == &cvy_transport_local || peer->state < CVY_PEER_OPEN) {
    peer->all_there = true; /* what we sent to ourselves is discarded with our groups */
    cvy_peer_end(peer, COVEY_ECLOSED);
    return;
  }
  cvy_topics_bye(peer);
  cvy_lane_hush(peer, COVEY_ECLOSED);
  cvy_credit_settle(peer);
  peer->tx.bye = true;
  cvy_peer_dirty(peer);
}

void cvy_peer_stop(covey_peer *peer)
{
  uint8_t body[8];
  size_t size = cvy_stop_encode(0, body);
  cvy_peer_control(peer, CVY_FRAME_STOP, 0, 0, 0, body, size);
}

void cvy_peer_open(covey_peer *peer)
{
  covey_node *node = peer->node;
  CVY_STEP(OPEN);
  peer->state = CVY_PEER_OPEN;
  peer->introduced = true;
  node->peer_count++;
  if (peer->shaking) node->handshakes--;
  peer->shaking = false;
  peer->limit = CVY_NEVER;
  cvy_peer_index(peer);
  cvy_watch_tell(peer, true);
  cvy_map_node *n = NULL;
  while ((n = cvy_map_next(&node->groups, n)) != NULL) {
    cvy_group *g = CVY_MAP_OF(n, cvy_group, by_name);
    if (g->kind != CVY_FRAME_PUB && cvy_inlet_open(peer, g) < 0) peer->tx.doom = COVEY_ENOMEM;
  }
  cvy_peer_control(peer, CVY_FRAME_PONG, 0, 0, 0, NULL, 0); /* the end of the list */
  if (peer->stop_due) cvy_peer_stop(peer);
  peer->transport->watch(peer);
  cvy_loop_changed(node->loop);
}

/* ---- reading ---- */

enum {
  BULK = 16384,      /* bytes of a frame from which on a second read costs less than a copy */
  BULK_HEAD = 1024,  /* read before it is known what comes */
  PLACE_LEAST = 4096 /* bytes that are worth a read of their own */
};

void *cvy_peer_place(covey_peer *peer, size_t *ret_size)
{
  covey_loop *loop = peer->loop;
  void *at = NULL;
  if (!peer->bulk) return NULL;
  cvy_loop_lock(loop);
  uint64_t rest = cvy_decoder_rest(&peer->decoder);
  if (rest >= PLACE_LEAST && peer->state != CVY_PEER_DEAD) at = cvy_intake_place(&peer->intake, &rest);
  if (at)
    *ret_size = (size_t)rest;
  else if (rest == 0)
    *ret_size = BULK_HEAD;
  cvy_loop_unlock(loop);
  return at;
}

static void take_message(covey_peer *peer, const cvy_chunk *chunk)
{
  if (chunk->offset == 0) peer->bulk = chunk->header.size >= BULK;
  cvy_begin begin;
  cvy_item *item = NULL;
  uint16_t group = chunk->header.group;
  uint64_t keep = 0;
  int r = cvy_intake_begins(&peer->intake, chunk, &begin);
  if (r > 0) r = begin.group ? cvy_inlet_begin(peer, &begin, &keep) : cvy_call_begins(peer, &begin, &keep);
  if (keep) CVY_STEP(BEGUN);
  if (r >= 0) r = cvy_intake_take(&peer->intake, chunk, keep, &item);
  if (r < 0) {
    cvy_peer_end(peer, r);
    return;
  }
  if (r == 0 && cvy_inlet_exceeds(peer, group)) cvy_peer_end(peer, COVEY_EPROTO);
  if (r > 0) CVY_STEP(WHOLE);
  if (r > 0 && group)
    cvy_group_arrived(peer, group, item);
  else if (r > 0 && item)
    cvy_call_arrived(peer, item);
}

void cvy_peer_bytes(covey_peer *peer, const void *data, size_t size)
{
  covey_node *node = peer->node;
  const uint8_t *bytes = data;
  int r = 1;
  CVY_STEP(READ);
  cvy_loop_lock(node->loop);
  peer->bytes_in += size;
  if (peer->intake.lent) cvy_intake_placed(&peer->intake);
  while (peer->state != CVY_PEER_DEAD && peer->state != CVY_PEER_LEAVING) {
    cvy_chunk chunk;
    r = cvy_decoder_next(&peer->decoder, &bytes, &size, &chunk);
    if (r < 0) cvy_peer_end(peer, r);
    if (r <= 0) break;
    bool message = CVY_FRAME_IS_MESSAGE(chunk.header.kind);
    if (message && (peer->state == CVY_PEER_OPEN || peer->state == CVY_PEER_BYE_SENT))
      take_message(peer, &chunk);
    else
      cvy_handshake_event(peer, &chunk);
  }
  if (peer->came && cvy_decoder_clean(&peer->decoder)) cvy_peer_end(peer, COVEY_EPROTO); /* of no frame */
  cvy_node_unlock(node);
}

void cvy_peer_over(covey_peer *peer, int status)
{
  covey_node *node = peer->node;
  cvy_loop_lock(node->loop);
  bool parent = peer->to_parent && peer->state != CVY_PEER_DEAD;
  bool clean = status == 0 && cvy_decoder_clean(&peer->decoder);
  if (peer->state == CVY_PEER_BYE_GOT && clean)
    cvy_peer_end(peer, COVEY_ENOPEER);
  else
    cvy_peer_end(peer, COVEY_EPEERDIED);
  cvy_node_unlock(node);
  if (parent) cvy_self_asked();
}
