#include "core/mem.h"

#include <covey/base.h>
#include <stdlib.h>
#include <string.h>

#if defined(COVEY_FAULTS)
static CVOS_THREAD_LOCAL int64_t fail_after;
void cvy_mem_fail_after(int64_t n)
{
  fail_after = n;
}
static bool refused(void)
{
  return fail_after > 0 && --fail_after == 0;
}
#else
void cvy_mem_fail_after(int64_t n)
{
  (void)n;
}
static bool refused(void)
{
  return false;
}
#endif

void *cvy_alloc(size_t size)
{
  return refused() ? NULL : malloc(size ? size : 1);
}

void *cvy_alloc_zero(size_t count, size_t size)
{
  if (refused()) return NULL;
  return count && size ? calloc(count, size) : calloc(1, 1);
}

void *cvy_realloc(void *p, size_t size)
{
  return refused() ? NULL : realloc(p, size ? size : 1);
}

void *cvy_realloc_array(void *p, size_t count, size_t size)
{
  if (size && count > SIZE_MAX / size) return NULL;
  return cvy_realloc(p, count * size);
}

char *cvy_strdup(const char *text)
{
  return text ? cvy_memdup_text(text, strlen(text)) : NULL;
}

char *cvy_memdup_text(const void *data, size_t size)
{
  if (size == SIZE_MAX) return NULL;
  char *copy = cvy_alloc(size + 1);
  if (!copy) return NULL;
  if (size) memcpy(copy, data, size);
  copy[size] = '\0';
  return copy;
}

bool cvy_is_zero(const uint64_t *words, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (words[i]) return false;
  return true;
}

void cvy_free(void *p)
{
  free(p);
}

void covey_free(void *p)
{
  free(p);
}
