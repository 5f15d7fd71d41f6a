#include "bench.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>
#include <stdio.h>

uint64_t bench_exchange(covey_node *node, int64_t pid)
{
  char data[64] = {0};
  covey_send_options to = {.pid = pid, .group = "echo", .timeout = 10000};
  covey_message m;
  uint64_t start = bench_ns();
  int r = covey_message_send(node, &to, &(covey_buffer){data, sizeof data}, 1, NULL);
  if (r == 0) r = covey_receive(node, "echo", 10000, &m);
  if (r) bench_fail("exchange", r);
  covey_message_free(&m);
  return bench_ns() - start;
}

/* A node that has met nobody: from its first send to the answer. Opening and closing it are not in the clock, as the raw side's close is not. */
static uint64_t first_round(void *state)
{
  char name[40];
  covey_node *node;
  snprintf(name, sizeof name, "bench-first-%lld", (long long)covey_self_pid());
  int r = covey_node_open(&(covey_node_options){.name = name}, &node);
  if (r == 0) r = covey_group_open(node, "echo", NULL);
  if (r) bench_fail("covey_node_open", r);
  uint64_t taken = bench_exchange(node, *(int64_t *)state);
  covey_node_close(node, 5000);
  return taken;
}

static uint64_t raw_round(void *state)
{
  return floor_contact_round(state);
}

void bench_contact(void)
{
  size_t rounds = bench_quick ? 100 : 1000;
  const char *const argv[] = {bench_self, "--child", "answer", "0", "-1", NULL};
  covey_process *process; /* not covey_node_spawn: it is found by its address */
  int r = covey_spawn(&(covey_process_options){.argv = argv}, &process);
  if (r) bench_fail("covey_spawn", r);
  int64_t pid = covey_process_pid(process), raw_pid;
  char path[64];
  floor_contact_open(path, sizeof path, &raw_pid);
  bench_side sides[] = {{"connect, write, read", raw_round, path, NULL}, {"covey", first_round, &pid, NULL}};
  bench_rounds(sides, 2, rounds, 1, 0);
  floor_contact_close(path, raw_pid);
  bench_child_end(process);
  bench_report("contact", "first message, answered", bench_side_us(&sides[1], rounds, false),
               bench_side_us(&sides[0], rounds, false), "us", sides[0].name, 3, true);
  bench_sides_free(sides, 2);
}
