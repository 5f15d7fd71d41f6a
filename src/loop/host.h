/* loop/host.h: what libuv knows of the process that we are in. */
#ifndef COVEY_LOOP_HOST_H
#define COVEY_LOOP_HOST_H

#include "loop/loop.h"

/* Takes a variable out of the environment. True: it was there and ret_value, which has room for capacity bytes with its NUL,
 * holds it. A value that is longer is removed too. Nobody may use the environment meanwhile (POSIX). */
bool cvy_host_take_variable(const char *name, char *ret_value, size_t capacity);

#endif
