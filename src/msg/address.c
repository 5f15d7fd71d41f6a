#include "msg/address.h"

#include "core/error.h"
#include "core/fault.h"
#include "os/handle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  PAUSE_FIRST = 1, /* ms between two tries, doubled each time */
  PAUSE_MOST = 50,
  /* ms for taking an address where another process is just cleaning, or still connected: short, but it may be kept from running */
  TAKE_TRIES = 5000,
  TAKE_STILL = 500, /* on a lent loop's thread: it stands still, and who is to let go may be on it */
  /* Cleaners go by age: 6 hours in $XDG_RUNTIME_DIR (its specification), 3 days on macOS, 10 in /tmp (systemd). */
  KEEP_MS = 2 * 60 * 60 * 1000
};

void cvy_goal_text(const cvy_goal *goal, char *ret_text, size_t capacity)
{
  if (goal->peer && goal->peer->name[0])
    snprintf(ret_text, capacity, "node %s", goal->peer->name);
  else if (goal->peer)
    snprintf(ret_text, capacity, "process %" PRId64, goal->peer->identity.pid);
  else if (goal->name)
    snprintf(ret_text, capacity, "node %s", goal->name);
  else
    snprintf(ret_text, capacity, "process %" PRId64, goal->pid);
}

static int fail(int code, int stage, const cvy_goal *goal, const char *why)
{
  char text[128];
  cvy_goal_text(goal, text, sizeof text);
  return cvy_fail(code, stage, "%s: %s", text, why);
}

/* The name under which a node is met: its pid, or "n-" and its own. */
static cvos_address address_of(const covey_node *node, int64_t pid, const char *name,
                               char text[CVOS_NAME_MAX + 1])
{
  if (name && name[0])
    snprintf(text, CVOS_NAME_MAX + 1, "n-%s", name);
  else
    snprintf(text, CVOS_NAME_MAX + 1, "%" PRId64, pid);
  return (cvos_address){
      .directory = node->directory, .app = node->app, .name = text, .by_pid = !(name && name[0])};
}

/* ---- our own ---- */

static void oldest_loses(covey_node *node)
{
  covey_peer *oldest = NULL;
  for (covey_peer *p = node->peers; p; p = p->next) {
    if (p->shaking && !p->judging) oldest = p;
  }
  if (oldest) cvy_peer_end(oldest, COVEY_EQUOTA);
}

static void accepted(void *arg, cvos_handle connection)
{
  covey_node *node = arg;
  covey_peer *peer = NULL;
  covey_identity who;
  cvos_process pin = {.handle = CVOS_NONE};
  int r = cvos_stream_peer(connection, &who, &pin);
  if (r < 0) {
    cvos_handle_close(connection);
    return;
  }
  cvy_loop_lock(node->loop);
  if (node->state == CVY_NODE_OPEN) {
    if (node->handshakes >= CVY_HANDSHAKES) oldest_loses(node);
    peer = cvy_peer_new(node, CVY_PEER_HELLO, &cvy_transport_stream);
  }
  if (peer) {
    peer->identity = who;
    peer->pin = pin;
    peer->shaking = true;
    peer->limit = cvy_deadline_in(CVY_HANDSHAKE_MS);
    if (node->handshakes++ == 0) cvy_timer_set(node->timer, peer->limit);
  }
  cvy_node_unlock(node);
  if (!peer) {
    cvos_process_close(&pin);
    cvos_handle_close(connection);
    return;
  }
  r = cvy_peer_attach(peer, connection);
  if (r < 0) {
    cvy_loop_lock(node->loop);
    cvy_peer_end(peer, r);
    cvy_node_unlock(node);
  }
  cvy_peer_unref(peer);
}

static void accept_failed(void *arg, int status, int system)
{
  (void)arg;
  (void)status;
  (void)system; /* the acceptor goes on by itself; dialling processes wait within their deadlines */
}

static void acceptor_closed(void *arg);

static const cvos_acceptor_events acceptor_events = {accepted, accept_failed, acceptor_closed};

