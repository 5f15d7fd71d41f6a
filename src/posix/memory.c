#include "os/memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__linux__) && !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23
#endif

void cvos_memory_ready(void *memory, size_t size)
{
#if defined(MADV_POPULATE_WRITE)
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = ((uintptr_t)memory + page - 1) & ~(page - 1),
            end = ((uintptr_t)memory + size) & ~(page - 1);
  int saved = errno;
  if (begin < end) (void)madvise((void *)begin, (size_t)(end - begin), MADV_POPULATE_WRITE);
  errno = saved;
#else
  (void)memory;
  (void)size;
#endif
}
