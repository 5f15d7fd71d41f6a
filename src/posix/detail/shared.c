#include "posix/detail/posix.h"

#include "posix/detail/shared.h"

#include "core/mem.h"

#include <pthread.h>

static pthread_mutex_t shared_lock =
    PTHREAD_MUTEX_INITIALIZER; /* whole in a child of fork, which may have loops of its own */
static cvos_shared *shared_list;
static CVOS_THREAD_LOCAL uint64_t activity;

void cvos_watch_count(void)
{
  activity++;
}
uint64_t cvos_watch_counted(void)
{
  return activity;
}

static void shared_hold(void)
{
  pthread_mutex_lock(&shared_lock);
}
static void shared_let_go(void)
{
  pthread_mutex_unlock(&shared_lock);
}
CVOS_AT_START shared_watch_forks(void)
{
  pthread_atfork(shared_hold, shared_let_go, shared_let_go);
}

cvos_shared *cvos_shared_get(uv_loop_t *uv)
{
  pthread_mutex_lock(&shared_lock);
  cvos_shared *s = shared_list;
  while (s && s->uv != uv) s = s->next;
  if (s) {
    s->refs++;
  } else {
    s = cvy_alloc_zero(1, sizeof *s);
    char *buffer = s ? cvy_alloc(CVOS_READ_SIZE) : NULL;
    if (buffer) {
      *s = (cvos_shared){.next = shared_list, .uv = uv, .refs = 1, .buffer = buffer, .exit_queue = -1};
      shared_list = s;
    } else {
      cvy_free(s);
      s = NULL;
    }
  }
  pthread_mutex_unlock(&shared_lock);
  return s;
}

void cvos_shared_put(cvos_shared *shared)
{
  pthread_mutex_lock(&shared_lock);
  bool last = --shared->refs == 0;
  if (last) {
    cvos_shared **at = &shared_list;
    while (*at != shared) at = &(*at)->next;
    *at = shared->next;
  }
  pthread_mutex_unlock(&shared_lock);
  if (!last) return;
  cvy_free(shared->buffer);
  cvy_free(shared);
}
