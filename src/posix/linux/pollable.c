/* The handle for foreign loops: an epoll over {uv's own epoll, an eventfd as the mark, a timerfd}. Readable
 * while any of the three is. */
#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/watch.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

struct cvos_pollable {
  int queue, mark, timer;
};

static int add(int queue, int fd)
{
  struct epoll_event e = {.events = EPOLLIN};
  return CVOS_CALL(EVENT, epoll_ctl(queue, EPOLL_CTL_ADD, fd, &e), -1);
}

static int set_up(cvos_pollable *p, int backend)
{
  p->queue = cvos_fd_high(CVOS_CALL(EVENT, epoll_create1(EPOLL_CLOEXEC), -1));
  if (p->queue < 0) return -1;
  p->mark = cvos_fd_high(CVOS_CALL(EVENT, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), -1));
  if (p->mark < 0) return -1;
  p->timer = cvos_fd_high(CVOS_CALL(EVENT, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), -1));
  if (p->timer < 0) return -1;
  return add(p->queue, backend) || add(p->queue, p->mark) || add(p->queue, p->timer) ? -1 : 0;
}

int cvos_pollable_open(struct uv_loop_s *uv, cvos_pollable **ret)
{
  cvos_pollable *p = cvy_alloc(sizeof *p);
  if (!p) return COVEY_ENOMEM;
  p->queue = p->mark = p->timer = -1;
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

void cvos_pollable_mark(cvos_pollable *p)
{
  uint64_t one = 1;
  while (write(p->mark, &one, sizeof one) < 0 && errno == EINTR)
    continue; /* EAGAIN: it is marked very much */
}

void cvos_pollable_begin(cvos_pollable *p)
{
  uint64_t count;
  while (read(p->mark, &count, sizeof count) < 0 && errno == EINTR) continue;
}

/* Setting a timer takes its expirations away as well. */
void cvos_pollable_end(cvos_pollable *p, int timeout)
{
  struct itimerspec t = {0};
  if (timeout == 0) cvos_pollable_mark(p);
  if (timeout > 0) {
    t.it_value.tv_sec = timeout / 1000;
    t.it_value.tv_nsec = (timeout % 1000) * 1000000L;
  }
  timerfd_settime(p->timer, 0, &t, NULL);
}

void cvos_pollable_close(cvos_pollable *p)
{
  if (!p) return;
  if (p->mark >= 0) close(p->mark);
  if (p->timer >= 0) close(p->timer);
  if (p->queue >= 0) close(p->queue);
  cvy_free(p);
}
