/* The look before sleeping. A sleep in the kernel and the wake-up out of it cost several microseconds; a message that comes within that time is
 * cheaper found by looking. But a thread that looks holds its CPU, and where the peer needs that very CPU (few CPUs, much to do) a look is the
 * slowest way. So it lets others run between two looks, and it is tried, and learned from: a look that finds something soon is repeated at the next
 * sleep; one in vain puts off the next try, twice as long each time. What counts are sleeps that were short: those which a look could have saved.
 * Where others took the CPU in the middle of a look, letting them run has cost what thousands of looks bring: no look for many times as long. */
#include "loop/state.h"

#define LOOK_MAX_US 50
#define SHORT_NS    100000 /* a sleep that a look could have saved: its time, and as much for the wake-up */
#define LOOK_OFF_MAX                                                                                         \
  1024 /* short sleeps between two tries when all are in vain: then they cost 50 us in 1024 times 5 */
#define CROWDED_FOR 64 /* times what such a look has taken: a 64th of the time is lost at most */
#define AWOKEN_FOR  2  /* streams looked at after a sleep; what woke us may be another's */

/* Asked once: Linux reads a file for it, which costs a tenth of a start of a child, and each covey_run makes a loop. */
static bool many_cpus(void)
{
  static uint32_t known; /* atomic */
  uint32_t count = cvy_load_relaxed_u32(&known);
  if (!count) cvy_store_relaxed_u32(&known, count = (uint32_t)cvos_cpu_count());
  return count > 1;
}

void cvy_hot_init(covey_loop *loop)
{
  loop->look_off = loop->look_pause = 1;
  loop->look_max_us = cvos_io_can_look() && many_cpus() ? LOOK_MAX_US : 0;
}

void cvy_loop_hot(covey_loop *loop, struct cvos_io *io)
{
  uint32_t i = 0;
  if (!cvos_io_can_look()) return;
  while (i < loop->hot_count && loop->hot[i].io != io) i++;
  if (i == loop->hot_count && i < HOT_MAX) loop->hot_count++;
  if (i == HOT_MAX) i--;
  /* The hottest comes first, so the last has been silent longest. */
  for (; i > 0; i--) loop->hot[i] = loop->hot[i - 1];
  loop->hot[0].io = io;
  loop->hot[0].at = ++loop->hot_clock;
  if (loop->hot_clock - loop->hot[loop->hot_count - 1].at > HOT_FOR) loop->hot_count--;
  if (loop->asleep_ns && loop->look_off && uv_hrtime() - loop->asleep_ns < SHORT_NS) loop->look_off--;
  loop->asleep_ns = 0;
}

void cvy_loop_expect(covey_loop *loop, struct cvos_io *io)
{
  cvy_loop_hot(loop, io);
  loop->look_off = 0;
}

void cvy_loop_cold(covey_loop *loop, struct cvos_io *io)
{
  for (uint32_t i = 0; i < loop->hot_count; i++) {
    if (loop->hot[i].io != io) continue;
    for (loop->hot_count--; i < loop->hot_count; i++) loop->hot[i] = loop->hot[i + 1];
    return;
  }
}

static void step_out(covey_loop *loop)
{
  cvy_store_relaxed_u32(&loop->wake_sent, 0);
  loop->polling = loop->looking = true;
  uv_mutex_unlock(&loop->lock);
}

static void step_in(covey_loop *loop)
{
  uv_mutex_lock(&loop->lock);
  loop->polling = loop->looking = false;
}

static bool look_at(covey_loop *loop, uint32_t count)
{
  for (uint32_t i = 0; i < count && i < loop->hot_count; i++)
    if (cvos_io_look(loop->hot[i].io)) return true;
  return false;
}

static void look_learn(covey_loop *loop, bool worth)
{
  if (worth) {
    loop->look_pause = 1;
  } else {
    loop->look_off = loop->look_pause;
    if (loop->look_pause < LOOK_OFF_MAX) loop->look_pause *= 2;
  }
}

enum hot cvy_hot_look(covey_loop *loop, uint64_t now)
{
  if (loop->looks >= LOOKS_MAX) {
    loop->looks = 0;
    return HOT_TURN;
  }
  if (loop->look_off || !loop->look_max_us || !loop->hot_count || now < loop->crowded_ns) return HOT_OFF;
  loop->asleep_ns = 0;
  step_out(loop);
  uint64_t most = loop->look_max_us * (uint64_t)1000, taken = 0;
  bool found = look_at(loop, HOT_MAX);
  while (!found && taken < most && !cvy_load_relaxed_u32(&loop->wake_sent)) {
    cvos_thread_yield();
    taken = uv_hrtime() - now;
    found = look_at(loop, HOT_MAX);
  }
  step_in(loop);
  bool crowded = taken >= 2 * most; /* others had the CPU meanwhile */
  if (crowded) loop->crowded_ns = now + taken * CROWDED_FOR;
  look_learn(loop, found && !crowded);
  if (!found) return HOT_NOTHING;
  loop->looks++;
  return HOT_FOUND;
}

enum hot cvy_hot_sleep(covey_loop *loop, uint64_t now, cvy_deadline deadline)
{
  loop->asleep_ns = loop->hot_count ? now : 0;
  step_out(loop);
  int r = cvos_watch_sleep(loop->uv, cvy_deadline_left(deadline)); /* which may have passed just now: 0 */
  bool found = r == 1 || (r == 0 && look_at(loop, AWOKEN_FOR));
  step_in(loop);
  if (found) loop->looks++;
  return found ? HOT_FOUND : r == 0 ? HOT_TURN : HOT_OFF;
}
