#include "core/fault.h"

#if defined(COVEY_FAULTS)
#include <stdlib.h>
#include <string.h>

static CVOS_THREAD_LOCAL int fail_point, fail_with;
static CVOS_THREAD_LOCAL int64_t fail_at, seen;

bool cvy_fault_due(int point, int *ret_system)
{
  if (fail_point != CVOS_FAULT_NONE && fail_point != point) return false;
  seen++;
  if (!fail_at || seen != fail_at) return false;
  *ret_system = fail_with;
  return true;
}

void cvy_fault_after(int point, int64_t n, int system)
{
  fail_point = point;
  fail_at = n;
  fail_with = system;
  seen = 0;
}

int64_t cvy_fault_seen(void)
{
  return seen;
}

bool cvy_fault_lacks(const char *what)
{
  size_t size = strlen(what);
  const char *list = getenv("COVEY_LACKS");
  for (const char *at = list; at && (at = strstr(at, what)); at += size) {
    if ((at == list || at[-1] == ',') && (at[size] == ',' || !at[size])) return true;
  }
  return false;
}

static size_t io_limit;

void cvy_fault_limit(size_t size)
{
  io_limit = size;
}

size_t cvy_fault_limited(size_t size)
{
  return io_limit && io_limit < size ? io_limit : size;
}

static void (*step_hook)(int step);

void cvy_fault_on_step(void (*hook)(int step))
{
  step_hook = hook;
}

void cvy_fault_step(int step)
{
  if (step_hook) step_hook(step);
}

#else

bool cvy_fault_due(int point, int *ret_system)
{
  (void)point;
  (void)ret_system;
  return false;
}

void cvy_fault_after(int point, int64_t n, int system)
{
  (void)point;
  (void)n;
  (void)system;
}

int64_t cvy_fault_seen(void)
{
  return 0;
}

bool cvy_fault_lacks(const char *what)
{
  (void)what;
  return false;
}

void cvy_fault_limit(size_t size)
{
  (void)size;
}

size_t cvy_fault_limited(size_t size)
{
  return size;
}

#endif

const char *cvy_fault_name(int point)
{
  static const char *const names[] = {"NONE",
#define CVOS_FAULT_NAME(point) #point,
                                      CVOS_FAULT_POINTS(CVOS_FAULT_NAME)
#undef CVOS_FAULT_NAME
  };
  return point > 0 && point < CVOS_FAULT_COUNT ? names[point] : "?";
}
