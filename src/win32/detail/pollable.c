/* The handle for foreign loops: an event, set by a small thread that watches uv's completion port. A port is no object to wait for (a waiter
 * would take packets away), so the thread takes a packet, posts it back, sets the event, and touches nothing until a dispatch has run. */
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/thread.h"
#include "os/watch.h"
#include "win32/detail/op.h"

struct cvos_pollable {
  HANDLE port;
  HANDLE event; /* manual reset: the foreign loop's */
  HANDLE go;    /* auto reset: the relay goes on */
  cvos_thread *relay;
  SRWLOCK lock; /* guards what follows */
  bool parked;  /* the relay waits for a dispatch */
  bool quit;
  uint64_t due; /* when the relay must signal without a packet; GetTickCount64, UINT64_MAX none */
};

#define OUR_KEY                                                                                              \
  ((ULONG_PTR)0x636f7665) /* of the packets without OVERLAPPED that wake the relay; libuv skips them */

static DWORD time_left(cvos_pollable *p)
{
  AcquireSRWLockExclusive(&p->lock);
  uint64_t now = GetTickCount64(), due = p->due;
  ReleaseSRWLockExclusive(&p->lock);
  if (due == UINT64_MAX) return INFINITE;
  return due <= now ? 0 : due - now > 0x7fffffff ? 0x7fffffff : (DWORD)(due - now);
}

static void relay_main(void *arg)
{
  cvos_pollable *p = arg;
  for (;;) {
    DWORD n = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *o = NULL;
    BOOL ok = GetQueuedCompletionStatus(p->port, &n, &key, &o, time_left(p));
    if (o) PostQueuedCompletionStatus(p->port, n, key, o); /* a failed call too: its status is in o */
    AcquireSRWLockExclusive(&p->lock);
    bool quit = p->quit, news = o || !ok;
    if (!quit && news) {
      p->parked = true;
      p->due = UINT64_MAX;
    }
    ReleaseSRWLockExclusive(&p->lock);
    if (quit) return;
    if (!news) continue;
    SetEvent(p->event);
    WaitForSingleObject(p->go, INFINITE);
  }
}

int cvos_pollable_open(struct uv_loop_s *uv, cvos_pollable **ret)
{
  int r;
  cvos_pollable *p = cvy_alloc_zero(1, sizeof *p);
  if (!p) return COVEY_ENOMEM;
  p->port = uv->iocp;
  p->due = UINT64_MAX;
  InitializeSRWLock(&p->lock);
  p->event = CVOS_CALL(EVENT, CreateEventW(NULL, TRUE, FALSE, NULL), NULL);
  p->go = p->event ? CVOS_CALL(EVENT, CreateEventW(NULL, FALSE, FALSE, NULL), NULL) : NULL;
  r = p->go ? cvos_thread_start("covey-relay", relay_main, p, &p->relay) : cvos_translate(cvos_last_error());
  if (!r) {
    *ret = p;
    return 0;
  }
  if (p->go) CloseHandle(p->go);
  if (p->event) CloseHandle(p->event);
  cvy_free(p);
  return r;
}

cvos_handle cvos_pollable_handle(const cvos_pollable *p)
{
  return p->event;
}

void cvos_pollable_mark(cvos_pollable *p)
{
  SetEvent(p->event);
}

void cvos_pollable_begin(cvos_pollable *p)
{
  ResetEvent(p->event);
}

void cvos_pollable_end(cvos_pollable *p, int timeout)
{
  uint64_t due = timeout < 0 ? UINT64_MAX : GetTickCount64() + (uint64_t)timeout;
  if (timeout == 0) SetEvent(p->event);
  AcquireSRWLockExclusive(&p->lock);
  bool parked = p->parked, sooner = due < p->due;
  p->parked = false;
  p->due = due;
  ReleaseSRWLockExclusive(&p->lock);
  if (parked)
    SetEvent(p->go);
  else if (sooner)
    PostQueuedCompletionStatus(p->port, 0, OUR_KEY, NULL);
}

void cvos_pollable_close(cvos_pollable *p)
{
  if (!p) return;
  AcquireSRWLockExclusive(&p->lock);
  p->quit = true;
  ReleaseSRWLockExclusive(&p->lock);
  PostQueuedCompletionStatus(p->port, 0, OUR_KEY, NULL);
  SetEvent(p->go);
  cvos_thread_join(p->relay);
  CloseHandle(p->go);
  CloseHandle(p->event);
  cvy_free(p);
}
