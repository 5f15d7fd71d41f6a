/* win32/detail/listener.h: what a listener is here. For stream.c, which makes it, and watch.c, which accepts
 * on it. */
#ifndef COVEY_WIN32_LISTENER_H
#define COVEY_WIN32_LISTENER_H

#include "os/stream.h"
#include "win32/detail/windows.h"

enum {
  CVOS_PENDING =
      2, /* instances that wait for a client at all times: between one and the next nobody finds the pipe missing */
  CVOS_PIPE_NAME_MAX = 257, /* characters of a pipe's whole name, with its NUL (CreateNamedPipe) */
  CVOS_PIPE_BUFFER = 65536  /* bytes in each direction; with 0 every write would wait for its reader */
};

struct cvos_listener {
  wchar_t name[CVOS_PIPE_NAME_MAX];
  void *security; /* the security descriptor, LocalFree */
  /* Owned by the listener until replaced: overlapped, on no port yet, ConnectNamedPipe not called yet. */
  HANDLE pending[CVOS_PENDING];
};

/* Makes one more instance of listener's pipe: what pending[i] is replaced with before the connected one is
 * handed on. ret: owned. Errors: COVEY_ELIMIT, COVEY_EOS. */
int cvos_listener_instance(cvos_listener *listener, HANDLE *ret);

#endif
