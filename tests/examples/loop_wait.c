/* loop_wait.c: callbacks in a program that has no event loop of its own: covey_loop_wait is the loop, the same on all systems. */
#include "ticks.h"

static int over;

static void quit(void)
{
  over = 1;
}

int main(void)
{
  if (covey_self_is_child()) return ticks_child();
  ticks_start(NULL, quit);
  while (!over) {
    int r = covey_loop_wait(NULL, 5, NULL);
    if (r == COVEY_ETIMEDOUT)
      ticks.own++; /* whatever the program does now and then */
    else
      must(r, "wait");
  }
  return covey_node_close(ticks.node, 5000) == 0 && ticks.good ? 0 : 1;
}
