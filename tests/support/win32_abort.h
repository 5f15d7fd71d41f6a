/* tests/support/win32_abort.h: how an abort() ends, for the test programs and their helper. */
#ifndef COVEY_TESTS_WIN32_ABORT_H
#define COVEY_TESTS_WIN32_ABORT_H

#include "win32/detail/windows.h"

#include <crtdbg.h>
#include <signal.h>

static inline void test_on_abort(int number)
{
  (void)number;
  TerminateProcess(GetCurrentProcess(), 3);
}

/* The universal C runtime ends an abort() by a fault of its own (0xC0000409), and one for debugging asks in a window before that: the older code for all, and no
 * window. */
static inline void test_abort_quietly(void)
{
  (void)_CrtSetReportMode(_CRT_ERROR, _CRTDBG_MODE_FILE);
  (void)_CrtSetReportFile(_CRT_ERROR, _CRTDBG_FILE_STDERR);
  (void)_CrtSetReportMode(_CRT_ASSERT, _CRTDBG_MODE_FILE);
  (void)_CrtSetReportFile(_CRT_ASSERT, _CRTDBG_FILE_STDERR);
  signal(SIGABRT, test_on_abort);
}

#endif
