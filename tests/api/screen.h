/* tests/api/screen.h: a child on a terminal, and what it shows there. */
#ifndef COVEY_TESTS_SCREEN_H
#define COVEY_TESTS_SCREEN_H

#include "support/test.h"

#include <covey/process.h>

/* What a terminal shows as plain text: sequences of escape and carriage returns are left out. */
typedef struct screen {
  char text[65536];
  size_t size;
  int escape; /* 0 outside, 1 behind ESC, 2 in a CSI, 3 in an OSC */
} screen;

/* Skips the test where there are no terminals. */
void screen_needed(void);

/* Starts a program on a terminal. */
covey_process *screen_spawn(const char *const *argv, covey_pty pty);

/* Shows bytes of its output. */
void screen_show(screen *s, const char *data, size_t size);

/* Reads until text is on the screen, or the end. False, and a failure: it is not there. */
bool screen_waits_for(covey_process *p, screen *s, const char *text);

void screen_reads_to_end(covey_process *p, screen *s);

/* It ends by itself with 0, and is closed. */
void screen_ends_cleanly(covey_process *p);

#endif
