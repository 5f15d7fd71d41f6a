#include "loop/host.h"

#include "os/signal.h"

#include <signal.h>
#include <string.h>
#include <uv.h>

bool cvy_host_take_variable(const char *name, char *ret_value, size_t capacity)
{
  size_t size = capacity;
  int r = uv_os_getenv(name, ret_value, &size);
  if (r == UV_ENOENT) return false;
  uv_os_unsetenv(name);
  return r == 0;
}

/* ---- being asked to end ---- */

static const int asking[] = {SIGINT, SIGTERM,
#ifdef SIGHUP
                             SIGHUP,
#endif
#ifdef SIGBREAK
                             SIGBREAK
#endif
};

enum { ASKING = sizeof asking / sizeof asking[0] };

static struct shutdown {
  covey_loop *loop;
  void (*run)(void *arg);
  void *arg;
  uv_signal_t signals[ASKING];
} watch;

static void on_signal(uv_signal_t *handle, int number)
{
  (void)handle;
  (void)number;
  watch.run(watch.arg);
}

static int start(void *arg)
{
  (void)arg;
  for (size_t i = 0; i < ASKING; i++) {
    if (!cvos_signal_is_default(asking[i])) continue;
    if (uv_signal_init(cvy_loop_uv(watch.loop), &watch.signals[i]) < 0) return COVEY_ELIMIT;
    uv_signal_start(&watch.signals[i], on_signal, asking[i]);
    uv_unref((uv_handle_t *)&watch.signals[i]);
  }
  return 0;
}

int cvy_host_watch_shutdown(covey_loop *loop, void (*run)(void *arg), void *arg)
{
  watch.loop = loop;
  watch.run = run;
  watch.arg = arg;
  return cvy_loop_call(loop, start, NULL);
}
