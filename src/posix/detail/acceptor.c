/* New connections: uv_poll_t on the listening socket. When descriptors run out a waiting connection would make the poll spin, so it rests
 * for a while. Who has connected waits meanwhile, in order, and is accepted without a try of his own. */
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/watch.h"
#include "posix/detail/listener.h"
#include "posix/detail/socket.h"
#include "posix/detail/shared.h"

#include <unistd.h>

#define BATCH   16  /* connections in one callback; then others have their turn */
#define REST_MS 100 /* after a failure */

struct cvos_acceptor {
  uv_poll_t poll;
  uv_timer_t rest;
  int socket;
  int open_handles;
  bool closing;
  const cvos_acceptor_events *events;
  void *arg;
};

static void on_poll(uv_poll_t *poll, int status, int what);

static void on_rested(uv_timer_t *timer)
{
  cvos_acceptor *a = timer->data;
  uv_poll_start(&a->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int what)
{
  cvos_acceptor *a = poll->data;
  (void)status;
  (void)what;
  cvos_watch_count();
  for (int i = 0; i < BATCH && !a->closing; i++) {
    int fd, r = cvos_accept(a->socket, &fd);
    if (r == COVEY_EAGAIN) return;
    if (r == 0) {
      a->events->accepted(a->arg, fd);
      continue;
    }
    int system = cvos_last_error();
    uv_poll_stop(&a->poll);
    uv_timer_start(&a->rest, on_rested, REST_MS, 0);
    if (a->events->failed) a->events->failed(a->arg, r, system);
    return;
  }
}

int cvos_acceptor_open(struct uv_loop_s *uv, cvos_listener *listener, const cvos_acceptor_events *events,
                       void *arg, cvos_acceptor **ret)
{
  cvos_acceptor *a = cvy_alloc_zero(1, sizeof *a);
  if (!a) return COVEY_ENOMEM;
  int e = CVOS_CALL(POLL, uv_poll_init(uv, &a->poll, listener->socket), UV_EMFILE);
  if (e) {
    cvy_free(a);
    return cvos_translate(-e);
  }
  uv_timer_init(uv, &a->rest);
  a->poll.data = a->rest.data = a;
  a->open_handles = 2;
  a->socket = listener->socket;
  a->events = events;
  a->arg = arg;
  uv_poll_start(&a->poll, UV_READABLE, on_poll);
  *ret = a;
  return 0;
}

static void on_closed(uv_handle_t *handle)
{
  cvos_acceptor *a = handle->data;
  if (--a->open_handles) return;
  cvos_watch_count();
  if (a->events->closed) a->events->closed(a->arg);
  cvy_free(a);
}

void cvos_acceptor_close(cvos_acceptor *acceptor)
{
  if (!acceptor || acceptor->closing) return;
  acceptor->closing = true;
  uv_close((uv_handle_t *)&acceptor->poll, on_closed);
  uv_close((uv_handle_t *)&acceptor->rest, on_closed);
}
