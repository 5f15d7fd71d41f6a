#include "os/memory.h"

void cvos_memory_ready(void *memory, size_t size)
{
  (void)memory;
  (void)size;
}
