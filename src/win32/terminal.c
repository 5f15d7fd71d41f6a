#include "win32/detail/windows.h"

#include "os/terminal.h"

int cvos_front_open(cvos_front **ret)
{
  (void)ret;
  SetLastError(ERROR_NOT_SUPPORTED);
  return COVEY_ENOTFOUND;
}

cvos_handle cvos_front_handle(const cvos_front *front)
{
  (void)front;
  return CVOS_NONE;
}

bool cvos_front_give(cvos_front *front, int64_t group)
{
  (void)front;
  (void)group;
  return false;
}

bool cvos_front_take(cvos_front *front, int64_t group, bool settings)
{
  (void)settings;
  return cvos_front_give(front, group);
}

void cvos_front_close(cvos_front *front)
{
  (void)front;
}
