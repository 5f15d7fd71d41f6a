#include "bench.h"
#include "peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const bench_courier *const couriers[] = {
#if defined(COVEY_BENCH_ZEROMQ)
    &bench_zeromq,
#endif
#if defined(COVEY_BENCH_NNG)
    &bench_nng,
#endif
#if defined(COVEY_BENCH_NANOMSG)
    &bench_nanomsg,
#endif
    NULL};

enum { LIFE = 600 }; /* seconds after which a child ends by itself, whatever became of us */

const bench_courier *bench_courier_at(size_t index)
{
  return index < sizeof couriers / sizeof couriers[0] ? couriers[index] : NULL;
}

struct bench_couriers {
  const bench_courier *what;
  void *end;
  pid_t pid;
  char folder[32], address[64];
};

/* The child's side: it says one byte when it is there. */
int child_courier(int argc, char **argv)
{
  uint64_t number = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  const bench_courier *c = argc > 5 ? bench_courier_at((size_t)atoi(argv[3])) : NULL;
  if (!c) return 2;
  size_t size = (size_t)strtoull(argv[4], NULL, 10), room = size > 64 ? size : 64;
  char *data = malloc(room);
  if (!data) return 1;
  alarm(LIFE);
  void *end = c->open(argv[5], false);
  c->send(end, "", 1);
  if (!strcmp(argv[0], "courier-echo"))
    for (;;) c->send(end, data, c->receive(end, data, room));
  for (uint64_t i = 0; i < number; i++)
    if (c->receive(end, data, room) != size) return 1;
  c->send(end, "", 1);
  for (;;) pause(); /* what it sent is on its way until it is killed */
}

bench_couriers *bench_courier_open(size_t index, const char *verb, size_t size, size_t count, int cpu)
{
  char number[24], place[16], which[16], length[24];
  bench_couriers *b = calloc(1, sizeof *b);
  if (!b) bench_fail("memory", 0);
  b->what = bench_courier_at(index);
  snprintf(b->folder, sizeof b->folder, "/tmp/covey-bench-XXXXXX");
  if (!mkdtemp(b->folder)) bench_fail("mkdtemp", errno);
  snprintf(b->address, sizeof b->address, "ipc://%s/end", b->folder);
  snprintf(number, sizeof number, "%zu", count);
  snprintf(place, sizeof place, "%d", cpu);
  snprintf(which, sizeof which, "%zu", index);
  snprintf(length, sizeof length, "%zu", size);
  b->end = b->what->open(b->address, true);
  char *argv[] = {(char *)bench_self, "--child", (char *)verb, number, place, which, length,
                  b->address,         NULL};
  b->pid = vfork();
  if (b->pid == 0) {
    execv(bench_self, argv);
    _exit(127);
  }
  char c[64];
  if (b->pid < 0 || b->what->receive(b->end, c, sizeof c) != 1) bench_fail(b->what->name, errno);
  return b;
}

void bench_courier_echo(bench_couriers *b)
{
  char data[64] = {0};
  b->what->send(b->end, data, sizeof data);
  if (b->what->receive(b->end, data, sizeof data) != sizeof data) bench_fail(b->what->name, 0);
}

void bench_courier_close(bench_couriers *b)
{
  kill(b->pid, SIGKILL);
  waitpid(b->pid, NULL, 0);
  b->what->close(b->end);
  unlink(b->address + strlen("ipc://"));
  rmdir(b->folder);
  free(b);
}

double bench_courier_stream(size_t index, size_t size, size_t count, int cpu)
{
  char *data = calloc(1, size), done[64];
  if (!data) bench_fail("memory", 0);
  bench_couriers *b = bench_courier_open(index, "courier-sink", size, count, cpu);
  uint64_t start = bench_ns();
  for (size_t i = 0; i < count; i++) b->what->send(b->end, data, size);
  if (b->what->receive(b->end, done, sizeof done) != 1) bench_fail(b->what->name, 0);
  double taken = (double)(bench_ns() - start);
  bench_courier_close(b);
  free(data);
  return taken;
}
