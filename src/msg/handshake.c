#include "msg/peer.h"

#include "core/fault.h"

#include "msg/call.h"
#include "msg/group.h"
#include "msg/handler.h"
#include "msg/handles.h"
#include "msg/lane.h"
#include "msg/self.h"
#include "msg/topic.h"
#include "msg/watch.h"

#include <string.h>

/* What a frame is to the connection's life. */
enum event {
  ON_HELLO,
  ON_WELCOME,
  ON_DENY,
  ON_BYE,
  ON_BYE_ACK,
  ON_STOP,
  ON_CONTROL,
  ON_MESSAGE,
  ON_NOTHING,
  EVENTS
};

typedef void (*action)(covey_peer *peer, const cvy_chunk *chunk);

static enum event event_of(uint8_t kind)
{
  switch (kind) {
  case CVY_FRAME_DOORBELL: return ON_NOTHING;
  case CVY_FRAME_HELLO: return ON_HELLO;
  case CVY_FRAME_WELCOME: return ON_WELCOME;
  case CVY_FRAME_DENY: return ON_DENY;
  case CVY_FRAME_BYE: return ON_BYE;
  case CVY_FRAME_BYE_ACK: return ON_BYE_ACK;
  case CVY_FRAME_STOP: return ON_STOP;
  default: return CVY_FRAME_IS_MESSAGE(kind) ? ON_MESSAGE : ON_CONTROL;
  }
}

/* ---- introducing ---- */

static cvy_hello our_hello(const covey_node *node)
{
  cvy_hello h = {
      .version_least = CVY_VERSION_LEAST, .version_most = CVY_VERSION, .max_message = node->max_message};
  memcpy(h.instance, node->self.instance, sizeof h.instance);
  h.pid = node->self.pid;
  h.start = node->self.start;
  h.window = (uint32_t)node->window;
  h.name_size = (uint8_t)strlen(node->name);
  memcpy(h.name, node->name, h.name_size);
  return h;
}

static void send_hello(covey_peer *peer, int kind, uint16_t version)
{
  uint8_t body[96 + 255];
  cvy_hello h = our_hello(peer->node);
  if (version) h.version_least = h.version_most = version;
  size_t size = cvy_hello_encode(&h, body);
  cvy_peer_control(peer, kind, 0, 0, 0, body, size);
}

void cvy_handshake_hello(covey_peer *peer)
{
  CVY_STEP(HELLO);
  send_hello(peer, CVY_FRAME_HELLO, 0);
}

static void deny(covey_peer *peer, uint32_t reason, int code)
{
  uint8_t body[16];
  cvy_deny d = {.reason = reason, .version_least = CVY_VERSION_LEAST, .version_most = CVY_VERSION};
  size_t size = cvy_deny_encode(&d, body);
  cvy_peer_control(peer, CVY_FRAME_DENY, 0, 0, 0, body, size);
  cvy_peer_leave(peer, code);
}

static void know(covey_peer *peer, const cvy_hello *h)
{
  memcpy(peer->identity.instance, h->instance, sizeof h->instance);
  memcpy(peer->name, h->name, h->name_size);
  peer->name[h->name_size] = 0;
  peer->max_message = h->max_message;
}

/* Is it who it must be: the process that we spawned, or what accept (without the lock) says; without accept the same user. */
static bool admitted(covey_peer *peer, const cvy_hello *h)
{
  covey_node *node = peer->node;
  if (peer->spawned) {
    int64_t pid = cvos_stream_tells_sender() ? peer->sender : h->pid;
    if (!CVOS_WINDOWS) return pid == peer->identity.pid;
    covey_identity who;
    cvos_process pin = {.handle = CVOS_NONE};
    if (cvos_stream_peer(cvos_io_handle(peer->io), &who, &pin) < 0) return false;
    cvos_process_close(&pin);
    return who.pid == peer->identity.pid && who.start == peer->identity.start;
  }
  if (!node->accept) return (peer->identity.flags & COVEY_ID_SAME_USER) != 0;
  peer->judging = true;
  cvy_loop_unlock(node->loop);
  int refused = node->accept(&peer->identity, h->name, node->accept_arg);
  cvy_loop_lock(node->loop);
  peer->judging = false;
  return refused == 0;
}

/* One connection joins two nodes, so that messages cannot overtake each other. True: this one goes. There is one already, or both have dialled each
 * other: then the one of the smaller instance stays. */
