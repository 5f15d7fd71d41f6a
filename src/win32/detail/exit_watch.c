/* The end of a process: a thread of the system waits for its handle and sends an async. It knows the watch by a ticket only, so that closing
 * waits for nobody and a thread that comes late finds nothing. (To wait for it would not do either: UnregisterWaitEx with INVALID_HANDLE_VALUE
 * crashes in wine 8 when the process ends in that moment, for it counts a callback of WT_EXECUTEINWAITTHREAD that is in no list.) */
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/watch.h"
#include "win32/detail/op.h"

struct cvos_exit_watch {
  uv_async_t async;
  HANDLE wait;
  uintptr_t ticket;
  bool told, closing;
  void (*exited)(void *arg);
  void (*closed)(void *arg);
  void *arg;
};

/* ---- tickets: the lower half is a place, the upper half counts its owners ---- */

#define HALF (sizeof(uintptr_t) * 4)
#define LOW  (((uintptr_t)1 << HALF) - 1)

static struct {
  SRWLOCK lock;
  struct place {
    cvos_exit_watch *watch; /* NULL: free */
    uintptr_t turn;
    size_t next_free;
  } * places;                   /* as many as there ever were at once */
  size_t count, capacity, free; /* free: a place, or count */
} tickets = {.lock = SRWLOCK_INIT};

static int reserve(void)
{
  if (tickets.free < tickets.count) return 0;
  if (tickets.count > LOW) return COVEY_ELIMIT;
  if (tickets.count == tickets.capacity) {
    size_t capacity = tickets.capacity ? 2 * tickets.capacity : 16;
    struct place *places = cvy_realloc_array(tickets.places, capacity, sizeof *places);
    if (!places) return COVEY_ENOMEM;
    tickets.places = places;
    tickets.capacity = capacity;
  }
  tickets.places[tickets.count] = (struct place){.next_free = tickets.count + 1};
  tickets.free = tickets.count++;
  return 0;
}

static int ticket_take(cvos_exit_watch *w)
{
  AcquireSRWLockExclusive(&tickets.lock);
  int r = reserve();
  if (r == 0) {
    size_t at = tickets.free;
    struct place *place = &tickets.places[at];
    tickets.free = place->next_free;
    place->watch = w;
    place->turn++;
    w->ticket = at | place->turn << HALF;
  }
  ReleaseSRWLockExclusive(&tickets.lock);
  return r;
}

static void ticket_return(const cvos_exit_watch *w)
{
  size_t at = w->ticket & LOW;
  AcquireSRWLockExclusive(&tickets.lock);
  tickets.places[at].watch = NULL;
  tickets.places[at].next_free = tickets.free;
  tickets.free = at;
  ReleaseSRWLockExclusive(&tickets.lock);
}

static void CALLBACK on_signalled(void *arg, BOOLEAN timed_out)
{
  uintptr_t ticket = (uintptr_t)arg;
  (void)timed_out;
  AcquireSRWLockShared(&tickets.lock);
  cvos_exit_watch *w = tickets.places[ticket & LOW].watch;
  if (w && w->ticket == ticket) uv_async_send(&w->async);
  ReleaseSRWLockShared(&tickets.lock);
}

/* ---- the watch ---- */

static void on_exit(uv_async_t *async)
{
  cvos_exit_watch *w = async->data;
  if (w->told || w->closing) return;
  w->told = true;
  uv_unref((uv_handle_t *)async); /* what has ended keeps no loop turning */
  cvos_watch_count();
  w->exited(w->arg);
}

static void on_closed(uv_handle_t *handle)
{
  cvos_exit_watch *w = handle->data;
  cvos_watch_count();
  if (w->closed) w->closed(w->arg);
  cvy_free(w);
}

int cvos_exit_watch_open(struct uv_loop_s *uv, bool own, const cvos_process *process,
                         void (*exited)(void *arg), void (*closed)(void *arg), void *arg,
                         cvos_exit_watch **ret)
{
  (void)own;
  if (process->handle == CVOS_NONE) return COVEY_ENOTFOUND;
  cvos_exit_watch *w = cvy_alloc_zero(1, sizeof *w);
  if (!w) return COVEY_ENOMEM;
  if (uv_async_init(uv, &w->async, on_exit)) {
    cvy_free(w);
    return COVEY_ELIMIT;
  }
  w->async.data = w;
  int r = ticket_take(w);
  if (r == 0 &&
      !CVOS_CALL(POLL,
                 RegisterWaitForSingleObject(&w->wait, process->handle, on_signalled, (void *)w->ticket,
                                             INFINITE, WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD),
                 FALSE)) {
    r = cvos_translate(cvos_last_error());
    ticket_return(w);
  }
  if (r < 0) {
    uv_close((uv_handle_t *)&w->async, on_closed);
    return r;
  }
  w->exited = exited;
  w->closed = closed;
  w->arg = arg;
  *ret = w;
  return 0;
}

void cvos_exit_watch_close(cvos_exit_watch *watch)
{
  if (!watch || watch->closing) return;
  watch->closing = true;
  ticket_return(watch);
  UnregisterWaitEx(watch->wait, NULL);
  uv_close((uv_handle_t *)&watch->async, on_closed);
}

bool cvos_exit_watch_drop(cvos_exit_watch *watch)
{
  (void)watch;
  return false;
}