static int take_name(covey_node *node)
{
  char name[CVOS_NAME_MAX + 1];
  cvos_address address = address_of(node, node->self.pid, node->name, name);
  return cvos_listener_open(&address, &node->listener);
}

/* Accepts on the listener that the node has; what does not come about is closed. [token] */
static int accept_on(covey_node *node)
{
  int r =
      cvos_acceptor_open(cvy_loop_uv(node->loop), node->listener, &acceptor_events, node, &node->acceptor);
  if (r < 0) {
    cvos_listener_close(node->listener);
    node->listener = NULL;
    return r;
  }
  cvy_loop_lock(node->loop);
  node->refs++; /* until acceptor_closed */
  cvy_loop_unlock(node->loop);
  return 0;
}

static void acceptor_closed(void *arg)
{
  covey_node *node = arg;
  cvy_loop_lock(node->loop);
  bool again = node->moving;
  node->moving = false;
  cvy_loop_unlock(node->loop);
  cvos_listener_close(node->listener);
  node->listener = NULL;
  cvy_loop_lock(node->loop);
  node->acceptor = NULL;
  cvy_loop_unlock(node->loop);
  if (again && take_name(node) == 0) accept_on(node);
  cvy_loop_lock(node->loop);
  cvy_loop_changed(node->loop);
  cvy_node_release(node);
}

void cvy_address_keep(covey_node *node)
{
  if (!node->listener) {
    if (take_name(node) == 0) accept_on(node);
  } else if (!node->moving && cvos_listener_check(node->listener) == COVEY_ENOTFOUND) {
    node->moving = true;
    cvos_acceptor_close(node->acceptor);
  }
}

static void keep_due(void *arg)
{
  covey_node *node = arg;
  cvy_address_keep(node);
  cvy_timer_set(node->keeper, cvy_deadline_in(KEEP_MS));
}

static void handshakes_due(void *arg)
{
  covey_node *node = arg;
  cvy_deadline next = CVY_NEVER;
  cvy_loop_lock(node->loop);
  for (covey_peer *p = node->peers, *after; p; p = after) {
    after = p->next;
    if (cvy_deadline_passed(p->limit))
      cvy_peer_end(p, COVEY_ETIMEDOUT);
    else if (p->limit < next)
      next = p->limit;
  }
  cvy_node_unlock(node);
  cvy_timer_set(node->timer, next);
}

static void close_timers(covey_node *node)
{
  if (node->timer) cvy_timer_close(node->timer);
  if (node->keeper) cvy_timer_close(node->keeper);
  node->timer = node->keeper = NULL;
}

static int start_accepting(void *arg)
{
  covey_node *node = arg;
  int r = cvy_timer_open(node->loop, handshakes_due, node, &node->timer);
  if (r == 0) r = cvy_timer_open(node->loop, keep_due, node, &node->keeper);
  if (r == 0) r = accept_on(node);
  if (r < 0)
    close_timers(node);
  else
    cvy_timer_set(node->keeper, cvy_deadline_in(KEEP_MS));
  return r;
}

static int stop_accepting(void *arg)
{
  covey_node *node = arg;
  close_timers(node);
  if (node->acceptor && !node->moving) cvos_acceptor_close(node->acceptor);
  node->moving = false;
  return 0;
}

static bool has_passed(void *arg)
{
  return cvy_deadline_passed(*(const cvy_deadline *)arg);
}

int cvy_address_open(covey_node *node)
{
  char name[CVOS_NAME_MAX + 1], place[200];
  cvos_address address = address_of(node, node->self.pid, node->name, name);
  cvy_deadline give_up = cvy_deadline_in(TAKE_TRIES), still = cvy_deadline_in(TAKE_STILL);
  int r;
  while ((r = take_name(node)) == COVEY_EAGAIN && !cvy_deadline_passed(give_up)) {
    cvy_deadline next = cvy_deadline_in(PAUSE_FIRST);
    cvy_loop_lock(node->loop);
    if (cvy_loop_wait(node->loop, has_passed, &next, next, NULL) == COVEY_EDEADLK) {
      cvy_loop_linger(node->loop, has_passed, &next);
      give_up = still;
    }
    cvy_loop_unlock(node->loop);
  }
  if (r == 0) {
    r = cvy_loop_call(node->loop, start_accepting, node);
    if (r < 0) {
      cvos_listener_close(node->listener);
      node->listener = NULL;
    }
  }
  if (r < 0) {
    cvos_address_text(&address, place, sizeof place);
    if (r == COVEY_EEXIST)
      return cvy_fail(r, COVEY_STAGE_OPEN, "node %s is open already, at %s",
                      node->name[0] ? node->name : name, place);
    return cvy_fail(r, COVEY_STAGE_OPEN, "%s", place);
  }
  return 0;
}

