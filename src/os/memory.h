/* os/memory.h: what the system can do about memory beyond giving it. */
#ifndef COVEY_OS_MEMORY_H
#define COVEY_OS_MEMORY_H

#include "os/types.h"

/* Makes ready what is about to be written: the pages of memory (size bytes of our own, as allocated) come in one call instead of a fault for
 * each. What stands there stays. A hint: Linux 5.14; elsewhere, and where it fails, nothing, and the faults come one by one. Any thread. */
void cvos_memory_ready(void *memory, size_t size);

#endif
