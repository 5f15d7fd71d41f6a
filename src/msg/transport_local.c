#include "msg/handles.h"
#include "os/handle.h"

static int64_t local_write(covey_peer *peer, const cvos_piece *pieces, size_t count, int *ret_system)
{
  int64_t taken = 0;
  const cvy_handles *h = CVOS_WINDOWS ? NULL : peer->tx.going;
  *ret_system = 0;
  for (uint32_t i = 0; h && i < h->count; i++) {
    cvos_handle copy;
    if (cvos_handle_duplicate(h->at[i], &copy) < 0) copy = CVOS_NONE; /* as a system without room */
    cvy_handles_arrived(peer, &copy, 1);
    if (copy == CVOS_NONE) break;
  }
  for (size_t i = 0; i < count; i++) {
    cvy_peer_bytes(peer, pieces[i].data, pieces[i].size);
    taken += (int64_t)pieces[i].size;
  }
  return taken;
}

static bool local_pending(const covey_peer *peer)
{
  (void)peer;
  return false;
}

static void local_want_room(covey_peer *peer)
{
  (void)peer;
}

static void local_watch(covey_peer *peer)
{
  (void)peer;
}

static void close_local(void *arg)
{
  cvy_peer_closed(arg);
}

static void local_close(covey_peer *peer, bool now)
{
  (void)now;
  peer->close_task = (cvy_task){.run = close_local, .arg = peer};
  cvy_loop_post(peer->node->loop, &peer->close_task);
}

const cvy_transport cvy_transport_local = {local_write, local_pending, local_want_room, local_watch,
                                           local_close};
