#include "os/caps.h"

uint32_t cvos_caps(void)
{
  return COVEY_CAP_PIDFD | COVEY_CAP_TREE_KERNEL | COVEY_CAP_TIED_LIFE | COVEY_CAP_SPAWN_FLAT;
}
