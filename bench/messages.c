#include "bench.h"

#include <covey/message.h>
#include <covey/process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static covey_process *child_start(const char *what, uint64_t count)
{
  char number[32];
  snprintf(number, sizeof number, "%llu", (unsigned long long)count);
  const char *const argv[] = {bench_self, "--child", what, number, NULL};
  covey_process *process;
  int r = covey_node_spawn(NULL, &(covey_process_options){.argv = argv}, &process);
  if (r) bench_fail("covey_node_spawn", r);
  return process;
}

static void echo_round(int64_t pid)
{
  char data[64] = {0};
  covey_message m;
  int r = covey_send(NULL, pid, "echo", data, sizeof data, 10000);
  if (r == 0) r = covey_receive(NULL, "echo", 10000, &m);
  if (r) bench_fail("echo", r);
  covey_message_free(&m);
}

static void child_end(covey_process *process)
{
  covey_process_stop(process, 0, NULL);
  covey_process_close(process);
}

/* pause: milliseconds of silence before each round. */
static void echo_measure(size_t rounds, int pause, uint64_t *ours, uint64_t *raw)
{
  int fd;
  int64_t raw_pid;
  floor_echo_open(&fd, &raw_pid);
  covey_process *process = child_start("echo", 0);
  int64_t pid = covey_process_pid(process);
  size_t block =
      pause ? 1
            : 1000; /* hot: blocks, so that both sides stay awake; alternating with the floor all the same */
  echo_round(pid);
  for (size_t i = 0; i < rounds; i += block) {
    for (size_t k = 0; k < block && i + k < rounds; k++) {
      if (pause) bench_pause_ms(pause);
      uint64_t start = bench_ns();
      floor_echo_round(fd);
      raw[i + k] = bench_ns() - start;
    }
    for (size_t k = 0; k < block && i + k < rounds; k++) {
      if (pause) bench_pause_ms(pause);
      uint64_t start = bench_ns();
      echo_round(pid);
      ours[i + k] = bench_ns() - start;
    }
  }
  child_end(process);
  floor_echo_close(fd, raw_pid);
}

static void echo_bench(const char *bench, size_t rounds, int pause, double bound, bool minima)
{
  uint64_t *ours = calloc(rounds, sizeof *ours), *raw = calloc(rounds, sizeof *raw);
  if (!ours || !raw) bench_fail("memory", 0);
  echo_measure(rounds, pause, ours, raw);
  double least = (double)bench_minimum(ours, rounds) / 1000,
         least_raw = (double)bench_minimum(raw, rounds) / 1000;
  double mid = (double)bench_median(ours, rounds) / 1000, mid_raw = (double)bench_median(raw, rounds) / 1000;
  bench_report(bench, "64 B, minima", least, least_raw, "us", "blocking Unix socket", minima ? bound : 0,
               true);
  bench_report(bench, "64 B, medians", mid, mid_raw, "us", "blocking Unix socket", minima ? 0 : bound, true);
  free(ours);
  free(raw);
}

void bench_echo_hot(void)
{
  echo_bench("echo-hot", bench_quick ? 5000 : 50000, 0, 0.6, false);
}

void bench_echo_idle(void)
{
  echo_bench("echo-idle", bench_quick ? 100 : 500, 5, 1.3, true);
}

static double stream_once(size_t size, size_t count)
{
  char *data = calloc(1, size);
  if (!data) bench_fail("memory", 0);
  covey_process *process = child_start("sink", count);
  int64_t pid = covey_process_pid(process);
  covey_message m;
  int r = 0;
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count && r == 0; i++) r = covey_send(NULL, pid, "sink", data, size, 30000);
  if (r == 0) r = covey_receive(NULL, "done", 30000, &m);
  if (r) bench_fail("stream", r);
  double taken = (double)(bench_ns() - start);
  covey_message_free(&m);
  covey_process_wait(process, 10000, NULL);
  covey_process_close(process);
  free(data);
  return taken;
}

static void stream_case(const char *name, size_t size, size_t count, double bound)
{
  double ours = 0, raw = 0;
  for (int i = 0; i < 3; i++) {
    double r = floor_stream(size, count), o = stream_once(size, count);
    if (raw == 0 || r < raw) raw = r;
    if (ours == 0 || o < ours) ours = o;
  }
  bench_report("stream", name, (double)count / ours * 1e6, (double)count / raw * 1e6, "k/s",
               "Unix socket, one by one", bound, false);
}

void bench_stream(void)
{
  size_t scale = bench_quick ? 10 : 1;
  stream_case("64 B", 64, 1000000 / scale, 0.9);
  stream_case("64 KiB", 65536, 50000 / scale, 0.9);
}
