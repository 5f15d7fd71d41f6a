#include "os/fault.h"
#include "core/fault.h"
#include "win32/detail/windows.h"

bool cvos_fault(int point)
{
  int system = 0;
  if (!cvy_fault_due(point, &system)) return false;
  SetLastError((DWORD)system);
  return true;
}

bool cvos_lacks(const char *what)
{
  return cvy_fault_lacks(what);
}