static bool not_accepting(void *arg)
{
  const covey_node *node = arg;
  return node->acceptor == NULL;
}

void cvy_address_close(covey_node *node)
{
  if (!node->keeper) return;
  cvy_loop_unlock(node->loop);
  cvy_loop_call(node->loop, stop_accepting, node);
  cvy_loop_lock(node->loop);
  cvy_loop_wait(node->loop, not_accepting, node, cvy_deadline_in(CVY_HANDSHAKE_MS), NULL);
}

/* ---- the way to a peer ---- */

static bool is_ready(void *arg)
{
  const covey_peer *peer = arg;
  return peer->state > CVY_PEER_OPEN || peer->tx.broken || (peer->state == CVY_PEER_OPEN && peer->ready) ||
         peer->node->state != CVY_NODE_OPEN;
}

static covey_peer *lookup(const covey_node *node, const cvy_goal *goal)
{
  if (goal->name) return cvy_peer_by_name(node, goal->name);
  return cvy_peer_by_pid(node, goal->pid);
}

static bool is_ourselves(const covey_node *node, const cvy_goal *goal)
{
  if (goal->name) return node->name[0] && strcmp(node->name, goal->name) == 0;
  return goal->pid == node->self.pid && !node->name[0];
}

/* The connection to ourselves. NULL: out of memory. */
static covey_peer *make_local(covey_node *node)
{
  covey_peer *peer = cvy_peer_new(node, CVY_PEER_DIALLING, &cvy_transport_local);
  if (!peer) return NULL;
  peer->identity = node->self;
  peer->max_message = node->max_message;
  memcpy(peer->name, node->name, sizeof peer->name);
  peer->proven = true;
  cvy_peer_open(peer);
  cvy_peer_flush(peer);
  return peer;
}

static int verify(const covey_node *node, const cvy_goal *goal, const covey_identity *who)
{
  if (!goal->name && who->pid != goal->pid) return COVEY_EUNSAFE;
  if (goal->start && who->start != goal->start) return COVEY_EPEERCHANGED;
  if (!(who->flags & COVEY_ID_SAME_USER) && !node->accept) return COVEY_EDENIED;
  return 0;
}

static int dial_to(covey_node *node, const cvy_goal *goal, cvos_handle *ret, covey_identity *ret_who,
                   cvos_process *ret_pin)
{
  char name[CVOS_NAME_MAX + 1];
  cvos_address address = address_of(node, goal->pid, goal->name, name);
  int r = cvos_stream_dial(&address, ret);
  if (r < 0) return r;
  r = cvos_stream_peer(*ret, ret_who, ret_pin);
  if (r == COVEY_ECLOSED) r = COVEY_EPEERDIED; /* it took the connection, and let go of it */
  if (r == 0) {
    r = verify(node, goal, ret_who);
    if (r < 0) cvos_process_close(ret_pin);
  }
  if (r < 0) cvos_handle_close(*ret);
  return r;
}

