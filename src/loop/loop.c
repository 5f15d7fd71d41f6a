#include "loop/loop.h"
#include "core/error.h"
#include "core/mem.h"
#include "loop/state.h"
#include "os/handle.h"
#include "os/thread.h"

static covey_loop *default_loop; /* under the global lock; kept for ever */

struct uv_loop_s *cvy_loop_uv(covey_loop *loop)
{
  return loop->uv;
}
bool cvy_loop_is_own(const covey_loop *loop)
{
  return loop->kind != LOOP_LENT;
}
void cvy_loop_lock(covey_loop *loop)
{
  uv_mutex_lock(&loop->lock);
}
void cvy_loop_unlock(covey_loop *loop)
{
  uv_mutex_unlock(&loop->lock);
}

/* ---- making ---- */

static int from_uv(int e)
{
  return e == UV_ENOMEM ? COVEY_ENOMEM : e == UV_ENOSYS ? COVEY_ENOTSUP : COVEY_ELIMIT;
}

/* The parts that every kind has. uv is ready; nothing of ours is on it when this fails. */
static int loop_equip(covey_loop *loop)
{
  int e = uv_mutex_init(&loop->lock);
  if (e) return from_uv(e);
  e = uv_cond_init(&loop->helper_cond);
  if (e) goto no_cond;
  e = uv_async_init(loop->uv, &loop->wake, cvy_token_on_wake);
  if (e) goto no_wake;
  uv_timer_init(loop->uv, &loop->lead_timer);
  loop->wake.data = loop->lead_timer.data = loop;
  loop->refs = 1;
  loop->generation = cvos_fork_generation();
  cvy_hot_init(loop);
  return 0;
no_wake:
  uv_cond_destroy(&loop->helper_cond);
no_cond:
  uv_mutex_destroy(&loop->lock);
  return from_uv(e);
}

enum { UV_ATTEMPTS = 8 };

static covey_loop *parked; /* while the standard streams are filled; kept for ever */

/* uv has a number below 3 where one of the standard streams is closed, another thread had its number as they were filled, and let go of it
 * since. libuv asserts at its close that this is not so: such a loop is never closed. Its number is taken from then on. */
static bool is_low(const covey_loop *loop)
{
  int fd = uv_backend_fd(&loop->own); /* -1 on Windows */
  return (fd >= 0 && fd <= 2) || !cvos_standard_is_spared();
}

/* A loop with its uv ready. The standard streams are filled then, also where there is none. */
static int loop_allocate(covey_loop **ret)
{
  cvos_standard_fill();
  for (int i = 0; i < UV_ATTEMPTS; i++) {
    covey_loop *loop = cvy_alloc_zero(1, sizeof *loop);
    if (!loop) return COVEY_ENOMEM;
    loop->uv = &loop->own;
    int e = uv_loop_init(loop->uv);
    if (e) {
      int left =
          e == UV_ENOMEM
              ? -1
              : uv_backend_fd(loop->uv); /* libuv forgets its epoll or kqueue where a later step fails */
      if (left > 2) cvos_handle_close((cvos_handle)(intptr_t)left);
      cvy_free(loop);
      return from_uv(e);
    }
    if (!is_low(loop)) {
      *ret = loop;
      return 0;
    }
    loop->own.data = parked;
    parked = loop;
    cvos_standard_free();
    cvos_standard_fill();
  }
  return COVEY_ELIMIT;
}

static int loop_make(enum loop_kind kind, covey_loop **ret)
{
  covey_loop *loop = NULL;
  int r = loop_allocate(&loop);
  if (r < 0) goto no_loop;
  loop->kind = kind;
  r = cvos_watch_prepare(loop->uv, true);
  if (!r) r = loop_equip(loop);
  if (!r) {
    cvos_standard_free();
    *ret = loop;
    return 0;
  }
  uv_run(loop->uv, UV_RUN_NOWAIT);
  uv_loop_close(loop->uv);
  cvy_free(loop);
no_loop:
  cvos_standard_free();
  return cvy_fail(r, COVEY_STAGE_NONE, "loop");
}

