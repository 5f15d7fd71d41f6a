/* The look before sleeping. A sleep in the kernel and the wake-up out of it cost several microseconds; a message that comes within that time is
 * cheaper found by looking. But a thread that looks holds its CPU, and where the peer needs that very CPU (few CPUs, much to do) a look is the
 * slowest way. So it is tried, and learned from: a look that finds something soon is repeated at the next sleep; one in vain puts off the next
 * try, twice as long each time. What counts are sleeps that were short: those which a look could have saved. */
#include "loop/state.h"

#define LOOK_MAX_US 50
#define LOOK_OFF_MAX                                                                                         \
  1024 /* short sleeps between two tries when all are in vain: then they cost 50 us in 1024 times 5 */

void cvy_hot_init(covey_loop *loop)
{
  loop->look_off = loop->look_pause = 1;
  loop->look_max_us = cvos_io_can_look() && uv_available_parallelism() > 1 ? LOOK_MAX_US : 0;
}

void cvy_loop_hot(covey_loop *loop, struct cvos_io *io)
{
  uint32_t i = 0;
  if (!loop->look_max_us) return;
  while (i < loop->hot_count && loop->hot[i] != io) i++;
  if (i == loop->hot_count && i < HOT_MAX) loop->hot_count++;
  if (i == HOT_MAX) i--;
  /* The hottest comes first. */
  for (; i > 0; i--) loop->hot[i] = loop->hot[i - 1];
  loop->hot[0] = io;
  if (loop->asleep_ns && uv_hrtime() - loop->asleep_ns < LOOK_MAX_US * 1000 && loop->look_off)
    loop->look_off--;
  loop->asleep_ns = 0;
}

void cvy_loop_cold(covey_loop *loop, struct cvos_io *io)
{
  for (uint32_t i = 0; i < loop->hot_count; i++) {
    if (loop->hot[i] != io) continue;
    for (loop->hot_count--; i < loop->hot_count; i++) loop->hot[i] = loop->hot[i + 1];
    return;
  }
}

bool cvy_hot_look(covey_loop *loop)
{
  if (loop->look_off || loop->looks >= LOOKS_MAX) return false;
  cvy_store_relaxed_u32(&loop->wake_sent, 0);
  loop->polling = loop->looking = true;
  loop->asleep_ns = 0;
  uv_mutex_unlock(&loop->lock);
  uint64_t end = uv_hrtime() + loop->look_max_us * (uint64_t)1000;
  bool found = false;
  do {
    for (uint32_t i = 0; i < loop->hot_count && !found; i++) found = cvos_io_look(loop->hot[i]) != 0;
  } while (!found && !cvy_load_relaxed_u32(&loop->wake_sent) && uv_hrtime() < end);
  uv_mutex_lock(&loop->lock);
  loop->polling = loop->looking = false;
  loop->looks = found ? loop->looks + 1 : 0;
  if (found) {
    loop->look_pause = 1;
  } else {
    loop->look_off = loop->look_pause;
    if (loop->look_pause < LOOK_OFF_MAX) loop->look_pause *= 2;
  }
  return found;
}
