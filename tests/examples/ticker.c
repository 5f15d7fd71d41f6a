/* ticker.c: a program that publishes prices, and starts itself three times to listen: a latecomer gets the last price at once.
 *     covey_ticker [COUNT]     so many prices; 10 without COUNT */
#include <covey.h>
#include <stdio.h>
#include <stdlib.h>

enum { LISTENERS = 3 };
static int failed(const char *what)
{
  fprintf(stderr, "%s: %s\n", what, covey_last_failure()->what);
  return 1;
}

static int listener(void)
{
  covey_subscription *prices;
  covey_message m;
  if (covey_subscribe(NULL, covey_self_parent(), "prices", 30000, &prices) < 0) return failed("subscribe");
  int r = 0;
  while ((r = covey_topic_next(prices, 30000, &m)) == 0) {
    printf("%lld: %s%s, %llu missed\n", (long long)covey_self_pid(), (const char *)m.data,
           m.kind == COVEY_KIND_KEPT ? " (from before)" : "", (unsigned long long)m.lost);
    covey_message_free(&m);
  }
  covey_unsubscribe(prices);
  return r == COVEY_ECLOSED ? 0 : failed("next"); /* closed: the publisher has said all */
}

static int publisher(int count)
{
  int bad = 0;
  covey_topic_options keep = {.keep_last = 1, .slow = COVEY_SLOW_DROP_OLD};
  covey_topic *prices;
  covey_process *child[LISTENERS];
  char *self, text[32];
  if (covey_self_path(&self) < 0 || covey_topic_open(NULL, "prices", &keep, &prices) < 0)
    return failed("topic");
  covey_process_options options = {.argv = (const char *const[]){self, NULL}};
  for (uint32_t i = 0; i < LISTENERS; i++) {
    if (covey_node_spawn(NULL, &options, &child[i]) < 0) return failed("spawn");
    if (covey_topic_wait(prices, i + 1, 60000) < 0) return failed("wait");
    for (int k = 0; k < count; k++)
      if (covey_publish(prices, text, (size_t)snprintf(text, sizeof text, "%d.%02d", 100 + k, (int)i), 0) < 0)
        return failed("publish");
  }
  covey_topic_close(prices);
  for (int i = 0; i < LISTENERS; i++) {
    covey_exit end;
    bad |= covey_process_wait(child[i], 60000, &end) < 0 || end.code != 0;
    covey_process_close(child[i]);
  }
  covey_free(self);
  return covey_node_close(NULL, 5000) < 0 || bad;
}

int main(int argc, char **argv)
{
  return covey_self_is_child() ? listener() : publisher(argc > 1 ? atoi(argv[1]) : 10);
}