int covey_loop_open(const covey_loop_options *options, covey_loop **ret_loop)
{
  static const covey_loop_options none;
  const covey_loop_options *o = options ? options : &none;
  if (!ret_loop) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_loop is NULL");
  if (o->flags & ~(uint32_t)COVEY_LOOP_NO_THREAD)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "flags 0x%x", (unsigned)o->flags);
  if (o->reserved0 || !cvy_is_zero(o->reserved, 4))
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "reserved words of covey_loop_options");
  int r = loop_make(LOOP_OWN, ret_loop);
  if (!r) (*ret_loop)->no_thread = (o->flags & COVEY_LOOP_NO_THREAD) != 0;
  return r;
}

int covey_loop_attach(struct uv_loop_s *uv, unsigned uv_version_number, covey_loop **ret_loop)
{
  if (!uv || !ret_loop)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "%s is NULL", uv ? "ret_loop" : "uv");
  if (uv_version_number != uv_version())
    return cvy_fail(COVEY_EVERSION, COVEY_STAGE_ARGUMENTS, "libuv 0x%06x, ours is 0x%06x", uv_version_number,
                    uv_version());
  int r = cvos_watch_prepare(uv, false);
  if (r) return cvy_fail(r, COVEY_STAGE_NONE, "libuv 0x%06x", uv_version_number);
  covey_loop *loop = cvy_alloc_zero(1, sizeof *loop);
  if (!loop) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "loop");
  loop->uv = uv;
  loop->kind = LOOP_LENT;
  r = loop_equip(loop);
  if (r) {
    cvy_free(loop);
    return cvy_fail(r, COVEY_STAGE_NONE, "loop");
  }
  loop->holder = cvy_loop_self();
  uv_unref((uv_handle_t *)&loop->wake);
  uv_unref((uv_handle_t *)&loop->lead_timer);
  *ret_loop = loop;
  return 0;
}

int cvy_loop_private(covey_loop **ret)
{
  return loop_make(LOOP_PRIVATE, ret);
}

/* ---- ending ---- */

static void loop_free(covey_loop *loop)
{
  uv_cond_destroy(&loop->helper_cond);
  uv_mutex_destroy(&loop->lock);
  cvy_free(loop);
}

/* The two handles of a lent loop close one after the other; the second one frees. */
static void lent_timer_closed(uv_handle_t *handle)
{
  loop_free(handle->data);
}
static void lent_wake_closed(uv_handle_t *handle)
{
  covey_loop *loop = handle->data;
  uv_close((uv_handle_t *)&loop->lead_timer, lent_timer_closed);
}

static void lent_end(void *arg)
{
  covey_loop *loop = arg;
  uv_close((uv_handle_t *)&loop->wake, lent_wake_closed);
}

void cvy_loop_destroy(covey_loop *loop)
{
  if (loop->kind == LOOP_LENT) {
    if (cvy_loop_has_token(loop)) {
      lent_end(loop);
      return;
    }
    loop->end = (cvy_task){.run = lent_end, .arg = loop};
    uv_mutex_lock(&loop->lock);
    cvy_loop_post(loop, &loop->end);
    uv_mutex_unlock(&loop->lock);
    return;
  }
  uv_mutex_lock(&loop->lock);
  cvy_helper_stop(loop);
  cvy_store_relaxed_ptr(&loop->holder, cvy_loop_self());
  while (loop->tasks) cvy_token_run_tasks(loop);
  uv_mutex_unlock(&loop->lock);
  cvos_pollable_close(loop->pollable);
  uv_close((uv_handle_t *)&loop->wake, NULL);
  uv_close((uv_handle_t *)&loop->lead_timer, NULL);
  while (uv_loop_close(loop->uv) == UV_EBUSY) uv_run(loop->uv, UV_RUN_ONCE);
  loop_free(loop);
}

