/* stream.c: a parent streams numbers to its child over a channel (covey_stream [COUNT]); the child sends sums back meanwhile, and one behind the end. */
#include <covey.h>

#include <stdio.h>
#include <stdlib.h>

static int child(void)
{
  covey_channel *c;
  covey_message m;
  long sum = 0, count = 0;
  covey_channel_options to = {.pid = covey_self_parent(), .endpoint = "numbers", .timeout = 30000};
  if (covey_channel_open(NULL, &to, &c) < 0) return 1;
  while (covey_channel_receive(c, 30000, &m) == 0) {
    sum += atol(m.data);
    covey_message_free(&m);
    if (++count % 100 == 0) covey_channel_send(c, &sum, sizeof sum, 30000);
  }
  covey_channel_send(c, &sum, sizeof sum, 30000); /* the parent has ended its half, ours is open */
  return covey_channel_close(c, 30000) != 0;
}

static int failed(const char *what)
{
  const covey_failure *failure = covey_last_failure();
  fprintf(stderr, "%s: %s (%s)\n", what, covey_strerror(failure->code), failure->what);
  return 1;
}

static int parent(int count)
{
  char *self, text[16];
  covey_process *process;
  covey_channel *c;
  covey_message m;
  covey_exit end = {0};
  long sum = 0;
  if (covey_self_path(&self) < 0) return failed("self");
  covey_process_options options = {.argv = (const char *const[]){self, NULL}};
  if (covey_node_spawn(NULL, &options, &process) < 0) return failed("spawn");
  if (covey_channel_accept(NULL, "numbers", 30000, &c) < 0) return failed("accept");
  for (int i = 1; i <= count; i++)
    if (covey_channel_send(c, text, (size_t)snprintf(text, sizeof text, "%d", i), 30000) < 0)
      return failed("send");
  covey_channel_end(c);
  for (; covey_channel_receive(c, 30000, &m) == 0; covey_message_free(&m)) sum = *(const long *)m.data;
  printf("1 + ... + %d = %ld\n", count, sum);
  covey_channel_close(c, 1000);
  if (covey_process_wait(process, 30000, &end) < 0) return failed("wait");
  covey_process_close(process);
  covey_free(self);
  return covey_node_close(NULL, 5000) != 0 || end.code != 0 || sum != (long)count * (count + 1) / 2;
}

int main(int argc, char **argv)
{
  return covey_self_is_child() ? child() : parent(argc > 1 ? atoi(argv[1]) : 1000);
}
