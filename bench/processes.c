#include "bench.h"
#include "peer.h"

#include <covey/process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t spawn_once(void)
{
  const char *const argv[] = {bench_nothing, NULL};
  covey_process *process;
  covey_exit end;
  uint64_t start = bench_ns();
  int r = covey_spawn(&(covey_process_options){.argv = argv}, &process);
  if (r == 0) r = covey_process_wait(process, 10000, &end);
  if (r) bench_fail("covey_spawn", r);
  covey_process_close(process);
  if (!COVEY_EXIT_OK(&end)) bench_fail("the child", (int)end.code);
  return bench_ns() - start;
}

static uint64_t run_once(void)
{
  const char *const argv[] = {bench_nothing, NULL};
  covey_result result;
  uint64_t start = bench_ns();
  int r = covey_run(&(covey_process_options){.argv = argv}, &result);
  uint64_t taken = bench_ns() - start;
  if (r || !COVEY_EXIT_OK(&result.exit)) bench_fail("covey_run", r);
  covey_result_free(&result);
  return taken;
}

enum { PEERS = 8, EVERY = 20 };

/* What is measured beside: of each peer one round in so many of ours, since some of them cost that much more. */
typedef struct beside {
  uint64_t *taken[PEERS];
  size_t count;
} beside;

static void beside_spawn(beside *b)
{
  const bench_starter *peer;
  for (size_t k = 0; k < PEERS && (peer = bench_starter_at(k)) != NULL; k++)
    b->taken[k][b->count] = peer->spawn(peer, bench_nothing);
  b->count++;
}

static void beside_report(beside *b, const char *name, double ours)
{
  const bench_starter *peer;
  for (size_t k = 0; k < PEERS && (peer = bench_starter_at(k)) != NULL; k++)
    bench_report("spawn", name, ours, (double)bench_median(b->taken[k], b->count) / 1000, "us", peer->name, 0,
                 true);
}

/* Rounds of floor and covey in turn: what the machine does beside hits both alike. */
static void spawn_case(const char *name, uint64_t (*once)(void))
{
  size_t rounds = bench_quick ? 100 : 2000;
  uint64_t *ours = bench_list(rounds), *raw = bench_list(rounds);
  beside b = {.count = 0};
  for (size_t k = 0; k < PEERS; k++) b.taken[k] = bench_list(rounds / EVERY);
  for (size_t i = 0; i < rounds; i++) {
    if (i % EVERY == 0) {
      beside_spawn(&b);
      floor_vfork(bench_nothing); /* a fork has left all our pages to be copied at the next write */
      once();
    }
    raw[i] = (uint64_t)floor_vfork(bench_nothing);
    ours[i] = once();
  }
  double value = (double)bench_median(ours, rounds) / 1000;
  bench_report("spawn", name, value, (double)bench_median(raw, rounds) / 1000, "us", "vfork+exec+wait", 1.2,
               true);
  beside_report(&b, name, value);
  for (size_t k = 0; k < PEERS; k++) free(b.taken[k]);
  free(ours);
  free(raw);
}

static uint64_t spawn_many(size_t count)
{
  const char *const argv[] = {bench_nothing, NULL};
  covey_process **list = calloc(count, sizeof *list);
  if (!list) bench_fail("memory", 0);
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count; i++) {
    int r = covey_spawn(&(covey_process_options){.argv = argv}, &list[i]);
    if (r) bench_fail("covey_spawn", r);
  }
  for (size_t i = 0; i < count; i++) {
    covey_exit end;
    int r = covey_process_wait(list[i], 10000, &end);
    if (r || !COVEY_EXIT_OK(&end)) bench_fail("covey_process_wait", r);
    covey_process_close(list[i]);
  }
  uint64_t taken = bench_ns() - start;
  free(list);
  return taken;
}

static void spawn_many_case(size_t count)
{
  enum { MOST = 20 };
  size_t rounds = bench_quick ? 3 : MOST;
  uint64_t ours[MOST], raw[MOST];
  for (size_t i = 0; i < rounds; i++) {
    raw[i] = (uint64_t)floor_many(bench_nothing, count);
    ours[i] = spawn_many(count);
  }
  bench_report("spawn", "1,000 at once", (double)bench_median(ours, rounds) / 1e6,
               (double)bench_median(raw, rounds) / 1e6, "ms", "vfork, pidfd, poll", 1.1, true);
}

/* The same with memory in the parent, and in the peers that are programs of their own: what a fork would have to copy the tables of. */
static void spawn_with_memory(const char *name, size_t gigabytes)
{
  size_t size = gigabytes << 30, holders = 1;
  const bench_starter *peer;
  for (size_t k = 0; (peer = bench_starter_at(k)) != NULL; k++) holders += peer->argv != NULL;
  if (bench_free_memory() / 5 * 4 < (uint64_t)size * holders) {
    bench_note("spawn", name, "not enough free memory");
    return;
  }
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) bench_fail(name, 0);
  for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
  bench_programs_hold(size);
  spawn_case(name, spawn_once);
  bench_programs_hold(0);
  munmap(memory, size);
}

