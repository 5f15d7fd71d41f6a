#include "loop/host.h"

#include <uv.h>

bool cvy_host_take_variable(const char *name, char *ret_value, size_t capacity)
{
  size_t size = capacity;
  int r = uv_os_getenv(name, ret_value, &size);
  if (r == UV_ENOENT) return false;
  uv_os_unsetenv(name);
  return r == 0;
}
