/* os/terminal.h: the terminal that this process shares with others: who of them is in front. POSIX; a console of Windows knows no such thing.
 *
 * The group in front reads from the terminal and gets its signals; who reads from behind is stopped (SIGTTIN). None of these calls stops us or changes
 * what this process does with signals. One thread at a time may use one cvos_front. */
#ifndef COVEY_OS_TERMINAL_H
#define COVEY_OS_TERMINAL_H

#include "os/types.h"

/* Our terminal and its settings, as they were when it was opened. */
typedef struct cvos_front cvos_front;

/* Opens our controlling terminal, if our group is in front. ret: owned, cvos_front_close. Errors: COVEY_ENOTFOUND (there is none, or we are behind; Windows:
 * always), COVEY_ELIMIT, COVEY_ENOMEM, COVEY_EOS. */
int cvos_front_open(cvos_front **ret);

/* The terminal, for cvos_spawn; a view. */
cvos_handle cvos_front_handle(const cvos_front *front);

/* Puts group in front, if ours is there. True: it is there now. */
bool cvos_front_give(cvos_front *front, int64_t group);

/* Puts our group in front again, if group is there, or one that has nobody left; a stranger who was put there is left alone. settings: with the
 * terminal's settings of the opening. True: ours is in front now. */
bool cvos_front_take(cvos_front *front, int64_t group, bool settings);

/* NULL does nothing. */
void cvos_front_close(cvos_front *front);

#endif
