/* New connections: ConnectNamedPipe pends on each of the listener's instances. When a client has come, the next instance is made before the
 * connected one is handed on, so that nobody ever finds the name missing. An instance that cannot be made is tried again after a rest. */
#include "core/mem.h"
#include "os/error.h"
#include "os/watch.h"
#include "win32/detail/listener.h"
#include "win32/detail/op.h"

#define REST_MS 100 /* after a failure */

typedef struct slot {
  cvos_op op;
  cvos_acceptor *owner;
  int index;
  bool busy;  /* ConnectNamedPipe is in flight */
  bool ready; /* a client was there already: told from a later turn */
  bool ours;  /* the listener's instance is on our port */
} slot;

struct cvos_acceptor {
  slot slots[CVOS_PENDING];
  uv_timer_t rest;
  uv_loop_t *uv;
  cvos_listener *listener;
  int open_handles;
  bool closing;
  const cvos_acceptor_events *events;
  void *arg;
};

static void slot_start(slot *s);

static void on_rested(uv_timer_t *timer)
{
  cvos_acceptor *a = timer->data;
  for (int i = 0; i < CVOS_PENDING && !a->closing; i++)
    if (!a->slots[i].busy && !a->slots[i].ready) slot_start(&a->slots[i]);
}

static void slot_fail(slot *s, DWORD e)
{
  cvos_acceptor *a = s->owner;
  uv_timer_start(&a->rest, on_rested, REST_MS, 0);
  if (a->events->failed) a->events->failed(a->arg, cvos_translate((int)e), (int)e);
}

/* Waits for the next client on this slot's instance, which is made first where it is missing. */
static void slot_start(slot *s)
{
  cvos_acceptor *a = s->owner;
  HANDLE *instance = &a->listener->pending[s->index];
  if (*instance == CVOS_NONE) {
    s->ours = false;
    if (cvos_listener_instance(a->listener, instance)) {
      slot_fail(s, GetLastError());
      return;
    }
  }
  DWORD e = s->ours ? 0 : cvos_port_add(a->uv, *instance);
  if (e) {
    slot_fail(s, e);
    return;
  }
  s->ours = true;
  if (ConnectNamedPipe(*instance, cvos_op_begin(&s->op)))
    e = ERROR_PIPE_CONNECTED;
  else
    e = GetLastError();
  if (e == ERROR_IO_PENDING) {
    s->busy = true;
    return;
  }
  cvos_op_none(&s->op);
  if (e == ERROR_PIPE_CONNECTED || e == ERROR_NO_DATA) {
    s->ready = true;
    uv_async_send(&s->op.async);
    return;
  }
  CloseHandle(*instance);
  *instance = CVOS_NONE;
  slot_fail(s, e);
}

static void on_op(uv_async_t *async)
{
  slot *s = async->data;
  cvos_acceptor *a = s->owner;
  HANDLE *instance = &a->listener->pending[s->index], connected = *instance;
  DWORD n = 0, e = s->busy ? cvos_op_result(&s->op, connected, &n) : 0;
  bool news = s->busy || s->ready;
  s->busy = s->ready = false;
  if (a->closing || !news) return;
  cvos_watch_count();
  if (e && e != ERROR_PIPE_CONNECTED && e != ERROR_NO_DATA && e != ERROR_BROKEN_PIPE &&
      e != ERROR_IO_INCOMPLETE) {
    if (e != ERROR_OPERATION_ABORTED) {
      CloseHandle(connected);
      *instance = CVOS_NONE;
    }
    slot_start(s);
    return;
  }
  *instance = CVOS_NONE;
  slot_start(s);
  if (!a->closing)
    a->events->accepted(a->arg, connected);
  else
    CloseHandle(connected);
}

static void on_closed(uv_handle_t *handle)
{
  cvos_acceptor *a = handle->type == UV_TIMER ? handle->data : ((slot *)handle->data)->owner;
  if (--a->open_handles) return;
  cvos_watch_count();
  if (a->events->closed) a->events->closed(a->arg);
  cvy_free(a);
}

int cvos_acceptor_open(struct uv_loop_s *uv, cvos_listener *listener, const cvos_acceptor_events *events,
                       void *arg, cvos_acceptor **ret)
{
  cvos_acceptor *a = cvy_alloc_zero(1, sizeof *a);
  if (!a) return COVEY_ENOMEM;
  a->uv = uv;
  a->listener = listener;
  a->events = events;
  a->arg = arg;
  a->open_handles = CVOS_PENDING + 1;
  uv_timer_init(uv, &a->rest);
  a->rest.data = a;
  for (int i = 0; i < CVOS_PENDING; i++) {
    uv_async_init(uv, &a->slots[i].op.async, on_op); /* only memory on Windows: cannot fail */
    a->slots[i].op.async.data = &a->slots[i];
    a->slots[i].owner = a;
    a->slots[i].index = i;
  }
  uv_timer_start(&a->rest, on_rested, 0, 0); /* starts the slots, from a later turn */
  *ret = a;
  return 0;
}

void cvos_acceptor_close(cvos_acceptor *acceptor)
{
  if (!acceptor || acceptor->closing) return;
  acceptor->closing = true;
  for (int i = 0; i < CVOS_PENDING; i++) {
    slot *s = &acceptor->slots[i];
    if (s->busy) CancelIoEx(acceptor->listener->pending[i], &s->op.async.async_req.u.io.overlapped);
    uv_close((uv_handle_t *)&s->op.async, on_closed);
  }
  uv_close((uv_handle_t *)&acceptor->rest, on_closed);
}
