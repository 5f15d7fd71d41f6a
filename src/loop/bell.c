#include "core/mem.h"
#include "loop/state.h"

#include <errno.h>

struct cvy_bell {
  uv_async_t uv;
  covey_loop *loop;
  void (*run)(void *arg);
  void (*closed)(void *arg);
  void *arg;
};

static void on_ring(uv_async_t *uv)
{
  cvy_bell *bell = uv->data;
  cvy_fence(); /* see cvy_async_send */
  bell->loop->activity++;
  bell->run(bell->arg);
}

int cvy_bell_open(covey_loop *loop, void (*run)(void *arg), void (*closed)(void *arg), void *arg,
                  cvy_bell **ret)
{
  cvy_bell *bell = cvy_alloc_zero(1, sizeof *bell);
  if (!bell) return COVEY_ENOMEM;
  bell->loop = loop;
  bell->run = run;
  bell->closed = closed;
  bell->arg = arg;
  bell->uv.data = bell;
  int e = uv_async_init(loop->uv, &bell->uv, on_ring);
  if (e) {
    cvy_free(bell);
    return e == UV_ENOMEM ? COVEY_ENOMEM : COVEY_ELIMIT;
  }
  *ret = bell;
  return 0;
}

void cvy_bell_ring(cvy_bell *bell)
{
  int kept = errno;
  cvy_async_send(&bell->uv);
  errno = kept;
}

static void on_closed(uv_handle_t *uv)
{
  cvy_bell *bell = uv->data;
  bell->loop->activity++;
  bell->closed(bell->arg);
  cvy_free(bell);
}

void cvy_bell_close(cvy_bell *bell)
{
  uv_close((uv_handle_t *)&bell->uv, on_closed);
}
