#include "posix/detail/posix.h"

#include "os/caps.h"
#include "os/pty.h"
#include "posix/detail/guard.h"
#include "posix/detail/system.h"

#include <errno.h>

uint32_t cvos_caps(void)
{
  static uint32_t known; /* the top bit says that the others are */
  const uint32_t probed = UINT32_C(1) << 31;
  uint32_t caps = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (!caps) {
    int saved = errno;
    caps = probed | COVEY_CAP_ASK_CONSOLE | cvos_system_caps();
    if (cvos_guard_possible()) caps |= COVEY_CAP_TIED_LIFE;
    if (cvos_pty_possible()) caps |= COVEY_CAP_PTY;
    __atomic_store_n(&known, caps, __ATOMIC_RELAXED);
    errno = saved;
  }
  return caps & ~probed;
}
