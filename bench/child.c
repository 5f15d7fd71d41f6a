#include "bench.h"

#include <covey/call.h>
#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>
#include <covey/topic.h>
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

/* As child_echo, to nodes of whatever name. */
static int child_answer(void)
{
  covey_message m;
  while (covey_receive(NULL, "echo", COVEY_FOREVER, &m) == 0) {
    covey_send_options to = {.reply_to = &m, .group = "echo", .timeout = 10000};
    (void)covey_message_send(NULL, &to, &(covey_buffer){m.data, m.size}, 1, NULL); /* who asked may be gone */
    covey_message_free(&m);
  }
  return 0;
}

static int child_serve(void)
{
  covey_request q;
  while (covey_call_receive(NULL, "echo", COVEY_FOREVER, &q) == 0) {
    covey_call_reply(&q, 0, q.data, q.size);
    covey_request_free(&q);
  }
  return 0;
}

/* Takes count messages of our parent's topic, none of which may be missing, then says so. */
static int child_subscribe(uint64_t count)
{
  covey_subscription *s;
  covey_message m;
  int64_t parent = covey_self_parent();
  if (covey_subscribe(NULL, parent, "bench", 30000, &s)) return 1;
  for (uint64_t i = 0; i < count; i++) {
    if (covey_topic_next(s, 30000, &m) || m.lost) return 1;
    covey_message_free(&m);
  }
  covey_unsubscribe(s);
  return covey_send(NULL, parent, "done", "", 0, 10000) ? 1 : covey_node_close(NULL, 5000) != 0;
}

int child_plain(const char *what, uint64_t number)
{
  if (!strcmp(what, "write")) return child_write(number);
  if (!strcmp(what, "answer")) return child_answer();
  if (!strcmp(what, "serve")) return child_serve();
  if (!strcmp(what, "subscribe")) return child_subscribe(number);
  if (!strcmp(what, "echo")) return child_echo();
  if (!strcmp(what, "sink")) return child_sink(number, 1);
  if (!strcmp(what, "sink-many")) return child_sink(number, 64);
  return 2;
}

covey_process *bench_child_start(const char *what, uint64_t count, int cpu)
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

void bench_child_end(covey_process *process)
{
  covey_process_stop(process, 0, NULL);
  covey_process_close(process);
}
