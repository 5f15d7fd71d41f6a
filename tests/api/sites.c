#include "sites.h"

#include "msg/node.h"

/* ---- calls on nodes ---- */

bool site_enter(site *at)
{
  uv_mutex_lock(&at->lock);
  bool in = !at->closed && at->node;
  at->inside += in;
  uv_mutex_unlock(&at->lock);
  return in;
}

void site_leave(site *at)
{
  uv_mutex_lock(&at->lock);
  at->inside--;
  uv_mutex_unlock(&at->lock);
}

uint32_t site_life(site *at)
{
  uv_mutex_lock(&at->lock);
  uint32_t life = at->life;
  uv_mutex_unlock(&at->lock);
  return life;
}

void site_in_time(int64_t began, int64_t timeout, const char *what)
{
  int64_t took = test_now() - began;
  if (took > timeout + SLACK) TEST_FAIL("%s took %" PRId64 " ms of %" PRId64, what, took, timeout);
}

static bool is_expected(int code)
{
  static const int codes[] = {COVEY_ETIMEDOUT, COVEY_EAGAIN,  COVEY_ECANCELED, COVEY_ENOPEER, COVEY_ENOGROUP,
                              COVEY_EPEERDIED, COVEY_ECLOSED, COVEY_ENOTFOUND, COVEY_EFAILED, COVEY_EQUOTA};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i] == code) return true;
  return false;
}

void site_expected(int code, const char *what)
{
  if (code < 0 && !is_expected(code))
    TEST_FAIL("%s: %s: %s", what, covey_errname(code), covey_last_failure()->what);
}

/* ---- lives ---- */

void site_open(site *at, const covey_node_options *options)
{
  covey_node_options o = options ? *options : (covey_node_options){.flags = 0};
  o.name = at->name;
  o.loop = at->loop;
  REQUIRE_OK(covey_node_open(&o, &at->node));
  uv_mutex_lock(&at->lock);
  at->life++;
  uv_mutex_unlock(&at->lock);
}

void site_let_in(site *at)
{
  uv_mutex_lock(&at->lock);
  at->closed = false;
  uv_mutex_unlock(&at->lock);
}

void site_await_inside(site *at)
{
  for (bool all = false; !all;) {
    uv_mutex_lock(&at->lock);
    cvy_loop_lock(at->node->loop);
    all = (int)at->node->users >= at->inside;
    cvy_loop_unlock(at->node->loop);
    uv_mutex_unlock(&at->lock);
    test_pause(2);
  }
}

void site_forget(site *at)
{
  for (int inside = 1; inside;) {
    uv_mutex_lock(&at->lock);
    inside = at->inside;
    at->node = NULL;
    uv_mutex_unlock(&at->lock);
    if (inside) test_pause(1);
  }
}

bool site_close(site *at, int64_t timeout, int *ret)
{
  uv_mutex_lock(&at->lock);
  bool mine = !at->closed && at->node;
  at->closed = true;
  at->life += mine;
  uv_mutex_unlock(&at->lock);
  if (!mine) return false;
  site_await_inside(at);
  int64_t began = test_now();
  *ret = covey_node_close(at->node, timeout);
  site_in_time(began, timeout, "close");
  site_expected(*ret, "close");
  site_forget(at);
  return true;
}

/* ---- loops ---- */

static void dispatch(void *arg)
{
  sites *p = arg;
  covey_native handle;
  REQUIRE_OK(covey_loop_handle(p->at[2].loop, &handle));
  while (!test_add(&p->stop, 0)) {
    test_handle_ready(handle, 20);
    CHECK_OK(covey_loop_dispatch(p->at[2].loop));
  }
}

static void on_tick(uv_timer_t *tick)
{
  sites *p = tick->data;
  if (test_add(&p->stop, 0)) uv_close((uv_handle_t *)tick, NULL);
}

static void own(void *arg)
{
  sites *p = arg;
  uv_timer_t tick;
  REQUIRE(uv_loop_init(&p->uv) == 0);
  REQUIRE_OK(covey_loop_attach(&p->uv, uv_version(), &p->at[3].loop));
  uv_timer_init(&p->uv, &tick);
  tick.data = p;
  uv_timer_start(&tick, on_tick, 10, 10);
  uv_sem_post(&p->attached);
  CHECK_INT(uv_run(&p->uv, UV_RUN_DEFAULT), 0);
  covey_loop_close(p->at[3].loop);
  CHECK_INT(uv_run(&p->uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&p->uv), 0);
}

void sites_begin(sites *p, char letter)
{
  memset(p, 0, sizeof *p);
  uv_sem_init(&p->attached, 0);
  REQUIRE_OK(covey_loop_open(NULL, &p->at[1].loop));
  REQUIRE_OK(covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &p->at[2].loop));
  p->owner = test_thread_start(own, p);
  uv_sem_wait(&p->attached);
  p->dispatcher = test_thread_start(dispatch, p);
  for (int i = 0; i < SITES; i++) {
    site *at = &p->at[i];
    snprintf(at->name, sizeof at->name, "%c%d-%" PRId64, letter, i, test_pid());
    uv_mutex_init(&at->lock);
  }
}

void sites_end(sites *p)
{
  test_add(&p->stop, 1);
  test_thread_join(p->dispatcher);
  test_thread_join(p->owner);
  covey_loop_close(p->at[1].loop);
  covey_loop_close(p->at[2].loop);
  uv_sem_destroy(&p->attached);
  for (int i = 0; i < SITES; i++) uv_mutex_destroy(&p->at[i].lock);
}

void sites_rounds(void (*play)(uint64_t seed), uint64_t first)
{
  const char *one = getenv("COVEY_SEED"), *count = getenv("COVEY_ROUNDS");
  int n = one ? 1 : count ? atoi(count) : test_is_long() ? 40 : 3;
  covey_node *node;
  REQUIRE_OK(covey_node_open(NULL, &node)); /* what the default loop keeps is there */
  CHECK_INT(covey_node_close(node, SLACK), 0);
  if (!test_is_wine()) test_no_handles_lost(); /* wine keeps some of former threads for a while */
  for (int i = 0; i < n && !test_failures(); i++) play(one ? strtoull(one, NULL, 10) : first + (uint64_t)i);
}
