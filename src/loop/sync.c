#include "loop/sync.h"
#include "core/mem.h"

#include <uv.h>

struct cvy_mutex {
  uv_mutex_t m;
};

int cvy_mutex_new(cvy_mutex **ret)
{
  cvy_mutex *m = cvy_alloc(sizeof *m);
  if (!m) return COVEY_ENOMEM;
  int e = uv_mutex_init(&m->m);
  if (e) {
    cvy_free(m);
    return e == UV_ENOMEM ? COVEY_ENOMEM : COVEY_ELIMIT;
  }
  *ret = m;
  return 0;
}

void cvy_mutex_free(cvy_mutex *m)
{
  if (!m) return;
  uv_mutex_destroy(&m->m);
  cvy_free(m);
}

void cvy_mutex_lock(cvy_mutex *m)
{
  uv_mutex_lock(&m->m);
}
void cvy_mutex_unlock(cvy_mutex *m)
{
  uv_mutex_unlock(&m->m);
}
