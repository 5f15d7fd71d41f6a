#include "core/error.h"
#include "core/mem.h"
#include "loop/state.h"

uint64_t cvy_now_ns(void)
{
  return uv_hrtime();
}
int64_t cvy_wall(void)
{
  uv_timeval64_t now;
  return uv_gettimeofday(&now) ? 0 : (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

int64_t cvy_now(void)
{
  return (int64_t)(uv_hrtime() / 1000000);
}

/* Rounded up: a wait of n ms never ends before n ms have passed. */
cvy_deadline cvy_deadline_in(int64_t timeout)
{
  if (timeout < 0) return CVY_NEVER;
  int64_t now = (int64_t)((uv_hrtime() + (timeout ? 999999 : 0)) / 1000000);
  return timeout > CVY_NEVER - 1 - now ? CVY_NEVER : now + timeout;
}

bool cvy_deadline_passed(cvy_deadline deadline)
{
  return deadline != CVY_NEVER && cvy_now() >= deadline;
}

int64_t cvy_deadline_left(cvy_deadline deadline)
{
  if (deadline == CVY_NEVER) return COVEY_FOREVER;
  int64_t now = cvy_now();
  return now >= deadline ? 0 : deadline - now;
}

int cvy_timeout_check(int64_t timeout)
{
  if (timeout >= 0 || timeout == COVEY_FOREVER) return 0;
  return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a time of %lld ms", (long long)timeout);
}

int64_t cvy_option_time(int64_t value, int64_t fallback)
{
  return value ? value : fallback;
}

struct cvy_timer {
  uv_timer_t uv;
  covey_loop *loop;
  void (*run)(void *arg);
  void *arg;
  bool known; /* uv has it: from the first time that it was set */
};

int cvy_timer_open(covey_loop *loop, void (*run)(void *arg), void *arg, cvy_timer **ret)
{
  cvy_timer *t = cvy_alloc_zero(1, sizeof *t);
  if (!t) return COVEY_ENOMEM;
  t->loop = loop;
  t->run = run;
  t->arg = arg;
  *ret = t;
  return 0;
}

static void on_timer(uv_timer_t *uv)
{
  cvy_timer *t = uv->data;
  t->loop->activity++;
  t->run(t->arg);
}

void cvy_timer_set(cvy_timer *timer, cvy_deadline deadline)
{
  if (deadline == CVY_NEVER) {
    if (timer->known) uv_timer_stop(&timer->uv);
    return;
  }
  if (!timer->known) {
    uv_timer_init(timer->loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->known = true;
  }
  /* libuv adds the time to the loop's cached clock: taking the same clock off gives exactly our deadline, however old the cache is. */
  int64_t base = (int64_t)uv_now(timer->loop->uv);
  uv_timer_start(&timer->uv, on_timer, deadline > base ? (uint64_t)(deadline - base) : 0, 0);
}

static void on_timer_closed(uv_handle_t *uv)
{
  cvy_free(uv->data);
}

bool cvy_timer_close(cvy_timer *timer)
{
  if (timer && timer->known) {
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
    return true;
  }
  cvy_free(timer);
  return false;
}
