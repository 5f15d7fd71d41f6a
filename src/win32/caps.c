#include "win32/detail/windows.h"

#include "os/caps.h"
#include "os/pty.h"
#include "win32/detail/attributes.h"
#include "win32/detail/tree.h"

uint32_t cvos_caps(void)
{
  static volatile LONG known; /* the top bit says that the others are */
  LONG caps = InterlockedCompareExchange(&known, 0, 0);
  if (!caps) {
    caps = INT32_MIN | COVEY_CAP_PIDFD | COVEY_CAP_TREE_KERNEL | COVEY_CAP_TIED_LIFE | COVEY_CAP_SPAWN_FLAT |
           (LONG)cvos_attributes_caps() | (cvos_pty_possible() ? COVEY_CAP_PTY : 0);
    if (cvos_console_tool()) caps |= COVEY_CAP_ASK_CONSOLE;
    (void)InterlockedExchange(&known, caps);
  }
  return (uint32_t)caps & INT32_MAX;
}
