#include "bench.h"

#include <covey/message.h>
#include <covey/process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const place_names[] = {"two CPUs", "anywhere"};

static covey_process *child_start(const char *what, uint64_t count, int cpu)
{
  char number[32], where[16];
  snprintf(number, sizeof number, "%llu", (unsigned long long)count);
  snprintf(where, sizeof where, "%d", cpu);
  const char *const argv[] = {bench_self, "--child", what, number, where, NULL};
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
static void echo_measure(enum bench_place place, size_t rounds, int pause, uint64_t *ours, uint64_t *raw)
{
  int fd, cpu = bench_cpu(place, 1);
  int64_t raw_pid;
  bench_pin(bench_cpu(place, 0));
  floor_echo_open(cpu, &fd, &raw_pid);
  covey_process *process = child_start("echo", 0, cpu);
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
  bench_pin(-1);
}

static void echo_report(const char *bench, enum bench_place place, const char *what, double value,
                        double beside, double bound)
{
  char name[64];
  snprintf(name, sizeof name, "64 B, %s, %s", place_names[place], what);
  bench_report(bench, name, value / 1000, beside / 1000, "us", "blocking Unix socket", bound, true);
}

/* bound: of the minima (minima), else of the medians; 0: none. */
static void echo_bench(const char *bench, enum bench_place place, size_t rounds, int pause, double bound,
                       bool minima)
{
  uint64_t *ours = calloc(rounds, sizeof *ours), *raw = calloc(rounds, sizeof *raw);
  if (!ours || !raw) bench_fail("memory", 0);
  echo_measure(place, rounds, pause, ours, raw);
  echo_report(bench, place, "minima", (double)bench_minimum(ours, rounds), (double)bench_minimum(raw, rounds),
              minima ? bound : 0);
  echo_report(bench, place, "medians", (double)bench_median(ours, rounds), (double)bench_median(raw, rounds),
              minima ? 0 : bound);
  free(ours);
  free(raw);
}

void bench_echo_hot(void)
{
  size_t rounds = bench_quick ? 5000 : 50000;
  echo_bench("echo-hot", BENCH_TWO_CPUS, rounds, 0, 0.6, false);
  echo_bench("echo-hot", BENCH_ANYWHERE, rounds, 0, 0, false);
}

void bench_echo_idle(void)
{
  size_t rounds = bench_quick ? 100 : 500;
  echo_bench("echo-idle", BENCH_TWO_CPUS, rounds, 5, 1.3, true);
  echo_bench("echo-idle", BENCH_ANYWHERE, rounds, 5, 1.3, true);
}

static int send_batch(int64_t pid, const char *data, size_t size, size_t count)
{
  covey_buffer each[256];
  covey_send_options to = {.pid = pid, .group = "sink", .timeout = 30000};
  for (size_t i = 0; i < 256; i++) each[i] = (covey_buffer){data, size};
  for (size_t n = count < 256 ? count : 256; count; count -= n) {
    if (n > count) n = count;
    int r = covey_send_many(NULL, &to, each, n);
    if (r != (int)n) return r < 0 ? r : covey_last_failure()->code;
  }
  return 0;
}

/* From the first send to the answer to the last message: what the sender still held would count. */
static double stream_once(size_t size, size_t count, int cpu, bool batch)
{
  char *data = calloc(1, size);
  if (!data) bench_fail("memory", 0);
  covey_process *process = child_start(batch ? "sink-many" : "sink", count, cpu);
  int64_t pid = covey_process_pid(process);
  covey_message m;
  int r = covey_receive(NULL, "done", 30000, &m);
  if (r) bench_fail("the child of the stream", r);
  covey_message_free(&m);
  uint64_t start = bench_ns();
  if (batch) r = send_batch(pid, data, size, count);
  for (size_t i = 0; i < count && r == 0 && !batch; i++) r = covey_send(NULL, pid, "sink", data, size, 30000);
  if (r == 0) r = covey_receive(NULL, "done", 30000, &m);
  if (r) bench_fail("stream", r);
  double taken = (double)(bench_ns() - start);
  covey_message_free(&m);
  covey_process_wait(process, 10000, NULL);
  covey_process_close(process);
  free(data);
  return taken;
}

static void stream_case(const char *what, enum bench_place place, size_t size, size_t count, double bound,
                        bool batch)
{
  enum { ROUNDS = 7 };
  double ours = 0, raw = 0;
  int cpu = bench_cpu(place, 1);
  char name[64];
  bench_pin(bench_cpu(place, 0));
  for (int i = 0; i < ROUNDS; i++) {
    double r = floor_stream(size, count, cpu), o = stream_once(size, count, cpu, batch);
    if (raw == 0 || r < raw) raw = r;
    if (ours == 0 || o < ours) ours = o;
  }
  bench_pin(-1);
  snprintf(name, sizeof name, "%s, %s", what, place_names[place]);
  bench_report("stream", name, (double)count / ours * 1e6, (double)count / raw * 1e6, "k/s",
               "Unix socket, one by one", bound, false);
}

void bench_stream(void)
{
  size_t scale = bench_quick ? 5 : 1;
  for (int place = BENCH_TWO_CPUS; place <= BENCH_ANYWHERE; place++) {
    stream_case("64 B", (enum bench_place)place, 64, 400000 / scale, 0.9, false);
    stream_case("64 B as a batch", (enum bench_place)place, 64, 400000 / scale, 3, true);
    stream_case("64 KiB", (enum bench_place)place, 65536, 20000 / scale, 0.9, false);
  }
}
