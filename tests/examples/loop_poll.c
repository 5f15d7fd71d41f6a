/* loop_poll.c: covey on a loop of the program's own make, by one handle: poll, or MsgWaitForMultipleObjects beside the messages of windows. */
#include "ticks.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <poll.h>
#endif

static int over;

static void quit(void)
{
  over = 1;
}

/* Waits for covey's handle, and for whatever else the program has; returns whether covey wants a dispatch. */
static int wait_for(covey_native handle, int ms)
{
#ifdef _WIN32
  MSG message;
  DWORD r = MsgWaitForMultipleObjects(1, &handle, FALSE, (DWORD)ms, QS_ALLINPUT);
  while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE)) DispatchMessageW(&message);
  return r == WAIT_OBJECT_0;
#else
  struct pollfd p = {.fd = handle, .events = POLLIN};
  return poll(&p, 1, ms) > 0;
#endif
}

int main(void)
{
  covey_native handle;
  if (covey_self_is_child()) return ticks_child();
  must(covey_loop_handle(NULL, &handle), "handle");
  ticks_start(NULL, quit);
  while (!over) {
    if (wait_for(handle, 5))
      must(covey_loop_dispatch(NULL), "dispatch");
    else
      ticks.own++;
  }
  return covey_node_close(ticks.node, 5000) == 0 && ticks.good ? 0 : 1;
}
