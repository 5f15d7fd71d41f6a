#include "bench.h"
#include "peer.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/topic.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const place_names[] = {"two CPUs", "anywhere"};
enum { ROUNDS = 7, COURIERS = 6, OTHERS_PART = 8 };

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

static void await_done(void)
{
  covey_message m;
  int r = covey_receive(NULL, "done", 30000, &m);
  if (r) bench_fail("the child of the stream", r);
  covey_message_free(&m);
}

/* From the first send to the answer to the last message: what the sender still held would count. */
static double stream_once(size_t size, size_t count, int cpu, bool batch)
{
  char *data = calloc(1, size);
  if (!data) bench_fail("memory", 0);
  covey_process *process = bench_child_start(batch ? "sink-many" : "sink", count, cpu);
  int64_t pid = covey_process_pid(process);
  await_done();
  uint64_t start = bench_ns();
  int r = batch ? send_batch(pid, data, size, count) : 0;
  for (size_t i = 0; i < count && r == 0 && !batch; i++) r = covey_send(NULL, pid, "sink", data, size, 30000);
  if (r) bench_fail("stream", r);
  await_done();
  double taken = (double)(bench_ns() - start);
  covey_process_wait(process, 10000, NULL);
  covey_process_close(process);
  free(data);
  return taken;
}

static void keep_least(double *least, double value)
{
  if (*least == 0 || value < *least) *least = value;
}

/* others: besides the raw socket also the other libraries, an eighth of the messages each. */
static void stream_case(const char *what, enum bench_place place, size_t size, size_t count, double bound,
                        bool batch)
{
  double ours = 0, raw = 0, theirs[COURIERS] = {0};
  size_t part = count / OTHERS_PART;
  int cpu = bench_cpu(place, 1);
  char name[64];
  const bench_courier *c;
  bench_pin(bench_cpu(place, 0));
  for (int i = 0; i < ROUNDS; i++) {
    keep_least(&raw, floor_stream(size, count, 1, cpu));
    keep_least(&ours, stream_once(size, count, cpu, batch));
    for (size_t k = 0; k < COURIERS && !batch && bench_courier_at(k); k++)
      keep_least(&theirs[k], bench_courier_stream(k, size, part, cpu));
  }
  bench_pin(-1);
  snprintf(name, sizeof name, "%s, %s", what, place_names[place]);
  double value = (double)count / ours * 1e6;
  bench_report("stream", name, value, (double)count / raw * 1e6, "k/s", "Unix socket, one by one", bound,
               false);
  for (size_t k = 0; k < COURIERS && !batch && (c = bench_courier_at(k)) != NULL; k++)
    bench_report("stream", name, value, (double)part / theirs[k] * 1e6, "k/s", c->name,
                 c->answers_early && size < 1024 ? 0 : 1, false);
}

void bench_stream(void)
{
  size_t scale = bench_quick ? 5 : 1;
  for (int place = BENCH_TWO_CPUS; place <= BENCH_ANYWHERE; place++) {
    stream_case("64 B", (enum bench_place)place, 64, 400000 / scale, 0.9, false);
    stream_case("64 B as a batch", (enum bench_place)place, 64, 400000 / scale, 3, true);
    stream_case("64 KiB", (enum bench_place)place, 65536, 20000 / scale, 0.9, false);
    stream_case("1 MiB", (enum bench_place)place, 1048576, 1000 / scale, 0.9, false);
  }
}

/* As stream_once, to so many subscribers; nobody misses a message. */
static double topic_once(covey_topic *topic, size_t size, size_t count, size_t subscribers)
{
  static char data[65536];
  covey_process *list[8];
  for (size_t i = 0; i < subscribers; i++) list[i] = bench_child_start("subscribe", count, -1);
  int r = covey_topic_wait(topic, (uint32_t)subscribers, 30000);
  if (r < 0) bench_fail("covey_topic_wait", r);
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count; i++) {
    r = covey_publish(topic, data, size, 30000);
    if (r != (int)subscribers) bench_fail("covey_publish", r);
  }
  for (size_t i = 0; i < subscribers; i++) await_done();
  double taken = (double)(bench_ns() - start);
  for (size_t i = 0; i < subscribers; i++) {
    covey_process_wait(list[i], 10000, NULL);
    covey_process_close(list[i]);
  }
  return taken;
}

static void topic_case(covey_topic *topic, const char *name, size_t size, size_t count, size_t subscribers)
{
  double ours = 0, raw = 0;
  for (int i = 0; i < ROUNDS; i++) {
    keep_least(&raw, floor_stream(size, count, subscribers, -1));
    keep_least(&ours, topic_once(topic, size, count, subscribers));
  }
  bench_report("topic", name, (double)count / ours * 1e6, (double)count / raw * 1e6, "k/s", "a write to each",
               0, false);
}

void bench_topic(void)
{
  size_t scale = bench_quick ? 5 : 1;
  covey_topic *topic;
  int r = covey_topic_open(NULL, "bench", &(covey_topic_options){.slow = COVEY_SLOW_BLOCK}, &topic);
  if (r) bench_fail("covey_topic_open", r);
  topic_case(topic, "64 B to 1", 64, 200000 / scale, 1);
  topic_case(topic, "64 B to 8", 64, 40000 / scale, 8);
  topic_case(topic, "64 KiB to 8", 65536, 2000 / scale, 8);
  covey_topic_close(topic);
}
