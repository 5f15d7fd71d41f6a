#include "os/ask.h"

int cvos_ask_console(int64_t pid)
{
  (void)pid;
  return COVEY_ENOTSUP;
}
