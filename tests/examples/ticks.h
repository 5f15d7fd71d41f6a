/* ticks.h: what loop_uv.c, loop_glib.c, loop_poll.c and loop_wait.c have in common: a child that sends ticks, and callbacks of its parent, which asks it to
 * end after five of them. None of it waits: it all happens inside the loop of the program. */
#ifndef TICKS_H
#define TICKS_H

#include <covey.h>

#include <stdio.h>
#include <stdlib.h>

static struct {
  covey_node *node;
  covey_process *child;
  int messages;
  int own; /* ticks of the program's own timer */
  int good;
  void (*quit)(void);
} ticks;

static inline void must(int r, const char *what)
{
  if (r >= 0) return;
  fprintf(stderr, "%s: %s (%s)\n", what, covey_strerror(r), covey_last_failure()->what);
  exit(1);
}

/* The child's whole life. */
static inline int ticks_child(void)
{
  do must(covey_send(NULL, covey_self_parent(), "ticks", "tick", 4, 5000), "send");
  while (covey_self_wait_stop(20) == COVEY_ETIMEDOUT);
  return 0;
}

static inline void ticks_on_message(covey_message *message, void *arg)
{
  (void)arg;
  printf("%lld says %s\n", (long long)message->from.pid, (const char *)message->data);
  if (++ticks.messages == 5)
    must(covey_process_stop_start(ticks.child, 10000), "stop"); /* asks, and returns */
}

static inline void ticks_on_end(covey_process *process, const covey_exit *end, void *arg)
{
  (void)arg;
  printf("ended with %u; our own timer ticked %d times\n", (unsigned)end->code, ticks.own);
  ticks.good = end->why == COVEY_WHY_STOP && end->code == 0 && ticks.own > 0;
  covey_process_close(process);
  ticks.quit();
}

/* Opens a node on loop (NULL: the default one) and starts the child; quit is called after its end. */
static inline void ticks_start(covey_loop *loop, void (*quit)(void))
{
  char *self;
  ticks.quit = quit;
  must(covey_node_open(&(covey_node_options){.loop = loop}, &ticks.node), "node");
  must(covey_group_on_message(ticks.node, "ticks", ticks_on_message, NULL), "group");
  must(covey_self_path(&self), "self");
  covey_process_options options = {.argv = (const char *const[]){self, NULL}, .loop = loop};
  must(covey_node_spawn(ticks.node, &options, &ticks.child), "spawn");
  must(covey_process_on_end(ticks.child, ticks_on_end, NULL), "on_end");
  covey_free(self);
}

#endif
