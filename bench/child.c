#include "bench.h"

#include <covey/message.h>
#include <covey/self.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes as many bytes in 64 KiB blocks: the child of the capture benchmark, and of its floor. */
static int child_write(uint64_t bytes)
{
  enum { BLOCK = 64 * 1024 };
  static char data[BLOCK];
  memset(data, 'x', sizeof data);
  while (bytes) {
    size_t size = bytes < BLOCK ? (size_t)bytes : BLOCK;
    ssize_t n = write(1, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 1;
    bytes -= (uint64_t)n;
  }
  return 0;
}

/* Sends each message back to who sent it. */
static int child_echo(void)
{
  covey_message m;
  for (;;) {
    if (covey_receive(NULL, "echo", COVEY_FOREVER, &m)) return 0;
    int r = m.size ? covey_send(NULL, m.from.pid, "echo", m.data, m.size, 10000) : 1;
    covey_message_free(&m);
    if (r) return 0;
  }
}

/* Says that it is there, takes count messages, then answers one. */
static int child_sink(uint64_t count, int most)
{
  covey_message m[64];
  covey_receive_options from = {.group = "sink", .timeout = 30000};
  int64_t parent = covey_self_parent();
  if (covey_group_open(NULL, "sink", NULL) || covey_send(NULL, parent, "done", "", 0, 10000)) return 1;
  for (uint64_t left = count; left;) {
    int n = covey_receive_many(NULL, &from, m, (size_t)most);
    if (n < 0) return 1;
    for (int i = 0; i < n; i++) covey_message_free(&m[i]);
    left -= (uint64_t)n;
  }
  return covey_send(NULL, parent, "done", "", 0, 10000) ? 1 : covey_node_close(NULL, 5000) != 0;
}

int child_main(int argc, char **argv)
{
  uint64_t number = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  int cpu = argc > 2 ? atoi(argv[2]) : -1;
  if (cpu >= 0) bench_pin(cpu);
  if (!strcmp(argv[0], "write")) return child_write(number);
  if (!strcmp(argv[0], "echo")) return child_echo();
  if (!strcmp(argv[0], "sink")) return child_sink(number, 1);
  if (!strcmp(argv[0], "sink-many")) return child_sink(number, 64);
  return 2;
}