void cvy_loop_ref(covey_loop *loop)
{
  cvy_add_u32(&loop->refs, 1);
}

void cvy_loop_release(covey_loop *loop)
{
  if (!loop || cvy_add_u32(&loop->refs, UINT32_MAX) != 1) return;
  if (loop->kind != LOOP_LENT && cvy_loop_has_token(loop)) {
    loop->orphan = true; /* in a callback on the helper thread, which ends the loop after its turn */
    uv_stop(loop->uv);   /* which ends now, also where the callback is a timer's, before the poll */
    return;
  }
  cvy_loop_destroy(loop);
}

void cvy_loop_private_close(covey_loop *loop)
{
  if (!loop) return;
  uv_mutex_lock(&loop->lock);
  while (cvy_load_acquire_u32(&loop->refs) > 1) {
    cvy_token_take(loop, NULL);
    while (loop->tasks) cvy_token_run_tasks(loop);
    if (cvy_load_acquire_u32(&loop->refs) > 1) cvy_token_turn(loop, UV_RUN_ONCE);
    cvy_token_give(loop);
  }
  uv_mutex_unlock(&loop->lock);
  cvy_loop_release(loop);
}

/* Objects that were told to close do so in a later turn; where no helper would turn the loop, the closing thread does. What takes longer (a
 * child that is dying) has a helper from now on: the program has no handle any more to keep its promise with. */
static void loop_settle(covey_loop *loop)
{
  uv_mutex_lock(&loop->lock);
  if (loop->no_thread && !cvy_token_demand(loop)) {
    uint64_t before;
    do {
      before = loop->activity + cvos_watch_activity();
      while (loop->tasks) cvy_token_run_tasks(loop);
      cvy_token_turn(loop, UV_RUN_NOWAIT);
    } while (before != loop->activity + cvos_watch_activity() && cvy_load_acquire_u32(&loop->refs) > 1);
    cvy_token_give(loop);
    loop->no_thread = false;
    if (cvy_load_acquire_u32(&loop->refs) > 1) cvy_helper_poke(loop);
  }
  uv_mutex_unlock(&loop->lock);
}

void covey_loop_close(covey_loop *loop)
{
  if (!loop || loop->kind == LOOP_PRIVATE || cvy_loop_check(loop)) return;
  cvos_global_lock();
  bool done = loop == default_loop || loop->closed;
  loop->closed = true;
  cvos_global_unlock();
  if (done) return;
  uv_mutex_lock(&loop->lock);
  cvy_notes_close(loop);
  uv_mutex_unlock(&loop->lock);
  /* Who closes the last object in another thread cannot make the owner turn its loop once more. */
  if (loop->kind == LOOP_LENT) uv_ref((uv_handle_t *)&loop->wake);
  if (loop->kind == LOOP_OWN && !cvy_loop_has_token(loop)) loop_settle(loop);
  cvy_loop_release(loop);
}

/* ---- finding ---- */

int cvy_loop_check(const covey_loop *loop)
{
  if (loop->generation == cvos_fork_generation()) return 0;
  return cvy_fail(COVEY_ESTALE, COVEY_STAGE_NONE, "the loop was inherited by fork");
}

/* Makes the default loop where it is missing; outside the global lock, which stays the last one that anybody takes. */
static int find_default(covey_loop **ret)
{
  cvos_global_lock();
  covey_loop *found = default_loop, *made;
  cvos_global_unlock();
  if (!found) {
    int r = loop_make(LOOP_OWN, &made);
    if (r) return r;
    cvos_global_lock();
    if (!default_loop) default_loop = made;
    found = default_loop;
    cvos_global_unlock();
    if (found != made) cvy_loop_release(made);
  }
  *ret = found;
  return 0;
}

int cvy_loop_acquire(covey_loop *loop, covey_loop **ret)
{
  int r = loop ? 0 : find_default(&loop);
  if (!r) r = cvy_loop_check(loop);
  if (r) return r;
  cvy_loop_ref(loop);
  *ret = loop;
  return 0;
}
