#include <covey/self.h>

#include "loop/host.h"
#include "loop/loop.h"
#include "msg/child.h"
#include "msg/self.h"
#include "os/handle.h"
#include "os/process.h"
#include "os/stream.h"
#include "os/thread.h"

/* What this process was born with. Found once, under the global lock. */
static struct birth {
  bool known, child, taken;
  uint32_t generation; /* cvos_fork_generation */
  cvos_handle channel;
  int64_t start;  /* ms since 1970; 0 unknown */
  int64_t age;    /* ms at look_back, */
  int64_t looked; /* when the monotonic clock said this */
} birth;

/* Looks at what was inherited: global lock held. */
static void look_back(void)
{
  char token[CVOS_TOKEN_MAX];
  covey_identity us, other;
  cvos_process pin = {.handle = CVOS_NONE};
  int64_t parent = cvos_self_parent();
  birth.known = true;
  birth.generation = cvos_fork_generation();
  birth.channel = CVOS_NONE;
  if (cvos_identity(0, &us, NULL) == 0) birth.start = cvos_start_time(us.start);
  if (birth.start < 0) birth.start = 0;
  birth.age = cvy_wall() - birth.start;
  if (birth.age < 0 || !birth.start) birth.age = 0;
  birth.looked = cvy_now();
  if (!cvy_host_take_variable(CVY_CHANNEL, token, sizeof token)) return;
  if (cvos_stream_inherit(token, &birth.channel) < 0) {
    birth.channel = CVOS_NONE;
    return;
  }
  if (cvos_stream_peer(birth.channel, &other, &pin) == 0) {
    birth.child = other.pid == parent && parent != 0;
    cvos_process_close(&pin);
  }
  if (birth.child) return;
  cvos_handle_close(birth.channel); /* our parent's own, or a stranger's */
  birth.channel = CVOS_NONE;
}

static void know(void)
{
  if (!birth.known) look_back();
}

bool cvy_self_channel(cvos_handle *ret)
{
  cvos_global_lock();
  know();
  bool ours = birth.child && !birth.taken && birth.generation == cvos_fork_generation();
  if (ours) *ret = birth.channel;
  if (ours) birth.taken = true;
  cvos_global_unlock();
  return ours;
}

int64_t covey_self_pid(void)
{
  return cvos_self_pid();
}

int64_t covey_self_parent(void)
{
  return cvos_self_parent();
}

int covey_self_is_child(void)
{
  cvos_global_lock();
  know();
  int r = birth.child && birth.generation == cvos_fork_generation();
  cvos_global_unlock();
  return r;
}

int64_t covey_self_start_time(void)
{
  cvos_global_lock();
  know();
  int64_t r = birth.start;
  cvos_global_unlock();
  return r;
}

int64_t covey_self_uptime(void)
{
  cvos_global_lock();
  know();
  int64_t r = birth.age + (cvy_now() - birth.looked);
  cvos_global_unlock();
  return r;
}
