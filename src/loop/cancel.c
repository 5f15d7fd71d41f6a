/* Fire runs in signal handlers: atomics and uv_async_send (a compare-and-swap and a write) are all it may use. The waiting loops are in
 * slots that are claimed and left without a lock; whoever leaves waits for a fire that is reading the slots right now, so that
 * no loop is freed under it. */
#include "core/error.h"
#include "core/mem.h"
#include "loop/state.h"

#include <errno.h>

#define SLOTS 8

struct slots {
  void *wake[SLOTS]; /* uv_async_t * */
  void *next;        /* struct slots *, only ever appended */
};

struct covey_cancel {
  uint32_t fired;
  uint32_t firing; /* fires that read the slots now */
  struct slots first;
};

int covey_cancel_new(covey_cancel **ret_cancel)
{
  if (!ret_cancel) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "ret_cancel is NULL");
  covey_cancel *c = cvy_alloc_zero(1, sizeof *c);
  if (!c) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "cancel object");
  *ret_cancel = c;
  return 0;
}

void covey_cancel_fire(covey_cancel *c)
{
  if (!c) return;
  int kept = errno;
  cvy_add_u32(&c->firing, 1);
  cvy_store_seq_u32(&c->fired, 1);
  for (struct slots *s = &c->first; s; s = cvy_load_seq_ptr(&s->next)) {
    for (int i = 0; i < SLOTS; i++) {
      uv_async_t *wake = cvy_load_seq_ptr(&s->wake[i]);
      if (wake) cvy_async_send(wake);
    }
  }
  cvy_add_u32(&c->firing, UINT32_MAX);
  errno = kept;
}

void covey_cancel_reset(covey_cancel *c)
{
  if (c) cvy_store_seq_u32(&c->fired, 0);
}

void covey_cancel_free(covey_cancel *c)
{
  if (!c) return;
  for (struct slots *s = c->first.next, *next; s; s = next) {
    next = s->next;
    cvy_free(s);
  }
  cvy_free(c);
}

bool cvy_cancel_fired(const covey_cancel *cancel)
{
  return cancel && cvy_load_seq_u32(&cancel->fired) != 0;
}

int cvy_cancel_join(covey_cancel *c, uv_async_t *wake, void ***ret_slot)
{
  for (struct slots *s = &c->first;;) {
    for (int i = 0; i < SLOTS; i++) {
      void *empty = NULL;
      if (!cvy_cas_ptr(&s->wake[i], &empty, wake)) continue;
      *ret_slot = &s->wake[i];
      return 0;
    }
    struct slots *next = cvy_load_seq_ptr(&s->next);
    if (!next) {
      next = cvy_alloc_zero(1, sizeof *next);
      if (!next) return COVEY_ENOMEM;
      void *none = NULL;
      if (!cvy_cas_ptr(&s->next, &none, next)) {
        cvy_free(next);
        next = none;
      }
    }
    s = next;
  }
}

void cvy_cancel_leave(covey_cancel *c, void **slot)
{
  cvy_store_seq_ptr(slot, NULL);
  while (cvy_load_seq_u32(&c->firing)) cvos_thread_yield(); /* on one CPU the other one needs ours */
}