static bool is_second(covey_peer *peer, const cvy_hello *h)
{
  const covey_node *node = peer->node;
  if (cvy_peer_claims(node, &peer->identity, h->name, h->instance)) return true;
  covey_peer *ours =
      h->name_size ? cvy_peer_by_name(node, h->name) : cvy_peer_by_pid(node, peer->identity.pid);
  if (!ours || ours == peer || !ours->dialled || ours->state > CVY_PEER_WELCOME) return false;
  if (ours->state == CVY_PEER_WELCOME && ours->identity.pid != peer->identity.pid)
    return false; /* it only says so */
  if (memcmp(node->self.instance, h->instance, sizeof h->instance) < 0) return true;
  cvy_peer_end(ours, COVEY_EAGAIN); /* who waits for it finds this one */
  return false;
}

static void on_hello(covey_peer *peer, const cvy_chunk *chunk)
{
  covey_node *node = peer->node;
  cvy_hello h;
  int version = 0, r = cvy_hello_decode(chunk->data, chunk->size, &h);
  if (r == 0 && h.name_size > COVEY_NAME_MAX) r = COVEY_EPROTO;
  if (r == 0) r = version = cvy_version_choose(&h);
  if (r == COVEY_EVERSION)
    deny(peer, CVY_DENY_VERSION, r);
  else if (r < 0)
    cvy_peer_end(peer, r);
  if (r < 0) return;
  bool in = admitted(peer, &h);
  if (peer->state != CVY_PEER_HELLO) return; /* ended while accept was asked */
  if (!in) {
    deny(peer, CVY_DENY_IDENTITY, COVEY_EDENIED);
  } else if (node->state != CVY_NODE_OPEN) {
    deny(peer, CVY_DENY_CLOSING, COVEY_ECLOSED);
  } else if (!peer->spawned && node->peer_count >= node->max_peers) {
    deny(peer, CVY_DENY_BUSY, COVEY_EQUOTA);
  } else if (!peer->spawned && is_second(peer, &h)) {
    deny(peer, CVY_DENY_GLARE, COVEY_EAGAIN);
  } else {
    know(peer, &h);
    if (peer->spawned) cvos_stream_quiet(cvos_io_handle(peer->io));
    send_hello(peer, CVY_FRAME_WELCOME, (uint16_t)version);
    cvy_peer_open(peer);
  }
}

static void on_welcome(covey_peer *peer, const cvy_chunk *chunk)
{
  cvy_hello h;
  int r = cvy_hello_decode(chunk->data, chunk->size, &h);
  if (r == 0 && (h.name_size > COVEY_NAME_MAX || h.version_least != h.version_most)) r = COVEY_EPROTO;
  if (r == 0 && cvy_version_choose(&h) != h.version_most) r = COVEY_EVERSION;
  if (r == 0 && !peer->to_parent && strcmp(peer->name, h.name) != 0)
    r = COVEY_EPROTO; /* not whom we dialled */
  if (r < 0) {
    cvy_peer_end(peer, r);
    return;
  }
  know(peer, &h);
  cvy_peer_open(peer);
}

static void on_deny(covey_peer *peer, const cvy_chunk *chunk)
{
  cvy_deny d;
  int code = cvy_deny_decode(chunk->data, chunk->size, &d);
  if (code == 0) {
    switch (d.reason) {
    case CVY_DENY_VERSION: code = COVEY_EVERSION; break;
    case CVY_DENY_BUSY: code = COVEY_EQUOTA; break;
    case CVY_DENY_GLARE: code = COVEY_EAGAIN; break;
    case CVY_DENY_CLOSING: code = COVEY_ENOPEER; break;
    default: code = COVEY_EDENIED; break;
    }
  }
  cvy_peer_end(peer, code);
}

/* ---- the good-bye ---- */

static void on_bye(covey_peer *peer, const cvy_chunk *chunk)
{
  cvy_bye bye;
  uint8_t body[16];
  if (cvy_bye_decode(chunk->data, chunk->size, &bye) < 0 || bye.count != peer->intake.whole) {
    cvy_peer_end(peer, COVEY_EPROTO);
    return;
  }
  size_t size = cvy_bye_encode(&bye, body);
  cvy_peer_control(peer, CVY_FRAME_BYE_ACK, 0, 0, 0, body, size);
  CVY_STEP(BYE_GOT);
  if (peer->state == CVY_PEER_BYE_SENT) return; /* both leave: our own answer is still due */
  peer->state = CVY_PEER_BYE_GOT;
  cvy_handlers_over(peer);
  cvy_lane_hush(peer, COVEY_EPEERDIED);
  cvy_calls_over(peer); /* every answer that it will give is here */
  cvy_loop_changed(peer->node->loop);
}

static void on_bye_ack(covey_peer *peer, const cvy_chunk *chunk)
{
  cvy_bye bye;
  if (cvy_bye_decode(chunk->data, chunk->size, &bye) < 0 || bye.count != peer->sent) {
    cvy_peer_end(peer, COVEY_EPROTO);
    return;
  }
  peer->all_there = true;
  cvy_peer_leave(peer, COVEY_ECLOSED);
}

/* ---- in between ---- */

