#include "bench.h"

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

static void spawn_case(const char *name)
{
  size_t rounds = bench_quick ? 100 : 1000;
  uint64_t *ours = calloc(rounds, sizeof *ours), *raw = calloc(rounds, sizeof *raw);
  if (!ours || !raw) bench_fail("memory", 0);
  for (size_t i = 0; i < 10; i++) spawn_once();
  for (size_t i = 0; i < rounds; i++) {
    raw[i] = (uint64_t)floor_vfork(bench_nothing);
    ours[i] = spawn_once();
  }
  bench_report("spawn", name, (double)bench_median(ours, rounds) / 1000,
               (double)bench_median(raw, rounds) / 1000, "us", "vfork+exec+wait", 1.2, true);
  free(ours);
  free(raw);
}

void bench_spawn(void)
{
  spawn_case("nothing, 0 MB parent");
  size_t size = (size_t)1 << 30;
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) bench_fail("1 GB of memory", 0);
  for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
  spawn_case("nothing, 1 GB parent");
  munmap(memory, size);
}

/* Counted: the bytes are read and dropped, so that the figure is the transport's and not that of fresh memory. */
static double capture_pipe(uint64_t bytes)
{
  enum { BLOCK = 256 * 1024 };
  char number[32];
  snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
  const char *const argv[] = {bench_self, "--child", "write", number, NULL};
  static char data[BLOCK];
  covey_process *process;
  uint64_t start = bench_ns(), got = 0;
  int r = covey_spawn(&(covey_process_options){.argv = argv, .out.kind = COVEY_STDIO_PIPE}, &process);
  if (r) bench_fail("covey_spawn", r);
  while ((r = covey_process_read(process, COVEY_STDOUT, 30000, data, sizeof data)) > 0) got += (uint64_t)r;
  double taken = (double)(bench_ns() - start);
  if (r < 0 || got != bytes) bench_fail("covey_process_read", r);
  covey_process_wait(process, 10000, NULL);
  covey_process_close(process);
  return taken;
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

static double best_of(double (*measure)(uint64_t), uint64_t bytes, double best)
{
  double taken = measure(bytes);
  return best == 0 || taken < best ? taken : best;
}

void bench_capture(void)
{
  uint64_t bytes = (bench_quick ? (uint64_t)64 : (uint64_t)1024) << 20, memory = (uint64_t)256 << 20;
  double ours = 0, raw = 0, in_memory = 0, raw_memory = 0;
  for (int i = 0; i < 5; i++) {
    raw = best_of(floor_pipe, bytes, raw);
    ours = best_of(capture_pipe, bytes, ours);
    raw_memory = best_of(floor_pipe, memory, raw_memory);
    in_memory = best_of(capture_memory, memory, in_memory);
  }
  double gib = 1073741824.0;
  bench_report("capture", "counted", (double)bytes / ours * 1e9 / gib, (double)bytes / raw * 1e9 / gib,
               "GiB/s", "raw pipe", 0.9, false);
  bench_report("capture", "into memory, 256 MiB", (double)memory / in_memory * 1e9 / gib,
               (double)memory / raw_memory * 1e9 / gib, "GiB/s", "raw pipe, dropped", 0, false);
}
