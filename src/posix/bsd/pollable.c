/* The handle for foreign loops: a kqueue over {uv's own kqueue, a user event as the mark, a timer}. Readable
 * while any of the three is. */
#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

struct cvos_pollable {
  int queue;
};

enum { MARK = 1, TIMER = 2 };

static int change(cvos_pollable *p, uintptr_t ident, int filter, int flags, unsigned notes, int data)
{
  struct kevent e;
  EV_SET(&e, ident, (short)filter, (unsigned short)flags, notes, data, 0);
  return kevent(p->queue, &e, 1, NULL, 0, NULL);
}

static int set_up(cvos_pollable *p, int backend)
{
  p->queue = cvos_fd_high(CVOS_CALL(EVENT, kqueue(), -1));
  if (p->queue < 0) return -1;
  fcntl(p->queue, F_SETFD, FD_CLOEXEC);
  if (change(p, MARK, EVFILT_USER, EV_ADD, 0, 0)) return -1;
  return change(p, (uintptr_t)backend, EVFILT_READ, EV_ADD, 0, 0);
}

int cvos_pollable_open(struct uv_loop_s *uv, cvos_pollable **ret)
{
  cvos_pollable *p = cvy_alloc(sizeof *p);
  if (!p) return COVEY_ENOMEM;
  p->queue = -1;
  int backend = uv_backend_fd(uv);
  if (backend >= 0 && set_up(p, backend) == 0) {
    *ret = p;
    return 0;
  }
  int r = backend < 0 ? COVEY_ENOTSUP : cvos_translate(errno);
  cvos_pollable_close(p);
  return r;
}

cvos_handle cvos_pollable_handle(const cvos_pollable *p)
{
  return p->queue;
}

/* A queue counts as readable while anything is queued in it, and what was ready stays there until somebody takes it, ready or not (XNU, kern_event.c:
 * filt_kqueue; libuv/libuv 883). Who polls takes nothing, so we do: that looks at each again, and leaves what is still ready. */
static void look_again(cvos_pollable *p)
{
  struct kevent got[TIMER + 1];
  const struct timespec none = {0};
  kevent(p->queue, NULL, 0, got, TIMER + 1, &none);
}

/* Without EV_CLEAR a triggered user event and an expired timer stay until they are made anew. */
void cvos_pollable_mark(cvos_pollable *p)
{
  change(p, MARK, EVFILT_USER, 0, NOTE_TRIGGER, 0);
}

void cvos_pollable_begin(cvos_pollable *p)
{
  change(p, MARK, EVFILT_USER, EV_DELETE, 0, 0);
  change(p, MARK, EVFILT_USER, EV_ADD, 0, 0);
}

void cvos_pollable_end(cvos_pollable *p, int timeout)
{
  change(p, TIMER, EVFILT_TIMER, EV_DELETE, 0, 0); /* ENOENT: none was set */
  look_again(p);
  if (timeout == 0) cvos_pollable_mark(p);
  if (timeout > 0) change(p, TIMER, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, timeout);
}

void cvos_pollable_close(cvos_pollable *p)
{
  if (!p) return;
  if (p->queue >= 0) close(p->queue);
  cvy_free(p);
}
