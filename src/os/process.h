/* os/process.h: processes: create, note the end, reap, signal, end a tree, identity. */
#ifndef COVEY_OS_PROCESS_H
#define COVEY_OS_PROCESS_H

#include "os/types.h"

/* A process that we hold. */
typedef struct cvos_process {
  int64_t pid;
  uint64_t start;     /* start stamp: (pid, start) never repeats; 0 unknown */
  cvos_handle handle; /* Linux: pidfd; Windows: process handle; CVOS_NONE elsewhere (macOS watches the pid) */
} cvos_process;

#endif
