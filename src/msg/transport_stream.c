#include "msg/handles.h"
#include "os/handle.h"

static void on_bytes(void *arg, const void *data, size_t size, const cvos_handle *handles,
                     size_t handle_count)
{
  covey_peer *peer = arg;
  if (handle_count) cvy_handles_arrived(peer, handles, handle_count);
  if (peer->spawned && peer->sender < 0) peer->sender = cvos_io_sender(peer->io);
  cvy_peer_bytes(peer, data, size);
  cvy_loop_hot(peer->node->loop, peer->io);
}

static void on_end(void *arg, int status, int system)
{
  (void)system;
  cvy_peer_over(arg, status);
}

static void on_room(void *arg)
{
  cvy_peer_room(arg);
}

static void on_closed(void *arg)
{
  cvy_peer_closed(arg);
}

static void *place(void *arg, size_t *ret_size)
{
  return cvy_peer_place(arg, ret_size);
}

static const cvos_io_events events = {on_bytes, on_end, on_room, on_closed, place};

struct attach {
  covey_peer *peer;
  cvos_handle handle;
};

/* With the token, as is the end of the stream (close_stream): one of them sees what the other has done. */
static int attach(void *arg)
{
  struct attach *a = arg;
  covey_peer *peer = a->peer;
  covey_loop *loop = peer->node->loop;
  cvos_io *io;
  cvy_loop_lock(loop);
  int r = peer->state == CVY_PEER_DEAD ? COVEY_ECLOSED : 0;
  cvy_loop_unlock(loop);
  if (r == 0)
    r = cvos_io_open(cvy_loop_uv(loop), a->handle, CVOS_IO_READ | CVOS_IO_WRITE, &events, peer, &io);
  if (r < 0) {
    cvos_handle_close(a->handle);
    return r;
  }
  cvy_loop_lock(loop);
  peer->io = io;
  cvy_loop_unlock(loop);
  cvos_io_read(io, true);
  if (!peer->spawned) cvy_loop_expect(loop, io); /* a child has to become its program first */
  if (peer->exited) cvy_peer_exited(peer);
  return 0;
}

int cvy_peer_attach(covey_peer *peer, cvos_handle handle)
{
  struct attach a = {peer, handle};
  return cvy_loop_call(peer->node->loop, attach, &a);
}

static int64_t stream_write(covey_peer *peer, const cvos_piece *pieces, size_t count, int *ret_system)
{
  const cvy_handles *h = CVOS_WINDOWS ? NULL : peer->tx.going;
  return cvos_io_write(peer->io, pieces, count, h ? h->at : NULL, h ? h->count : 0, ret_system);
}

static bool stream_pending(const covey_peer *peer)
{
  return peer->io && cvos_io_pending(peer->io);
}

static void ask_room(void *arg)
{
  covey_peer *peer = arg;
  covey_loop *loop = peer->node->loop;
  cvy_loop_lock(loop);
  bool alive = peer->state != CVY_PEER_DEAD;
  cvy_loop_unlock(loop);
  if (alive) cvos_io_want_room(peer->io);
  cvy_peer_unref(peer);
}

static void stream_want_room(covey_peer *peer)
{
  if (peer->room_task.queued) return;
  peer->room_task = (cvy_task){.run = ask_room, .arg = peer};
  cvy_peer_ref(peer);
  cvy_loop_post(peer->node->loop, &peer->room_task);
}

/* ---- the end of the process: its connection may be held by a child that it has forked ---- */

enum { LAST_LOOKS = 1024 }; /* of 64 KiB: more than a dead process can have left in the system */

/* Where nobody can look, the death of a process still ends its stream, behind its last byte; only one that never connected has no
 * end. So long it is waited for: many times what the system needs to close the handles of the dead. */
enum { LAST_WAIT_MS = 3000 };

static void end_is_overdue(void *arg)
{
  cvy_peer_over(arg, 0);
}

/* False when there is no waiting, or none any more. */
static bool await_end(covey_peer *peer)
{
  covey_loop *loop = peer->node->loop;
  cvy_loop_lock(loop);
  bool alive = peer->state != CVY_PEER_DEAD;
  cvy_loop_unlock(loop);
  if (!alive || peer->last) return true;
  if (cvy_timer_open(loop, end_is_overdue, peer, &peer->last) < 0) return false;
  cvy_timer_set(peer->last, cvy_deadline_in(LAST_WAIT_MS));
  return true;
}

void cvy_peer_exited(covey_peer *peer)
{
  cvos_io *io = peer->io;
  if (io && !cvos_io_can_look() && await_end(peer)) return;
  for (int i = 0; io && i < LAST_LOOKS && cvos_io_look(io) > 0; i++) continue;
  cvy_peer_over(peer, 0);
}

static void on_exit(void *arg)
{
  cvy_peer_exited(arg);
}

static void watch_closed(void *arg)
{
  covey_peer *peer = arg;
  covey_node *node = peer->node;
  cvy_loop_lock(node->loop);
  node->streams--;
  cvy_loop_changed(node->loop);
  cvy_peer_unref(peer);
  cvy_node_release(node);
}

static void start_watch(void *arg)
{
  covey_peer *peer = arg;
  covey_node *node = peer->node;
  cvy_loop_lock(node->loop);
  bool alive = peer->state != CVY_PEER_DEAD;
  if (alive) { /* given back by watch_closed */
    node->streams++;
    node->refs++;
    cvy_peer_ref(peer);
  }
  cvy_loop_unlock(node->loop);
  if (alive && cvos_exit_watch_open(cvy_loop_uv(node->loop), false, &peer->pin, on_exit, watch_closed, peer,
                                    &peer->watch) < 0) {
    peer->watch = NULL; /* the end of its stream tells */
    watch_closed(peer);
  }
  cvy_peer_unref(peer);
}

static void stream_watch(covey_peer *peer)
{
  if (peer->pin.pid <= 0 || peer->pin.pid == peer->node->self.pid) return;
  peer->watch_task = (cvy_task){.run = start_watch, .arg = peer};
  cvy_peer_ref(peer);
  cvy_loop_post(peer->node->loop, &peer->watch_task);
}

static void close_stream(void *arg)
{
  covey_peer *peer = arg;
  if (peer->watch) cvos_exit_watch_close(peer->watch);
  peer->watch = NULL;
  cvy_timer_close(peer->last);
  peer->last = NULL;
  if (!peer->io) {
    cvy_peer_closed(peer);
    return;
  }
  cvy_loop_cold(peer->node->loop, peer->io);
  cvos_io_close(peer->io, peer->close_now);
}

static void stream_close(covey_peer *peer, bool now)
{
  peer->close_now = now;
  peer->close_task = (cvy_task){.run = close_stream, .arg = peer};
  cvy_loop_post(peer->node->loop, &peer->close_task);
}

const cvy_transport cvy_transport_stream = {stream_write, stream_pending, stream_want_room, stream_watch,
                                            stream_close};
