#include "bench.h"

#include <covey/loop.h>
#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A thousand peers are that many nodes of a few processes: to us each is a connection of its own. */
enum { NODES = 125, PROCESSES = 8, CROWD = NODES * PROCESSES };

static void hub_name(char name[40], int64_t pid)
{
  snprintf(name, 40, "bench-hub-%lld", (long long)pid);
}

/* Opens its nodes, each of which says one word to the hub, and keeps them until it is told to stop. */
int child_crowd(uint64_t count)
{
  static covey_node *nodes[NODES];
  char hub[40], name[64];
  hub_name(hub, (int64_t)getppid());
  for (uint64_t i = 0; i < count && i < NODES; i++) {
    covey_send_options to = {.name = hub, .group = "hello", .timeout = 30000};
    snprintf(name, sizeof name, "bench-%lld-%llu", (long long)covey_self_pid(), (unsigned long long)i);
    int r = covey_node_open(&(covey_node_options){.name = name}, &nodes[i]);
    if (r == 0) r = covey_message_send(nodes[i], &to, NULL, 0, NULL);
    if (r) bench_fail("a node of the crowd", r);
  }
  char c;
  while (read(0, &c, 1) > 0) continue;
  for (uint64_t i = 0; i < count && i < NODES; i++) covey_node_close(nodes[i], 5000);
  return 0;
}

/* A node on a loop of its own, and a child that answers it, on our own CPU: a wake-up is a change of context for both sides of the comparison. */
typedef struct hub {
  covey_loop *loop;
  covey_node *node;
  covey_process *answers;
  int64_t pid;
} hub;

static void hub_open(hub *h, const char *name)
{
  covey_node_options options = {.name = name, .max_peers = 2 * CROWD};
  int r = covey_loop_open(NULL, &h->loop);
  options.loop = h->loop;
  if (r == 0) r = covey_node_open(&options, &h->node);
  if (r == 0) r = covey_group_open(h->node, "echo", NULL);
  if (r) bench_fail("the hub", r);
  char cpu[16];
  snprintf(cpu, sizeof cpu, "%d", bench_cpu(BENCH_TWO_CPUS, 0));
  const char *const argv[] = {bench_self, "--child", "answer", "0", cpu, NULL};
  r = covey_node_spawn(h->node, &(covey_process_options){.argv = argv}, &h->answers);
  if (r) bench_fail("covey_node_spawn", r);
  h->pid = covey_process_pid(h->answers);
}

static void hub_close(hub *h)
{
  bench_child_end(h->answers);
  covey_node_close(h->node, 5000);
  covey_loop_close(h->loop);
}

static uint64_t hub_round(void *state)
{
  hub *h = state;
  return bench_exchange(h->node, h->pid);
}

/* KiB of memory that is ours alone and touched; 0: this system does not say. */
static double memory_of_ours(void)
{
  char line[128];
  double kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, "RssAnon:", 8)) kib = strtod(line + 8, NULL);
  if (f) fclose(f);
  return kib;
}

static void crowd_open(covey_process **list, hub *h)
{
  char number[16];
  snprintf(number, sizeof number, "%d", NODES);
  const char *const argv[] = {bench_self, "--child", "crowd", number, NULL};
  for (size_t i = 0; i < PROCESSES; i++) {
    int r = covey_spawn(&(covey_process_options){.argv = argv, .in.kind = COVEY_STDIO_PIPE}, &list[i]);
    if (r) bench_fail("covey_spawn", r);
  }
  for (size_t i = 0; i < CROWD; i++) {
    covey_message m;
    int r = covey_receive(h->node, "hello", 60000, &m);
    if (r) bench_fail("a peer of the crowd", r);
    covey_message_free(&m);
  }
}

static void crowd_close(covey_process **list)
{
  for (size_t i = 0; i < PROCESSES; i++) covey_process_close_input(list[i]);
  for (size_t i = 0; i < PROCESSES; i++) {
    covey_process_wait(list[i], 30000, NULL);
    covey_process_close(list[i]);
  }
}

static void wake_case(const char *name, hub *one, hub *many, int pause)
{
  size_t rounds = pause ? (bench_quick ? 100 : 500) : bench_quick ? 5000 : 50000;
  bench_side sides[] = {{"1 peer", hub_round, one, NULL}, {"1,000 idle peers", hub_round, many, NULL}};
  bench_rounds(sides, 2, rounds, pause ? 1 : 1000, pause);
  bench_report("wake", name, bench_side_us(&sides[1], rounds, pause != 0),
               bench_side_us(&sides[0], rounds, pause != 0), "us", "with 1 peer", 1.1, true);
  bench_sides_free(sides, 2);
}

void bench_peers(void)
{
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 8 * CROWD) {
    files.rlim_cur = files.rlim_max < 8 * CROWD ? files.rlim_max : 8 * CROWD;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  char name[40];
  hub one, many;
  covey_process *list[PROCESSES];
  hub_name(name, covey_self_pid());
  hub_open(&many, name);
  snprintf(name, sizeof name, "bench-one-%lld", (long long)covey_self_pid());
  hub_open(&one, name);
  hub_round(&many);
  hub_round(&one);
  double before = memory_of_ours();
  crowd_open(list, &many);
  double each = (memory_of_ours() - before) / (double)CROWD;
  if (before > 0)
    bench_report("peers", "memory of an idle peer", each, 16, "KiB", "16 KiB", 1, true);
  else
    bench_note("peers", "memory of an idle peer", "the system does not say");
  bench_pin(bench_cpu(BENCH_TWO_CPUS, 0));
  wake_case("beside 1,000 idle, hot, medians", &one, &many, 0);
  wake_case("beside 1,000 idle, 5 ms, minima", &one, &many, 5);
  bench_pin(-1);
  crowd_close(list);
  hub_close(&one);
  hub_close(&many);
}
