/* loop_uv.c: covey on the libuv loop of a program. Its timer, a child's messages and the child's end come in one uv_run. */
#include "ticks.h"

#include <uv.h>

static void quit(void)
{
  uv_stop(uv_default_loop());
}

static void on_timer(uv_timer_t *timer)
{
  (void)timer;
  ticks.own++;
}

int main(void)
{
  uv_loop_t *uv = uv_default_loop();
  uv_timer_t timer;
  covey_loop *loop;
  if (covey_self_is_child()) return ticks_child();
  must(covey_loop_attach(uv, uv_version(), &loop), "attach");
  uv_timer_init(uv, &timer);
  uv_timer_start(&timer, on_timer, 5, 5);
  ticks_start(loop, quit);
  uv_run(uv, UV_RUN_DEFAULT); /* the program's own life */

  uv_close((uv_handle_t *)&timer, NULL);
  covey_node_close(ticks.node, 0);
  covey_loop_close(loop);
  while (uv_run(uv, UV_RUN_DEFAULT)) continue; /* what is closed goes in its turn */
  return uv_loop_close(uv) == 0 && ticks.good ? 0 : 1;
}
