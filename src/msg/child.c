#include "msg/child.h"

#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "msg/peer.h"
#include "msg/self.h"
#include "os/handle.h"
#include "proc/process.h"

#include <stdio.h>
#include <string.h>

/* ---- the parent's side ---- */

/* The process object holds the peer and its loop. */

static int ask(void *arg)
{
  covey_peer *peer = arg;
  int r = COVEY_ENOPEER;
  cvy_loop_lock(peer->loop);
  bool usable = peer->state != CVY_PEER_DEAD && !peer->tx.broken && peer->node->state == CVY_NODE_OPEN;
  if (usable && peer->state == CVY_PEER_OPEN) {
    covey_node *node = peer->node;
    node->users++;
    cvy_peer_stop(peer);
    cvy_node_leave(node);
    return 0;
  }
  if (usable && peer->state == CVY_PEER_HELLO) {
    peer->stop_due = true;
    r = 1;
  }
  cvy_loop_unlock(peer->loop);
  return r;
}

static void ended(void *arg)
{
  covey_peer *peer = arg;
  cvy_loop_lock(peer->loop);
  bool alive = peer->state != CVY_PEER_DEAD, early = alive && !peer->io;
  if (early)
    peer->exited = true; /* cvy_peer_attach sees to it: what the child has sent is still to be read */
  cvy_loop_unlock(peer->loop);
  if (alive && !early) cvy_peer_exited(peer);
}

static void released(void *arg)
{
  covey_peer *peer = arg;
  covey_loop *loop = peer->loop;
  cvy_peer_unref(peer);
  cvy_loop_release(loop);
}

static const cvy_process_hooks hooks = {ask, ended, released};

/* Makes the peer that waits for the child. Lock held. */
static int expect_child(covey_node *node, covey_peer **ret)
{
  if (node->peer_count >= node->max_peers) return COVEY_EQUOTA;
  covey_peer *peer = cvy_peer_new(node, CVY_PEER_HELLO, &cvy_transport_stream);
  if (!peer) return COVEY_ENOMEM;
  peer->spawned = true;
  *ret = peer;
  return 0;
}

/* The child runs: binds the peer to it, and starts to read. */
static int bind_child(covey_node *node, covey_peer *peer, const covey_process *process, cvos_handle ours)
{
  covey_identity who;
  CVY_STEP(STARTED);
  int r = covey_process_identity(process, &who);
  if (r < 0) {
    cvos_handle_close(ours);
    return r;
  }
  cvy_loop_lock(node->loop);
  peer->identity = who;
  peer->identity.flags |= COVEY_ID_CHILD | COVEY_ID_PINNED;
  cvy_peer_index(peer);
  cvy_loop_unlock(node->loop);
  r = cvy_peer_attach(peer, ours);
  return r < 0 ? cvy_fail(r, COVEY_STAGE_DIAL, "the connection to the child") : 0;
}

static void end_child(covey_node *node, covey_peer *peer, int code)
{
  cvy_loop_lock(node->loop);
  cvy_peer_end(peer, code);
  cvy_loop_unlock(node->loop);
}

static bool is_taken(const covey_process_options *options, int number)
{
  for (size_t i = 0; options->pass && i < options->pass_count; i++) {
    if (options->pass[i].child == number) return true;
  }
  return false;
}

/* A pair whose other end has a number that nothing else has in the child. */
static int make_pair(const covey_process_options *options, cvy_process_extra *extra, cvos_handle *ret_ours,
                     char *token)
{
  cvos_handle ours, theirs, ours_before = CVOS_NONE, theirs_before = CVOS_NONE;
  for (;;) {
    int r = cvos_stream_pair(&ours, &theirs, token);
    cvos_handle_close(ours_before); /* only now: its number was not to come again */
    cvos_handle_close(theirs_before);
    if (r < 0) return cvy_fail(r, COVEY_STAGE_STDIO, "the connection to the child");
    extra->handle = theirs;
    extra->target = theirs == CVOS_NONE ? 0 : (int)(intptr_t)theirs;
    *ret_ours = ours;
    if (theirs == CVOS_NONE || !is_taken(options, extra->target)) return 0;
    ours_before = ours;
    theirs_before = theirs;
  }
}

static int spawn_child(covey_node *node, covey_peer *peer, const covey_process_options *options,
                       covey_process **ret)
{
  char entry[sizeof CVY_CHANNEL + CVOS_TOKEN_MAX], token[CVOS_TOKEN_MAX];
  cvy_process_extra extra = {.loop = node->loop, .entry = entry, .hooks = &hooks, .arg = peer};
  cvos_handle ours = CVOS_NONE;
  int r = make_pair(options, &extra, &ours, token);
  if (r < 0) return r;
  snprintf(entry, sizeof entry, CVY_CHANNEL "=%s", token);
  cvy_peer_ref(peer);
  cvy_loop_ref(node->loop);
  r = cvy_process_spawn(options, &extra, ret);
  cvos_handle_close(extra.handle);
  if (r == 0) {
    r = bind_child(node, peer, *ret, ours);
    if (r == 0) return 0;
    covey_failure failure = *covey_last_failure();
    covey_process_close(*ret);
    return cvy_fail_copy(&failure);
  }
  cvos_handle_close(ours);
  cvy_peer_unref(peer);
  cvy_loop_release(node->loop);
  return r;
}

int covey_node_spawn(covey_node *node, const covey_process_options *options, covey_process **ret_process)
{
  covey_process *process = NULL;
  covey_peer *peer = NULL;
  if (!options || !ret_process) {
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s is NULL", options ? "ret_process" : "options");
  }
  int r = cvy_node_enter(node, &node);
  if (r < 0) return r;
  r = expect_child(node, &peer);
  if (r < 0) cvy_fail(r, COVEY_STAGE_STDIO, "a connection for the child");
  cvy_loop_unlock(node->loop);
  if (r == 0) {
    r = spawn_child(node, peer, options, &process);
    if (r < 0) end_child(node, peer, r);
    cvy_peer_unref(peer);
  }
  cvy_loop_lock(node->loop);
  cvy_node_leave(node);
  if (r == 0) *ret_process = process;
  return r;
}

/* ---- the child's side ---- */

bool cvy_child_connect(covey_node *node)
{
  cvos_handle handle;
  if (!cvy_self_channel(&handle)) return false;
  cvy_loop_lock(node->loop);
  covey_peer *peer = cvy_peer_new(node, CVY_PEER_WELCOME, &cvy_transport_stream);
  if (peer) {
    peer->to_parent = true;
    node->parent = peer;
  }
  cvy_loop_unlock(node->loop);
  if (!peer) {
    cvos_handle_close(handle);
    return false;
  }
  int r = cvos_stream_peer(handle, &peer->identity, &peer->pin);
  if (r == 0)
    r = cvy_peer_attach(peer, handle);
  else
    cvos_handle_close(handle);
  cvy_loop_lock(node->loop);
  if (r == 0) {
    cvy_peer_index(peer);
    cvy_handshake_hello(peer);
  } else {
    cvy_peer_end(peer, r);
  }
  cvy_node_unlock(node);
  if (r < 0) cvy_self_asked(); /* the parent is gone already */
  cvy_peer_unref(peer);
  return r == 0;
}
