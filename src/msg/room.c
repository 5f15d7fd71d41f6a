#include "msg/room.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/channel.h"
#include "msg/handler.h"
#include "msg/lane.h"

#include <string.h>

static cvy_outlet *outlet_of(cvy_wish *w)
{
  return CVY_MAP_OF(w, cvy_outlet, wish);
}

static cvy_room *room_of(const covey_peer *peer, const cvy_wish *w)
{
  cvy_room *room = w->channel ? w->channel->room : peer->node->room;
  return room && room->open ? room : NULL;
}

/* ---- lists ---- */

static void put(cvy_wish **at, cvy_wish *w)
{
  w->at = at;
  w->next = *at;
  if (w->next) w->next->at = &w->next;
  *at = w;
}

static void take_out(cvy_wish *w)
{
  *w->at = w->next;
  if (w->next) w->next->at = w->at;
  w->at = NULL;
}

static void unref(cvy_room *room)
{
  if (--room->refs == 0) cvy_free(room);
}

static void ring(cvy_room *room)
{
  if (!room->due || !room->set || room->running || room->note.queued) return;
  room->refs++;
  cvy_loop_note(room->loop, &room->note);
}

static void make_due(cvy_room *room, covey_peer *peer, cvy_wish *w, int code)
{
  if (w->at) take_out(w);
  w->due = true;
  w->code = code;
  if (!w->channel) cvy_peer_ref(peer);
  put(room->end, w);
  room->end = &w->next;
  ring(room);
}

static cvy_wish *take_due(cvy_room *room)
{
  cvy_wish *w = room->due;
  take_out(w);
  if (!room->due) room->end = &room->due;
  w->due = false;
  return w;
}

/* ---- wishes ---- */

static bool fits(const cvy_outlet *o, uint64_t need)
{
  uint64_t lent;
  if (!need || !cvy_outlet_affords(o, need, &lent)) return false;
  bool large = lent < need || need - CVY_CHARGE_FIXED > CVY_FRAGMENT;
  return !large || o->peer->tx.fragmented < CVY_ASSEMBLIES;
}

bool cvy_room_fits(const cvy_outlet *o, const cvy_wish *w)
{
  const cvy_tx *tx = &o->peer->tx;
  if (tx->full || tx->writing || o->framing) return false; /* it would stand behind what waits */
  return fits(o, w->need[0]) || fits(o, w->need[1]);
}

static bool is_met(const covey_peer *peer, cvy_wish *w, int *ret_code)
{
  *ret_code = 0;
  if (w->channel) return cvy_channel_has_room(w->channel);
  const cvy_outlet *o = outlet_of(w);
  if (peer->state != CVY_PEER_OPEN || peer->tx.broken)
    *ret_code = COVEY_EPEERDIED;
  else if (o->closed)
    *ret_code = COVEY_ENOGROUP;
  return *ret_code || cvy_room_fits(o, w);
}

static void look_at(covey_peer *peer, cvy_wish *w)
{
  cvy_room *room = room_of(peer, w);
  int code;
  if (!room)
    take_out(w); /* nobody asks any more */
  else if (is_met(peer, w, &code))
    make_due(room, peer, w, code);
}

void cvy_room_look(covey_peer *peer)
{
  for (cvy_wish *w = peer->wishes, *next; w; w = next) {
    next = w->next;
    look_at(peer, w);
  }
}

void cvy_room_changed(covey_peer *peer)
{
  if (peer->wishes) cvy_peer_dirty(peer);
}

/* There may be room by now. */
static void wait_for(covey_peer *peer, cvy_wish *w)
{
  if (w->at || !(w->need[0] || w->need[1]) || !room_of(peer, w)) return;
  put(&peer->wishes, w);
  look_at(peer, w);
}

void cvy_room_short(covey_peer *peer, const cvy_outlet *o, cvy_wish *w, size_t size)
{
  uint64_t charge = (uint64_t)size + CVY_CHARGE_FIXED;
  uint64_t *need = &w->need[o && charge > o->window / 2];
  if (!*need || charge < *need) *need = charge;
  wait_for(peer, w);
}

bool cvy_room_left(cvy_outlet *o)
{
  cvy_wish *w = &o->wish;
  if (!w->at) return false;
  cvy_room *room = room_of(o->peer, w);
  int code = o->closed ? COVEY_ENOGROUP : COVEY_EPEERDIED;
  if (!room) {
    take_out(w);
    return false;
  }
  if (w->due)
    w->code = code;
  else
    make_due(room, o->peer, w, code);
  return w->left = true;
}

/* ---- the callback ---- */

typedef struct telling {
  covey_channel *channel; /* NULL: a node's */
  covey_peer *peer;
  covey_room room;
  char group[COVEY_NAME_MAX + 1];
} telling;

