/* win32/detail/listener.h: what a listener is here. For stream.c, which makes it, and watch.c, which accepts on it. */
#ifndef COVEY_WIN32_LISTENER_H
#define COVEY_WIN32_LISTENER_H

#include "os/stream.h"
#include "win32/detail/windows.h"

enum {
  WIN32_PENDING = 2
}; /* instances that wait for a client at all times: between one and the next nobody finds the pipe missing */

struct cvos_listener {
  wchar_t *name;
  void *security; /* the security descriptor, LocalFree */
  HANDLE pending
      [WIN32_PENDING]; /* owned by the listener until replaced: overlapped, on no port yet, ConnectNamedPipe not called yet */
};

/* Makes one more instance of listener's pipe: what pending[i] is replaced with before the connected one is handed on. ret: owned.
 * Errors: COVEY_ELIMIT, COVEY_EOS. */
int win32_listener_instance(cvos_listener *listener, HANDLE *ret);

#endif