/* Dials once and sends HELLO. The lock is released meanwhile; others see a peer that is being made. */
static int dial(covey_node *node, const cvy_goal *goal, covey_peer **ret)
{
  covey_identity who;
  cvos_process pin;
  cvos_handle handle;
  if (node->peer_count >= node->max_peers) return COVEY_EQUOTA;
  covey_peer *peer = cvy_peer_new(node, CVY_PEER_DIALLING, &cvy_transport_stream);
  if (!peer) return COVEY_ENOMEM;
  peer->dialled = true;
  peer->proven = goal->name != NULL; /* once it is connected */
  if (goal->name)
    snprintf(peer->name, sizeof peer->name, "%s", goal->name);
  else
    peer->identity.pid = goal->pid;
  cvy_peer_index(peer);
  cvy_loop_unlock(node->loop);
  int r = dial_to(node, goal, &handle, &who, &pin);
  cvy_loop_lock(node->loop);
  covey_peer *known = r == 0 && goal->name ? cvy_peer_claims(node, &who, goal->name, NULL) : NULL;
  if (r == 0 && (known || peer->state != CVY_PEER_DIALLING)) {
    cvos_process_close(&pin);
    cvos_handle_close(handle);
    r = COVEY_ECLOSED;
  } else if (r == 0) {
    CVY_STEP(DIALLED);
    peer->pin = pin; /* closed with the connection */
    peer->identity = who;
    peer->state = CVY_PEER_WELCOME;
    cvy_loop_unlock(node->loop);
    r = cvy_peer_attach(peer, handle);
    cvy_loop_lock(node->loop);
  }
  if (r < 0) {
    cvy_peer_end(peer, r);
    cvy_peer_unref(peer);
    if (!known) return r;
    known->proven = true; /* it has come to us before, and its name leads to its process */
    cvy_peer_index(known);
    cvy_peer_ref(known);
    *ret = known;
    return 0;
  }
  cvy_handshake_hello(peer);
  cvy_peer_flush(peer);
  *ret = peer;
  return 0;
}

/* The process that we knew by this number has gone, and another has it now: told once. A start stamp may have a coarse unit (10 ms on Linux): who
 * left without a good-bye does not come back under another instance. */
static bool has_changed(covey_node *node, cvy_goal *goal, covey_peer *peer)
{
  const covey_identity *who = &peer->identity;
  if (goal->peer || goal->name) return false;
  for (uint32_t i = 0; peer->gone_seen != node->gone_epoch && i < CVY_GONE; i++) {
    struct cvy_gone *gone = &node->gone[i];
    if (gone->pid != goal->pid) continue;
    bool same = gone->start == who->start;
    if (!gone->farewell && memcmp(gone->instance, who->instance, sizeof who->instance) != 0) same = false;
    gone->pid = 0;
    if (!same) return true;
  }
  peer->gone_seen = node->gone_epoch;
  if (goal->start && goal->start != who->start) return true;
  goal->start = who->start;
  return false;
}

/* Waits for the handshake of peer. 0: ready. EAGAIN: it failed in a way that may pass. */
static int await(covey_node *node, cvy_goal *goal, covey_peer *peer, cvy_deadline deadline,
                 covey_cancel *cancel)
{
  int r = is_ready(peer) ? 0 : cvy_loop_wait(node->loop, is_ready, peer, deadline, cancel);
  if (node->state != CVY_NODE_OPEN) return fail(COVEY_ECLOSED, COVEY_STAGE_DIAL, goal, "our node was closed");
  if (r == COVEY_ETIMEDOUT && peer->state == CVY_PEER_HELLO) {
    return fail(COVEY_ENOPEER, COVEY_STAGE_DIAL, goal, "it has not opened its node");
  }
  if (r == COVEY_ETIMEDOUT && goal->once) r = COVEY_EAGAIN;
  if (r < 0) return fail(r, COVEY_STAGE_HANDSHAKE, goal, "connecting");
  if (peer->state == CVY_PEER_OPEN && !peer->tx.broken) return 0;
  return peer->failure ? peer->failure : COVEY_EPEERDIED;
}

struct look {
  const covey_node *node;
  const cvy_goal *goal;
};

static bool is_there(void *arg)
{
  const struct look *l = arg;
  return l->node->state != CVY_NODE_OPEN || lookup(l->node, l->goal) != NULL;
}