/* w, which is due no more, as its callback is told of it. */
static void fill(cvy_wish *w, telling *ret)
{
  w->need[0] = w->need[1] = 0;
  ret->channel = w->channel;
  if (w->channel) return;
  cvy_outlet *o = outlet_of(w);
  ret->peer = o->peer;
  memcpy(ret->group, o->name, o->name_size);
  ret->group[o->name_size] = 0;
  ret->room = (covey_room){.to = o->peer->identity, .peer = o->peer, .group = ret->group, .code = w->code};
  ret->room.kind = o->kind == CVY_FRAME_REQ ? COVEY_GROUP_FUNCTION : COVEY_GROUP_MESSAGES;
  if (w->left) cvy_free(o);
}

/* Tells of one. False: there is none, or another thread tells. */
static bool tell_next(cvy_room *room)
{
  covey_loop *loop = room->loop;
  telling t;
  cvy_inside here;
  cvy_loop_lock(loop);
  if (!room->due || !room->set || room->running) {
    cvy_loop_unlock(loop);
    return false;
  }
  fill(take_due(room), &t);
  cvy_loop_ref(loop);
  room->running++;
  cvy_loop_unlock(loop);
  cvy_inside_enter(&here, room);
  if (t.channel)
    room->on_channel(t.channel, room->arg);
  else
    room->on_node(&t.room, room->arg);
  cvy_inside_leave(&here);
  if (!t.channel) cvy_peer_unref(t.peer);
  cvy_loop_lock(loop);
  room->running--;
  cvy_loop_changed(loop);
  cvy_loop_unlock(loop);
  cvy_loop_release(loop);
  return true;
}

enum { ROUND = 16 /* that one note tells: others want their turn */ };

static void tell(void *arg)
{
  cvy_room *room = arg;
  covey_loop *loop = room->loop;
  for (int i = 0; i < ROUND && tell_next(room); i++) continue;
  cvy_loop_lock(loop);
  ring(room);
  unref(room);
  cvy_loop_unlock(loop);
}

/* What was due waits for another callback, but for ends. */
static void forget(cvy_room *room)
{
  room->open = false;
  while (room->due) {
    cvy_wish *w = take_due(room);
    if (w->channel) continue;
    cvy_outlet *o = outlet_of(w);
    cvy_peer_unref(o->peer);
    if (w->left) cvy_free(o);
  }
}

/* Takes the callback away, and waits until it runs in no other thread. */
static int take_away(cvy_room *room, bool another)
{
  room->set = false;
  if (!another) forget(room);
  if (cvy_loop_unnote(room->loop, &room->note)) unref(room);
  room->refs++;
  int r = cvy_inside_quiet(room->loop, room, &room->running);
  if (r < 0) forget(room);
  unref(room);
  return r < 0 ? cvy_fail(r, COVEY_STAGE_NONE, "the callback runs in another thread") : 0;
}

/* *at: made at need. */
static int replace(covey_loop *loop, cvy_room **at, bool another)
{
  if (!*at && !another) return 0;
  if (!*at) {
    cvy_room *room = cvy_alloc_zero(1, sizeof *room);
    if (!room) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "callback");
    room->refs = 1;
    room->loop = loop;
    room->note.run = tell;
    room->note.arg = room;
    room->end = &room->due;
    *at = room;
  }
  return take_away(*at, another);
}

static void begin(cvy_room *room, void *arg)
{
  room->arg = arg;
  room->open = room->set = true;
  ring(room);
}

int covey_channel_on_room(covey_channel *channel, void (*on_room)(covey_channel *channel, void *arg),
                          void *arg)
{
  covey_channel *c = channel;
  if (!c) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "channel is NULL");
  int r = cvy_loop_check(c->loop);
  if (r < 0) return r;
  cvy_loop_lock(c->loop);
  r = replace(c->loop, &c->room, on_room != NULL);
  if (r == 0 && on_room) {
    c->room->on_channel = on_room;
    begin(c->room, arg);
    wait_for(c->peer, &c->wish);
  }
  cvy_loop_unlock(c->loop);
  return r;
}

int covey_node_on_room(covey_node *node, void (*on_room)(const covey_room *room, void *arg), void *arg)
{
  int r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  r = replace(node->loop, &node->room, on_room != NULL);
  if (r == 0 && on_room) {
    node->room->on_node = on_room;
    begin(node->room, arg);
    for (covey_peer *p = node->peers; p; p = p->next) {
      for (cvy_map_node *n = NULL; (n = cvy_map_next(&p->outlets, n)) != NULL;)
        wait_for(p, &CVY_MAP_OF(n, cvy_outlet, by_number)->wish);
    }
  }
  cvy_node_leave(node);
  return r;
}

int cvy_room_end(covey_channel *c)
{
  cvy_loop_lock(c->loop);
  int r = replace(c->loop, &c->room, false);
  if (r == 0 && c->wish.at) take_out(&c->wish);
  if (r == 0 && c->room) unref(c->room);
  if (r == 0) c->room = NULL;
  cvy_loop_unlock(c->loop);
  return r;
}

void cvy_room_shut(covey_node *node)
{
  cvy_room *room = node->room;
  if (!room) return;
  node->room = NULL;
  room->set = false;
  forget(room);
  if (cvy_loop_unnote(room->loop, &room->note)) unref(room);
  unref(room);
}
