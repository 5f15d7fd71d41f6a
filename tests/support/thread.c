/* Threads of a test. Under wine they stay until the program ends, and the next one to start gets one of them: when a thread ends while wine's
 * server hands it the result of an overlapped call that it started, the packet comes and the result is lost (wine 8.0: server/thread.c,
 * thread_apc_destroy). On every other system a thread of a test ends as others do. */
#include "state.h"

#include <stdlib.h>

struct test_thread {
  uv_thread_t thread;
  void (*function)(void *); /* NULL: rests */
  void *arg;
  test_thread *next;
};

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock; /* guards function, arg and next of those that stay, and the list */
static uv_cond_t changed;
static test_thread *resting;

static void begin(void)
{
  if (uv_mutex_init(&lock) != 0 || uv_cond_init(&changed) != 0) abort();
}

static void run(void (*function)(void *), void *arg)
{
  jmp_buf here;
  if (setjmp(here) == 0) {
    test_landing = &here;
    function(arg);
  }
  test_landing = NULL;
}

static void run_once(void *p)
{
  test_thread *t = p;
  run(t->function, t->arg);
}

static void run_on(void *p)
{
  test_thread *t = p;
  uv_mutex_lock(&lock);
  for (;;) {
    while (!t->function) uv_cond_wait(&changed, &lock);
    uv_mutex_unlock(&lock);
    run(t->function, t->arg);
    uv_mutex_lock(&lock);
    t->function = NULL;
    uv_cond_broadcast(&changed);
  }
}

/* One that rests has something to do again. */
static test_thread *wake(void (*function)(void *), void *arg)
{
  uv_mutex_lock(&lock);
  test_thread *t = resting;
  if (t) {
    resting = t->next;
    t->function = function;
    t->arg = arg;
    uv_cond_broadcast(&changed);
  }
  uv_mutex_unlock(&lock);
  return t;
}

test_thread *test_thread_start(void (*function)(void *), void *arg)
{
  uv_once(&once, begin);
  test_thread *t = wake(function, arg);
  if (t) return t;
  t = malloc(sizeof *t);
  if (!t) abort();
  *t = (test_thread){.function = function, .arg = arg};
  if (uv_thread_create(&t->thread, test_is_wine() ? run_on : run_once, t) == 0) return t;
  free(t);
  test_fail(__FILE__, __LINE__, true, "cannot start a thread");
  return NULL;
}

void test_thread_join(test_thread *thread)
{
  if (!thread) return;
  if (!test_is_wine()) {
    uv_thread_join(&thread->thread);
    free(thread);
    return;
  }
  uv_mutex_lock(&lock);
  while (thread->function) uv_cond_wait(&changed, &lock);
  thread->next = resting;
  resting = thread;
  uv_mutex_unlock(&lock);
}
