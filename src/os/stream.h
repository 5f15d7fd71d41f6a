/* os/stream.h: connected byte streams between local processes, and who is at the other end. */
#ifndef COVEY_OS_STREAM_H
#define COVEY_OS_STREAM_H

#include "os/types.h"

/* A listening endpoint: a Unix socket, or a named pipe (which is a name and its pending instances). */
typedef struct cvos_listener cvos_listener;

#endif
