#include <covey/base.h>

#include "os/caps.h"

int covey_version(void)
{
  return COVEY_VERSION_MAJOR * 10000 + COVEY_VERSION_MINOR * 100 + COVEY_VERSION_PATCH;
}

uint32_t covey_caps(void)
{
  return cvos_caps();
}
