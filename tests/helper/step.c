/* Behaviours that die at a step of a message's way (core/fault.h). */
#include "helper.h"

#include "core/atomics.h"
#include "core/fault.h"
#include "os/handle.h"

#include <covey/message.h>

#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 60000, BATCH = 5 };

static int fatal_step;
static uint32_t left;

static void step(int number)
{
  if (number == fatal_step && cvy_add_u32(&left, UINT32_MAX) == 1) helper_die();
}

/* From argv[at] on: the number of a step, and which time it is the last. */
static void prepare(char **argv, int at)
{
  fatal_step = atoi(argv[at]);
  left = (uint32_t)atoi(argv[at + 1]);
  cvy_fault_on_step(step);
}

static int send_batch(const covey_send_options *to, unsigned char *data, size_t size, int64_t first)
{
  covey_buffer each[BATCH];
  for (int i = 0; i < BATCH; i++) {
    each[i] = (covey_buffer){data + (size_t)i * size, size};
    helper_pattern(data + (size_t)i * size, size, (uint64_t)(first + i));
  }
  return covey_send_many(NULL, to, each, BATCH);
}

/* step-send PID COUNT SIZE STEP N [PART]: sends COUNT messages of the pattern to group "step", one by one and five at a time in turn, and writes a byte for
 * each that went; then closes. PART: each goes by itself and brings one to three handles, and the system takes at most so many bytes at once (0: what it can). */
static int do_send(int argc, char **argv)
{
  if (argc != 6 && argc != 7) return HELPER_USAGE;
  int64_t count = atoll(argv[2]);
  size_t size = (size_t)atoll(argv[3]);
  bool bring = argc == 7;
  covey_send_options to = {.pid = atoll(argv[1]), .group = "step", .timeout = PATIENCE};
  covey_native three[3] = {0};
  unsigned char *data = malloc(BATCH * size + 1);
  for (int i = 0; i < 3 && bring; i++)
    if (cvos_null_open(&three[i]) < 0) return HELPER_USAGE;
  if (bring) cvy_fault_limit((size_t)atoll(argv[6]));
  if (bring) to.handles = three;
  prepare(argv, 4);
  for (int64_t i = 0; i < count;) {
    int went = 1;
    if (bring) to.handle_count = (uint32_t)(1 + i % 3);
    if (i % 2 && !bring) {
      went = send_batch(&to, data, size, i);
    } else {
      helper_pattern(data, size, (uint64_t)i);
      int r = covey_message_send(NULL, &to, &(covey_buffer){data, size}, 1, NULL);
      if (r < 0) went = r;
    }
    if (went < 0) return 100 - went;
    helper_write(1, ".....", (size_t)went);
    i += went;
  }
  free(data);
  return covey_node_close(NULL, PATIENCE);
}

/* step-receive PID STEP N: opens group "step", tells PID so in its group "ready", receives, and writes a byte for each message; an empty one ends it. */
static int do_receive(int argc, char **argv)
{
  if (argc != 4) return HELPER_USAGE;
  prepare(argv, 2);
  int r = covey_group_open(NULL, "step", NULL);
  if (r == 0) r = covey_send(NULL, atoll(argv[1]), "ready", "", 0, PATIENCE);
  for (size_t size = 1; r == 0 && size;) {
    covey_message m;
    r = covey_receive(NULL, "step", PATIENCE, &m);
    if (r < 0) break;
    size = m.size;
    covey_message_free(&m);
    helper_write(1, ".", 1);
  }
  return r < 0 ? 100 - r : covey_node_close(NULL, PATIENCE);
}

/* step-exec PID: connects to PID, and becomes another program, which hangs. */
static int do_exec(int argc, char **argv)
{
  char *hang[] = {"hang"};
  if (argc != 2 || covey_send(NULL, atoll(argv[1]), NULL, "mine", 4, PATIENCE) < 0) return HELPER_USAGE;
  return helper_without_streams(0, 1, hang);
}

/* step-limit PID: opens its node, and has no descriptor left: says L when it is told so, and goes on when its stdin ends, as one that answers PID once. */
static int do_limit(int argc, char **argv)
{
  covey_message m;
  covey_identity who;
  char c;
  if (argc != 2 || covey_node_identity(NULL, &who) < 0 || !helper_limit_handles(3)) return HELPER_USAGE;
  int r = covey_send(NULL, atoll(argv[1]), NULL, "x", 1, 0);
  helper_write(1, r == COVEY_ELIMIT ? "L" : "?", 1);
  while (helper_system_read(&c, 1) > 0) continue;
  if (!helper_limit_handles(0) || covey_receive(NULL, NULL, PATIENCE, &m) < 0) return HELPER_TIRED;
  r = covey_send(NULL, m.from.pid, "back", m.data, m.size, PATIENCE);
  covey_message_free(&m);
  return r < 0 ? 100 - r : covey_node_close(NULL, PATIENCE);
}

const helper_behaviour helper_step[] = {
    {"step-send", do_send, "PID COUNT SIZE STEP N [PART]: sends, dies at the N-th such step"},
    {"step-receive", do_receive, "PID STEP N: receives, dies at the N-th such step"},
    {"step-exec", do_exec, "PID: connects, and becomes another program (POSIX)"},
    {"step-limit", do_limit, "PID: has no descriptor left until its stdin ends (POSIX)"},
    {NULL, NULL, NULL},
};
