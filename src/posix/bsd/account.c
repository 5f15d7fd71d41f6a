/* No control groups here. */
#include "posix/detail/account.h"

void cvos_account_times(int folder, int64_t *ret_user, int64_t *ret_system)
{
  (void)folder;
  *ret_user = *ret_system = -1;
}

void cvos_account_memory(int folder, int64_t *ret_now, int64_t *ret_peak)
{
  (void)folder;
  *ret_now = *ret_peak = -1;
}

int cvos_account_freeze(int folder, bool frozen)
{
  (void)folder;
  (void)frozen;
  return ENOTSUP;
}
