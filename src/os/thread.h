/* os/thread.h: a thread of our own, and forks of this process. Everything else about threads is libuv's (loop/sync.h). */
#ifndef COVEY_OS_THREAD_H
#define COVEY_OS_THREAD_H

#include "os/types.h"

typedef struct cvos_thread cvos_thread;

/* Starts a thread that runs run(arg): named (up to 15 characters) where that is cheap, all signals blocked from its first instruction on (POSIX), so
 * that the program's handlers run on the program's threads. It never keeps the process from exiting. Errors: COVEY_ENOMEM, COVEY_ELIMIT. */
int cvos_thread_start(const char *name, void (*run)(void *arg), void *arg, cvos_thread **ret);

/* Waits for the end of the thread and frees it. Never on the thread itself. */
void cvos_thread_join(cvos_thread *thread);

/* Lets the thread go: nobody joins it, its memory goes when it ends. May be called on the thread itself. */
void cvos_thread_detach(cvos_thread *thread);

/* Lets another thread run on this CPU, if one waits for it. */
void cvos_thread_yield(void);

/* CPUs of the system that run now, whether this process may use them or not; 1 where it does not say. */
int cvos_cpu_count(void);

/* Counts the forks between the program's start and here: 0 in the program, one more in each child of fork() without exec. An object remembers
 * the number of its birth; another number means that it was inherited. Cheap. Windows has no fork: always 0. */
uint32_t cvos_fork_generation(void);

/* The one lock of this process for state that no loop owns. Whoever holds it takes no other; in a child of fork() it is free. */
void cvos_global_lock(void);
void cvos_global_unlock(void);

#endif