void bench_spawn(void)
{
  spawn_case("nothing, 0 MB parent", spawn_once);
  spawn_case("nothing, covey_run", run_once);
  spawn_many_case(1000);
  spawn_with_memory("nothing, 1 GB parent", 1);
  if (!bench_quick) spawn_with_memory("nothing, 4 GB parent", 4);
  bench_programs_end();
}

/* Counted: the bytes are read and dropped, so that the figure is the transport's and not that of fresh memory. */
static double capture_stream(uint64_t bytes, uint32_t flags)
{
  char number[32];
  snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
  const char *const argv[] = {bench_self, "--child", "write", number, NULL};
  static char data[BENCH_READ];
  covey_process *process;
  uint64_t start = bench_ns(), got = 0;
  int r = covey_spawn(&(covey_process_options){.argv = argv, .out = {COVEY_STDIO_PIPE, .flags = flags}},
                      &process);
  if (r) bench_fail("covey_spawn", r);
  while ((r = covey_process_read(process, COVEY_STDOUT, 30000, data, sizeof data)) > 0) got += (uint64_t)r;
  double taken = (double)(bench_ns() - start);
  if (r < 0 || got != bytes) bench_fail("covey_process_read", r);
  covey_process_wait(process, 10000, NULL);
  covey_process_close(process);
  return taken;
}

static double capture_pipe(uint64_t bytes)
{
  return capture_stream(bytes, 0);
}

static double capture_socket(uint64_t bytes)
{
  return capture_stream(bytes, COVEY_STDIO_SOCKET);
}

static double capture_memory(uint64_t bytes)
{
  char number[32];
  snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
  const char *const argv[] = {bench_self, "--child", "write", number, NULL};
  covey_result result;
  uint64_t start = bench_ns();
  int r = covey_run(
      &(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_CAPTURE, .capture_max = (size_t)bytes},
      &result);
  double taken = (double)(bench_ns() - start);
  if (r || result.out_size != bytes) bench_fail("covey_run", r);
  covey_result_free(&result);
  return taken;
}

enum { CAPTURE_ROUNDS = 15 };

static double gib_per_second(uint64_t bytes, uint64_t *taken, size_t rounds)
{
  return (double)bytes / (double)bench_median(taken, rounds) * 1e9 / 1073741824.0;
}

/* As spawn_case: floor and covey in turn, medians. */
static void capture_case(const char *name, double (*measure)(uint64_t), double (*raw_one)(uint64_t),
                         const char *floor, double bound)
{
  uint64_t bytes = (bench_quick ? (uint64_t)64 : (uint64_t)256) << 20;
  size_t rounds = bench_quick ? 5 : CAPTURE_ROUNDS;
  uint64_t ours[CAPTURE_ROUNDS], raw[CAPTURE_ROUNDS];
  for (size_t i = 0; i < rounds; i++) {
    raw[i] = (uint64_t)raw_one(bytes);
    ours[i] = (uint64_t)measure(bytes);
  }
  bench_report("capture", name, gib_per_second(bytes, ours, rounds), gib_per_second(bytes, raw, rounds),
               "GiB/s", floor, bound, false);
}

/* Into memory that grows, whole in the end: what a user of each would write. */
static void capture_beside(void)
{
  uint64_t bytes = (bench_quick ? (uint64_t)64 : (uint64_t)256) << 20;
  size_t rounds = bench_quick ? 3 : 9;
  uint64_t ours[CAPTURE_ROUNDS], *taken[PEERS];
  const bench_starter *peer;
  for (size_t k = 0; k < PEERS; k++) taken[k] = bench_list(rounds);
  for (size_t i = 0; i < rounds; i++) {
    ours[i] = (uint64_t)capture_memory(bytes);
    for (size_t k = 0; k < PEERS && (peer = bench_starter_at(k)) != NULL; k++)
      if (peer->capture) taken[k][i] = peer->capture(peer, bytes);
  }
  double value = gib_per_second(bytes, ours, rounds);
  for (size_t k = 0; k < PEERS && (peer = bench_starter_at(k)) != NULL; k++)
    if (peer->capture)
      bench_report("capture", "into memory", value, gib_per_second(bytes, taken[k], rounds), "GiB/s",
                   peer->name, 1.2, false);
  for (size_t k = 0; k < PEERS; k++) free(taken[k]);
}

void bench_capture(void)
{
  capture_case("counted", capture_pipe, floor_pipe, "raw pipe", 0.9);
  capture_case("counted, SOCKET", capture_socket, floor_socket, "raw socketpair", 0.95);
  capture_case("into memory", capture_memory, floor_pipe, "raw pipe, dropped", 0);
  capture_beside();
  bench_programs_end();
}
