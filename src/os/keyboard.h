/* os/keyboard.h: our own standard input, given on to a child that has a terminal of its own: where it is a terminal itself, each key goes there
 * as it is typed, ctrl-C and ctrl-Z too. Compiled into the tool alone; needs nothing of the rest. One for a program, one thread. */
#ifndef COVEY_OS_KEYBOARD_H
#define COVEY_OS_KEYBOARD_H

#include "os/types.h"

/* Notes standard input and, where it is a terminal, its settings. True: it is one. */
bool cvos_keyboard_open(void);

/* The size of our terminal. False: neither standard input nor standard output is one. */
bool cvos_keyboard_size(int *ret_rows, int *ret_columns);

/* From now on keys come as they are typed, without echo, and output is shown as it is written; called again after we were suspended. Without effect where there is
 * no terminal, or others are in front of it. A signal by which the system would end us puts the settings back first (POSIX; those that ask a program to
 * end are the caller's to hold off until the close). */
void cvos_keyboard_raw(void);

/* Waits until other is readable (signalled), or keys are there, if keys says that they are wanted; it may also return without need, and does when the size has
 * changed (POSIX: on any signal). ret: what was typed, as UTF-8, up to capacity bytes, 16 at least. Returns how many; 0: none; -1: the input has
 * ended. */
int cvos_keyboard_read(cvos_handle other, bool keys, char *ret, size_t capacity);

/* Puts the settings back. */
void cvos_keyboard_close(void);

#endif
