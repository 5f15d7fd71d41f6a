#include "bench.h"
#include "peer.h"

#include <covey/call.h>
#include <covey/message.h>
#include <covey/process.h>
#include <stdio.h>
#include <string.h>

static const char *const place_names[] = {"two CPUs", "anywhere"};
enum { SIDES = 8 };

static uint64_t raw_round(void *state)
{
  uint64_t start = bench_ns();
  floor_echo_round(*(int *)state);
  return bench_ns() - start;
}

static uint64_t echo_round(void *state)
{
  char data[64] = {0};
  int64_t pid = *(int64_t *)state;
  covey_message m;
  uint64_t start = bench_ns();
  int r = covey_send(NULL, pid, "echo", data, sizeof data, 10000);
  if (r == 0) r = covey_receive(NULL, "echo", 10000, &m);
  if (r) bench_fail("echo", r);
  covey_message_free(&m);
  return bench_ns() - start;
}

static uint64_t call_round(void *state)
{
  char data[64] = {0};
  int64_t pid = *(int64_t *)state;
  covey_reply reply;
  uint64_t start = bench_ns();
  int r = covey_call(NULL, pid, "echo", data, sizeof data, 10000, &reply);
  if (r) bench_fail("covey_call", r);
  covey_reply_free(&reply);
  return bench_ns() - start;
}

static uint64_t courier_round(void *state)
{
  uint64_t start = bench_ns();
  bench_courier_echo(state);
  return bench_ns() - start;
}

/* pause: milliseconds of silence before each round; 0: both sides stay awake, in blocks of rounds that alternate all the same. Side 0 is the floor,
 * side 1 is ours, behind them come the others. */
typedef struct echo {
  const char *bench;
  const char *what; /* of the child: how it answers */
  uint64_t (*ours)(void *state);
  size_t rounds;
  int pause;
  double bound;
  bool minima; /* they are bounded, and told of the others; else the medians are */
  bool others;
} echo;

/* One line: ours beside another side, of minima or of medians. */
static void echo_line(const echo *e, const char *place, bench_side *sides, size_t other, bool minima,
                      double bound)
{
  char name[64];
  snprintf(name, sizeof name, "64 B, %s, %s", place, minima ? "minima" : "medians");
  bench_report(e->bench, name, bench_side_us(&sides[1], e->rounds, minima),
               bench_side_us(&sides[other], e->rounds, minima), "us", sides[other].name, bound, true);
}

/* The floor and ours in turn; then, where there are others, all of them in turn: their code lies in the caches then, in place of ours. */
static void echo_bench(const echo *e, enum bench_place place)
{
  int fd, cpu = bench_cpu(place, 1);
  size_t count = 2, block = e->pause ? 1 : 1000;
  int64_t raw_pid;
  bench_pin(bench_cpu(place, 0));
  floor_echo_open(cpu, &fd, &raw_pid);
  covey_process *process = bench_child_start(e->what, 0, cpu);
  int64_t pid = covey_process_pid(process);
  bench_side sides[SIDES] = {{"blocking Unix socket", raw_round, &fd, NULL}, {"covey", e->ours, &pid, NULL}};
  bench_rounds(sides, 2, e->rounds, block, e->pause);
  echo_line(e, place_names[place], sides, 0, true, e->minima ? e->bound : 0);
  echo_line(e, place_names[place], sides, 0, false, e->minima ? 0 : e->bound);
  bench_sides_free(sides, 2);
  for (const bench_courier *c; e->others && count < SIDES && (c = bench_courier_at(count - 2)) != NULL;
       count++)
    sides[count] =
        (bench_side){c->name, courier_round, bench_courier_open(count - 2, "courier-echo", 0, 0, cpu), NULL};
  if (count > 2) {
    bench_rounds(sides, count, e->rounds, block, e->pause);
    for (size_t s = 2; s < count; s++) echo_line(e, place_names[place], sides, s, e->minima, 1);
    bench_sides_free(sides, count);
  }
  for (size_t s = 2; s < count; s++) bench_courier_close(sides[s].state);
  bench_child_end(process);
  floor_echo_close(fd, raw_pid);
  bench_pin(-1);
}

void bench_echo_hot(void)
{
  size_t rounds = bench_quick ? 5000 : 50000;
  echo_bench(&(echo){"echo-hot", "echo", echo_round, rounds, 0, 0.6, false, true}, BENCH_TWO_CPUS);
  echo_bench(&(echo){"echo-hot", "echo", echo_round, rounds, 0, 0, false, true}, BENCH_ANYWHERE);
}

void bench_echo_idle(void)
{
  echo e = {"echo-idle", "echo", echo_round, bench_quick ? 100 : 500, 5, 1.3, true, true};
  echo_bench(&e, BENCH_TWO_CPUS);
  echo_bench(&e, BENCH_ANYWHERE);
}

void bench_call(void)
{
  echo e = {"call", "serve", call_round, bench_quick ? 5000 : 50000, 0, 0, false, false};
  echo_bench(&e, BENCH_TWO_CPUS);
  echo_bench(&e, BENCH_ANYWHERE);
}
