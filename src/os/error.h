/* os/error.h: the system's error numbers, translated. */
#ifndef COVEY_OS_ERROR_H
#define COVEY_OS_ERROR_H

#include "os/types.h"

/* cvos_last_error returns errno or GetLastError() of this thread. */
int cvos_last_error(void);

/* cvos_translate maps a number of the system (errno, GetLastError) to a COVEY_E code: the nearest code a caller can act on, else
 * COVEY_EOS. 0 maps to COVEY_EOS too: a failure without a number is a failure. */
int cvos_translate(int system);

#endif
