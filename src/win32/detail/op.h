/* win32/detail/op.h: one overlapped call whose end is a callback of libuv, on the token's thread. For watch.c and its private halves.
 *
 * libuv finds the request around a packet's OVERLAPPED and acts by the request's type. A uv_async_t carries such a request in its public
 * struct (async_req, of type UV_WAKEUP), so an overlapped call that uses this request's OVERLAPPED on a handle of the loop's port ends in the
 * async's callback. The mark async_sent is libuv's own: while it is set, uv_close waits for the packet. cvos_watch_prepare checks these
 * assumptions on each loop; libuv 1.44 to 1.52 keep them.
 *
 * One call in flight at a time. Starting a call is allowed to any thread (under the lock that guards the op); making and closing an op is
 * the token's work. Never uv_async_send an op in flight: the packet would be queued twice. */
#ifndef COVEY_WIN32_OP_H
#define COVEY_WIN32_OP_H

#include "os/watch.h"
#include "win32/detail/windows.h"

#include <uv.h>

typedef struct cvos_op {
  uv_async_t async; /* data: the owner's */
} cvos_op;

/* Puts file on uv's port; calls that end at once leave no packet. A handle that is on this port already (an accepted connection) is fine; one
 * on another loop's port cannot be told from it: connections stay on the loop that accepted them. 0 or GetLastError(). */
DWORD cvos_port_add(uv_loop_t *uv, HANDLE file);

/* For the next overlapped call; then: if it ended at once, well or badly, cvos_op_none; when it is pending the callback will come. */
OVERLAPPED *cvos_op_begin(cvos_op *op);
void cvos_op_none(cvos_op *op);

/* In the callback: how the call ended; 0 and the bytes, or the error. ERROR_IO_INCOMPLETE: it is over, how is not known. Wine (8.0) loses the
 * result when the thread that started the call ends in that moment (its server/thread.c, thread_apc_destroy); the bytes of a read are gone then. */
DWORD cvos_op_result(cvos_op *op, HANDLE file, DWORD *ret_size);

/* Counts a callback of a watch on this thread (cvos_watch_activity). */
void cvos_watch_count(void);

#endif
