/* os/caps.h: what this system, kernel and process can guarantee. */
#ifndef COVEY_OS_CAPS_H
#define COVEY_OS_CAPS_H

#include "os/types.h"

/* The COVEY_CAP_ bits that the system decides. The first call probes, at the cost of about one process start on Linux; later calls are an
 * atomic load. Any thread. */
uint32_t cvos_caps(void);

#endif