/* A try has failed with r: 0 after a pause for the next one, or the final code. */
static int again(covey_node *node, cvy_goal *goal, int r, int64_t *pause, cvy_deadline deadline,
                 covey_cancel *cancel)
{
  struct look look = {node, goal};
  covey_identity who;
  char name[CVOS_NAME_MAX + 1], place[200];
  cvos_address address;
  switch (r) {
  case COVEY_EDENIED:
  case COVEY_EACCES: return fail(COVEY_EDENIED, COVEY_STAGE_VERIFY, goal, "refused");
  case COVEY_EUNSAFE:
    address = address_of(node, goal->pid, goal->name, name);
    cvos_address_text(&address, place, sizeof place);
    return fail(r, COVEY_STAGE_VERIFY, goal, place);
  case COVEY_EPEERCHANGED: return fail(r, COVEY_STAGE_VERIFY, goal, "another process has its number now");
  case COVEY_ENOPEER:
    if (goal->name) break;
    r = cvos_identity(goal->pid, &who, NULL);
    if (r == COVEY_ENOTFOUND) return fail(COVEY_ENOPEER, COVEY_STAGE_DIAL, goal, "no such process");
    if (r == 0 && !(who.flags & COVEY_ID_SAME_USER) &&
        !node->accept) /* where it could be met we never look */
      return fail(COVEY_EDENIED, COVEY_STAGE_VERIFY, goal, "another user's");
    r = COVEY_ENOPEER;
    break;
  case COVEY_EAGAIN:
  case COVEY_EPEERDIED:
  case COVEY_ECLOSED: break;
  default: return fail(r, COVEY_STAGE_DIAL, goal, "connecting");
  }
  if (cvy_deadline_passed(deadline)) {
    bool alive = r == COVEY_EPEERDIED && (goal->name || cvos_identity(goal->pid, &who, NULL) == 0);
    if (alive)
      r = COVEY_EAGAIN; /* it took the connection, and let go of it: no descriptor was left to look after it */
    if (r == COVEY_EAGAIN)
      return fail(goal->once ? r : COVEY_ETIMEDOUT, COVEY_STAGE_DIAL, goal, "it takes no connection now");
    return fail(COVEY_ENOPEER, COVEY_STAGE_DIAL, goal, "it has no node");
  }
  cvy_deadline until = cvy_deadline_in(*pause);
  *pause = *pause * 2 < PAUSE_MOST ? *pause * 2 : PAUSE_MOST;
  r = cvy_loop_wait(node->loop, is_there, &look, until < deadline ? until : deadline, cancel);
  if (r == 0 || r == COVEY_ETIMEDOUT) return 0;
  return fail(r, COVEY_STAGE_DIAL, goal, "waiting for it");
}

int cvy_address_find(covey_node *node, cvy_goal *goal, cvy_deadline deadline, covey_cancel *cancel,
                     covey_peer **ret)
{
  int64_t pause = PAUSE_FIRST;
  for (;;) {
    int r = 0;
    covey_peer *peer = goal->peer ? goal->peer : lookup(node, goal);
    if (node->state != CVY_NODE_OPEN)
      return fail(COVEY_ECLOSED, COVEY_STAGE_DIAL, goal, "our node was closed");
    if (peer) {
      cvy_peer_ref(peer);
    } else if (is_ourselves(node, goal)) {
      peer = make_local(node);
      if (!peer) return fail(COVEY_ENOMEM, COVEY_STAGE_DIAL, goal, "connecting");
    } else {
      r = dial(node, goal, &peer);
    }
    if (peer) {
      r = await(node, goal, peer, deadline, cancel);
      if (r == 0 && has_changed(node, goal, peer)) r = COVEY_EPEERCHANGED;
      if (r == 0) {
        *ret = peer;
        return 0;
      }
      bool open = peer->state <= CVY_PEER_OPEN && !peer->tx.broken;
      cvy_peer_unref(peer);
      if (goal->peer && !open) return fail(COVEY_EPEERDIED, COVEY_STAGE_DIAL, goal, "it has ended");
      if (open && r != COVEY_EPEERCHANGED) return r;
    }
    r = again(node, goal, r, &pause, deadline, cancel);
    if (r < 0) return r;
  }
}
