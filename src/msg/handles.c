#include "msg/handles.h"

#include "core/error.h"
#include "core/mem.h"
#include "msg/group.h"
#include "os/handle.h"

#include <string.h>

void cvy_handles_free(void *handles)
{
  cvy_handles *h = handles;
  for (uint32_t i = 0; h && i < h->count; i++) cvos_handle_close(h->at[i]);
  cvy_free(h);
}

/* ---- sending ---- */

static int copy_all(const cvy_send *s, cvy_handles *h)
{
  for (uint32_t i = 0; i < s->handle_count; i++) {
    int r = COVEY_EINVAL; /* Windows would take it for our process */
    if (s->handles[i] != CVOS_NONE) r = cvos_handle_share(s->handles[i], s->handle_rights, &h->at[i]);
    if (r < 0) return cvy_fail_at(r, COVEY_STAGE_ARGUMENTS, i, -1, "handle");
    h->count++;
  }
  return 0;
}

int cvy_handles_add(const cvy_send *s, cvy_outlet *outlet)
{
  uint8_t *body;
  if (!s->handle_count) return 0;
  if (!outlet->takes_handles)
    return cvy_send_fail(s, COVEY_ENOTSUP, COVEY_STAGE_GROUP, COVEY_FAR_NOTHING, "it takes no handles");
  cvy_handles *h = cvy_alloc_zero(1, sizeof *h);
  cvy_parcel *p = h ? cvy_parcel_own(CVY_FRAME_HANDLE, 16 + 8 * (size_t)s->handle_count, &body) : NULL;
  int r = p ? copy_all(s, h) : cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "handles");
  if (r < 0) {
    cvy_handles_free(h);
    cvy_free(p);
    return r;
  }
  cvy_handle_list list = {.count = h->count};
  for (uint32_t i = 0; CVOS_WINDOWS && i < h->count; i++) list.value[i] = (uint64_t)(intptr_t)h->at[i];
  cvy_handle_list_encode(&list, body);
  p->handles = h;
  cvy_lane_add(outlet, p);
  return 0;
}

void cvy_handles_forget(cvy_outlet *outlet, const cvy_parcel *before)
{
  for (cvy_parcel *p = outlet->first; p; p = p->next) {
    if (p->next != before || p->kind != CVY_FRAME_HANDLE) continue;
    if (!p->started && !p->planned) cvy_lane_remove(outlet, p);
    return;
  }
}

void cvy_handles_refused(cvy_parcel *handle, int code)
{
  cvy_outlet *o = handle->outlet;
  cvy_parcel *message = handle->next;
  cvy_lane_remove(o, handle);
  if (message && message->brings && !message->started) cvy_outlet_refuse(o, message, code);
  cvy_outlet_ready(o);
  if (o->closed) cvy_outlet_end(o);
}

/* The peer has them, before the thread that wrote them has noted that they are on their way. */
static bool acked_early(covey_peer *peer, uint64_t id)
{
  for (cvy_map_node *n = NULL; (n = cvy_map_next(&peer->outlets, n)) != NULL;) {
    for (cvy_parcel *p = CVY_MAP_OF(n, cvy_outlet, by_number)->first; p; p = p->next) {
      if (p->kind != CVY_FRAME_HANDLE || p->id != id || !p->planned || p->acked) continue;
      p->acked = true;
      return true;
    }
  }
  return false;
}

int cvy_handles_acked(covey_peer *peer, uint64_t id)
{
  cvy_handles *h = peer->handed;
  if (!h || h->id != id) return acked_early(peer, id) ? 0 : COVEY_EPROTO;
  peer->handed = h->next;
  cvy_handles_free(h);
  return 0;
}

/* ---- receiving ---- */

void cvy_handles_arrived(covey_peer *peer, const cvos_handle *handles, size_t count)
{
  covey_node *node = peer->node;
  cvy_loop_lock(node->loop);
  bool open = peer->state == CVY_PEER_OPEN || peer->state == CVY_PEER_BYE_SENT;
  if (open && !peer->came) peer->came = cvy_alloc_zero(1, sizeof *peer->came);
  cvy_handles *h = open ? peer->came : NULL;
  bool fits = h && h->count + count <= COVEY_HANDLES_MAX;
  for (size_t i = 0; i < count; i++) {
    if (fits)
      h->at[h->count++] = handles[i];
    else
      cvos_handle_close(handles[i]);
  }
  if (!fits) cvy_peer_end(peer, open && !h ? COVEY_ENOMEM : COVEY_EPROTO);
  cvy_node_unlock(node);
}

static void missing(cvy_handles *h, int code)
{
  h->at[h->count] = CVOS_NONE;
  h->why[h->count++] = (int8_t)code;
}

/* The first count of those that came along; what the system had no room for is missing, up to the place where it says so. */
static bool take_arrived(covey_peer *peer, uint32_t count, cvy_handles *to)
{
  cvy_handles *h = peer->came;
  uint32_t n = 0;
  while (h && n < count && n < h->count && h->at[n] != CVOS_NONE) n++;
  bool cut = h && n < count && n < h->count;
  if (!h || (n < count && !cut)) return false;
  memcpy(to->at, h->at, n * sizeof *to->at);
  to->count = n;
  while (to->count < count) missing(to, COVEY_ELIMIT);
  n += cut;
  h->count -= n;
  memmove(h->at, h->at + n, h->count * sizeof *h->at);
  if (h->count) return true;
  cvy_free(h);
  peer->came = NULL;
  return true;
}

int cvy_handles_came(covey_peer *peer, const cvy_chunk *chunk)
{
  cvy_handle_list list;
  cvy_inlet *in = cvy_inlet_find(peer, chunk->header.group);
  if (cvy_handle_list_decode(chunk->data, chunk->size, &list) < 0 || !in) return COVEY_EPROTO;
  if (!(in->group->flags & CVY_GROUP_HANDLES)) return COVEY_EPROTO; /* nobody has asked for any */
  cvy_handles *h = cvy_alloc_zero(1, sizeof *h);
  if (!h) return COVEY_ENOMEM;
  if (!CVOS_WINDOWS && !take_arrived(peer, list.count, h)) {
    cvy_free(h);
    return COVEY_EPROTO;
  }
  while (h->count < list.count) {
    int r = cvos_handle_pull(peer->identity.pid, list.value[h->count], &h->at[h->count]);
    if (r < 0)
      missing(h, r == COVEY_ELIMIT ? r : COVEY_ENOTFOUND);
    else
      h->count++;
  }
  cvy_peer_control(peer, CVY_FRAME_HANDLE_ACK, 0, 0, chunk->header.id, NULL, 0);
  cvy_handles_free(in->handles); /* of a message that was given up */
  in->handles = h;
  return 0;
}

void cvy_handles_fini(covey_peer *peer)
{
  cvy_handles_free(peer->came);
  peer->came = NULL;
  while (peer->handed) cvy_handles_acked(peer, peer->handed->id);
}

int covey_message_take(covey_message *message, uint32_t index, covey_native *ret_handle)
{
  cvy_item *item = message ? message->internal : NULL;
  cvy_handles *h = item ? item->attached : NULL;
  if (!ret_handle) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_handle is NULL");
  if (!h || index >= h->count)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "no handle of this index");
  if (h->at[index] == CVOS_NONE)
    return cvy_fail(h->why[index] ? h->why[index] : COVEY_ENOTFOUND, COVEY_STAGE_NONE, "handle %u %s",
                    (unsigned)index, h->why[index] ? "did not come along" : "was taken");
  *ret_handle = h->at[index];
  h->at[index] = CVOS_NONE;
  return 0;
}
