#include "posix/detail/posix.h"

#include "os/thread.h"
#include "core/mem.h"
#include "os/error.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

struct cvos_thread {
  pthread_t id;
  char name[16];
  void (*run)(void *arg);
  void *arg;
  pthread_mutex_t lock;
  bool let_go, over; /* whoever comes second frees */
};

static void set_name(const char *name)
{
#if defined(__APPLE__)
  pthread_setname_np(name);
#elif defined(__linux__)
  pthread_setname_np(pthread_self(), name);
#else
  (void)name;
#endif
}

static void thread_free(cvos_thread *t)
{
  pthread_mutex_destroy(&t->lock);
  cvy_free(t);
}

static void *thread_main(void *arg)
{
  cvos_thread *t = arg;
  set_name(t->name);
  t->run(t->arg);
  pthread_mutex_lock(&t->lock);
  bool last = t->let_go;
  t->over = true;
  pthread_mutex_unlock(&t->lock);
  if (last) thread_free(t);
  return NULL;
}

int cvos_thread_start(const char *name, void (*run)(void *arg), void *arg, cvos_thread **ret)
{
  cvos_thread *t = cvy_alloc_zero(1, sizeof *t);
  if (!t) return COVEY_ENOMEM;
  for (size_t i = 0; i + 1 < sizeof t->name && name[i]; i++) t->name[i] = name[i];
  t->run = run;
  t->arg = arg;
  int e = pthread_mutex_init(&t->lock, NULL);
  if (e) goto fail;
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  e = pthread_create(&t->id, NULL, thread_main, t);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (e) {
    pthread_mutex_destroy(&t->lock);
    goto fail;
  }
  *ret = t;
  return 0;
fail:
  cvy_free(t);
  return cvos_translate(e) == COVEY_ENOMEM ? COVEY_ENOMEM : COVEY_ELIMIT;
}

void cvos_thread_join(cvos_thread *thread)
{
  pthread_join(thread->id, NULL);
  thread_free(thread);
}

void cvos_thread_detach(cvos_thread *thread)
{
  pthread_detach(thread->id);
  pthread_mutex_lock(&thread->lock);
  bool last = thread->over;
  thread->let_go = true;
  pthread_mutex_unlock(&thread->lock);
  if (last) thread_free(thread);
}

void cvos_thread_yield(void)
{
  (void)sched_yield();
}

int cvos_cpu_count(void)
{
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 && n < INT_MAX ? (int)n : 1;
}

static uint32_t generation;
static pthread_mutex_t global = PTHREAD_MUTEX_INITIALIZER;

static void count_fork(void)
{
  __atomic_store_n(&generation, generation + 1, __ATOMIC_RELAXED);
  cvos_global_unlock();
}
CVOS_AT_START watch_forks(void)
{
  (void)pthread_atfork(cvos_global_lock, cvos_global_unlock, count_fork);
}

uint32_t cvos_fork_generation(void)
{
  return __atomic_load_n(&generation, __ATOMIC_RELAXED);
}

void cvos_global_lock(void)
{
  (void)pthread_mutex_lock(&global);
}

void cvos_global_unlock(void)
{
  (void)pthread_mutex_unlock(&global);
}