static void on_stop(covey_peer *peer, const cvy_chunk *chunk)
{
  uint32_t grace;
  covey_loop *loop = peer->node->loop;
  if (!peer->to_parent || cvy_stop_decode(chunk->data, chunk->size, &grace) < 0) {
    cvy_peer_end(peer, COVEY_EPROTO);
    return;
  }
  cvy_loop_unlock(loop);
  cvy_self_asked();
  cvy_loop_lock(loop);
}

static int on_gap(covey_peer *peer, const cvy_chunk *chunk)
{
  uint64_t count;
  const cvy_inlet *in = cvy_inlet_find(peer, chunk->header.group);
  int r = cvy_gap_decode(chunk->data, chunk->size, &count);
  if (r < 0 || !in) return COVEY_EPROTO;
  if (in->closed) return 0;
  if (in->group->kind == CVY_FRAME_PUB)
    cvy_topic_ends(in->group, count);
  else
    cvy_queue_skip(&in->group->queue, count);
  return 0;
}

static void on_control(covey_peer *peer, const cvy_chunk *chunk)
{
  const cvy_header *h = &chunk->header;
  cvy_group_open open;
  cvy_credit credit;
  int r = 0;
  switch (h->kind) {
  case CVY_FRAME_PING: cvy_peer_control(peer, CVY_FRAME_PONG, 0, 0, h->id, NULL, 0); break;
  case CVY_FRAME_PONG:
    peer->ready = true;
    peer->told = h->id;
    break;
  case CVY_FRAME_LOOK: cvy_peer_look(peer, h->id); break;
  case CVY_FRAME_FILL:
    r = cvy_credit_decode(chunk->data, chunk->size, &credit);
    if (r == 0) r = cvy_outlet_fill(peer, h->group, &credit);
    break;
  case CVY_FRAME_GROUP_OPEN:
    r = cvy_group_open_decode(chunk->data, chunk->size, &open);
    if (r == 0) r = cvy_outlet_opened(peer, h->group, h->id, &open);
    break;
  case CVY_FRAME_GROUP_CLOSE: r = cvy_outlet_closed(peer, h->group); break;
  case CVY_FRAME_CREDIT:
    r = cvy_credit_decode(chunk->data, chunk->size, &credit);
    if (r == 0) r = cvy_outlet_credit(peer, h->group, h->id, &credit);
    break;
  case CVY_FRAME_ACK:
    r = h->id == UINT64_MAX ? cvy_inlet_gone(peer, h->group) : cvy_outlet_ack(peer, h->group, h->id);
    break;
  case CVY_FRAME_CANCEL: cvy_request_cancelled(peer, h->id); break;
  case CVY_FRAME_HANDLE: r = cvy_handles_came(peer, chunk); break;
  case CVY_FRAME_HANDLE_ACK: r = cvy_handles_acked(peer, h->id); break;
  case CVY_FRAME_GAP: r = on_gap(peer, chunk); break;
  default: r = COVEY_EPROTO; break; /* of a later version, or of what was not agreed upon */
  }
  if (r < 0)
    cvy_peer_end(peer, r);
  else
    cvy_loop_changed(peer->node->loop);
}

static void wrong(covey_peer *peer, const cvy_chunk *chunk)
{
  (void)chunk;
  cvy_peer_end(peer, COVEY_EPROTO);
}

static void nothing(covey_peer *peer, const cvy_chunk *chunk)
{
  (void)peer;
  (void)chunk;
}

/* Messages in OPEN and BYE_SENT do not come this way: cvy_peer_bytes takes them. After its BYE a peer sends nothing but its answer to ours. */
static const action table[CVY_PEER_STATES][EVENTS] = {
    /*                     HELLO     WELCOME     DENY     BYE     BYE_ACK     STOP     CONTROL     MESSAGE  NOTHING */
    [CVY_PEER_DIALLING] = {wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong},
    [CVY_PEER_HELLO] = {on_hello, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong},
    [CVY_PEER_WELCOME] = {wrong, on_welcome, on_deny, wrong, wrong, wrong, wrong, wrong, wrong},
    [CVY_PEER_OPEN] = {wrong, wrong, wrong, on_bye, wrong, on_stop, on_control, wrong, nothing},
    [CVY_PEER_BYE_SENT] = {wrong, wrong, wrong, on_bye, on_bye_ack, on_stop, on_control, wrong, nothing},
    [CVY_PEER_BYE_GOT] = {wrong, wrong, wrong, wrong, on_bye_ack, wrong, nothing, wrong, nothing},
    [CVY_PEER_LEAVING] = {nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing},
    [CVY_PEER_DEAD] = {nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing},
};

void cvy_handshake_event(covey_peer *peer, const cvy_chunk *chunk)
{
  table[peer->state][event_of(chunk->header.kind)](peer, chunk);
}
