/* loop/host.h: what libuv knows of the process that we are in. */
#ifndef COVEY_LOOP_HOST_H
#define COVEY_LOOP_HOST_H

#include "loop/loop.h"

/* Takes a variable out of the environment. True: it was there and ret_value, which has room for capacity bytes with its NUL,
 * holds it. A value that is longer is removed too. Nobody may use the environment meanwhile (POSIX). */
bool cvy_host_take_variable(const char *name, char *ret_value, size_t capacity);

/* From now on and for the rest of the process's life run(arg) is called on the token's thread of loop, without locks, whenever
 * the system or its user asks us to end: SIGINT, SIGTERM, SIGHUP; CTRL_C, CTRL_BREAK and the closing of the console. A signal
 * that the program handles itself,
 * or ignores, is left alone. loop: counted by the caller, for ever. Once in a process. */
int cvy_host_watch_shutdown(covey_loop *loop, void (*run)(void *arg), void *arg);

#endif
