/* The end of a process: a thread of the system waits for its handle and sends an async, without a lock. */
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/watch.h"
#include "win32/detail/op.h"

struct cvos_exit_watch {
  uv_async_t async;
  HANDLE wait;
  bool told, closing;
  void (*exited)(void *arg);
  void (*closed)(void *arg);
  void *arg;
};

static void CALLBACK on_signalled(void *arg, BOOLEAN timed_out)
{
  (void)timed_out;
  uv_async_send(&((cvos_exit_watch *)arg)->async);
}

static void on_exit(uv_async_t *async)
{
  cvos_exit_watch *w = async->data;
  if (w->told || w->closing) return;
  w->told = true;
  uv_unref((uv_handle_t *)async); /* what has ended keeps no loop turning */
  cvos_watch_count();
  w->exited(w->arg);
}

static void on_closed(uv_handle_t *handle)
{
  cvos_exit_watch *w = handle->data;
  cvos_watch_count();
  if (w->closed) w->closed(w->arg);
  cvy_free(w);
}

int cvos_exit_watch_open(struct uv_loop_s *uv, bool own, const cvos_process *process,
                         void (*exited)(void *arg), void (*closed)(void *arg), void *arg,
                         cvos_exit_watch **ret)
{
  (void)own;
  if (process->handle == CVOS_NONE) return COVEY_ENOTFOUND;
  cvos_exit_watch *w = cvy_alloc_zero(1, sizeof *w);
  if (!w) return COVEY_ENOMEM;
  if (uv_async_init(uv, &w->async, on_exit)) {
    cvy_free(w);
    return COVEY_ELIMIT;
  }
  w->async.data = w;
  if (!CVOS_CALL(POLL,
                 RegisterWaitForSingleObject(&w->wait, process->handle, on_signalled, w, INFINITE,
                                             WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD),
                 FALSE)) {
    int r = cvos_translate(cvos_last_error());
    uv_close((uv_handle_t *)&w->async, on_closed);
    return r;
  }
  w->exited = exited;
  w->closed = closed;
  w->arg = arg;
  *ret = w;
  return 0;
}

void cvos_exit_watch_close(cvos_exit_watch *watch)
{
  if (!watch || watch->closing) return;
  watch->closing = true;
  UnregisterWaitEx(watch->wait, INVALID_HANDLE_VALUE); /* waits for a callback that runs now */
  uv_close((uv_handle_t *)&watch->async, on_closed);
}

bool cvos_exit_watch_drop(cvos_exit_watch *watch)
{
  (void)watch;
  return false;
}
