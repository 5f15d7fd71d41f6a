/* Behaviours that publish and subscribe. */
#include "helper.h"

#include <covey/topic.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 60000 };

static int failed(const char *what, int code)
{
  helper_print(2, "%s: %s: %s\n", what, covey_errname(code), covey_last_failure()->what);
  return 100 - code;
}

static int64_t number(int argc, char **argv, int at, int64_t otherwise)
{
  return at < argc ? strtoll(argv[at], NULL, 0) : otherwise;
}

/* topic-publish TOPIC SUBSCRIBERS COUNT SIZE SLOW: waits for the subscribers and publishes COUNT messages, each its number as text and padding up to SIZE;
 * prints "published", and ends in order. */
static int do_publish(int argc, char **argv)
{
  covey_topic_options o = {.slow = (int32_t)number(argc, argv, 5, 0)};
  int64_t count = number(argc, argv, 3, 1);
  size_t size = (size_t)number(argc, argv, 4, 32);
  covey_topic *t;
  char *text = calloc(1, size + 32);
  int r = covey_topic_open(NULL, argv[1], &o, &t);
  if (r == 0) r = covey_topic_wait(t, (uint32_t)number(argc, argv, 2, 1), PATIENCE);
  for (int64_t i = 1; i <= count && r >= 0; i++) {
    snprintf(text, 32, "%lld", (long long)i);
    r = covey_publish(t, text, size, PATIENCE);
  }
  free(text);
  if (r < 0) return failed("publish", r);
  helper_print(1, "published\n");
  covey_topic_close(t);
  return covey_node_close(NULL, PATIENCE) < 0;
}

/* topic-listen PID TOPIC COUNT MAX: subscribes, tells PID so in group "back", takes COUNT messages, waits for a message that lets it go on, takes
 * all that is left, and tells PID how many came, how many were lost, the number of the last, and how it ended. */
static int do_listen(int argc, char **argv)
{
  int64_t pid = number(argc, argv, 1, 0), count = number(argc, argv, 3, 0), got = 0, last = 0;
  covey_subscribe_options o = {
      .pid = pid, .topic = argv[2], .timeout = PATIENCE, .max_count = (uint32_t)number(argc, argv, 4, 0)};
  covey_subscription *s;
  covey_message m;
  char text[64];
  int r = covey_topic_subscribe(NULL, &o, &s);
  if (r == 0) r = covey_send(NULL, pid, "back", "in", 2, PATIENCE);
  while (r == 0) {
    if (got == count && (r = covey_receive(NULL, NULL, 600000, &m)) == 0) covey_message_free(&m);
    if (r == 0 && (r = covey_topic_next(s, 600000, &m)) == 0) {
      int64_t n = strtoll(m.data, NULL, 10);
      if ((int64_t)m.lost != n - last - 1 && last) return failed("gap", COVEY_EPROTO);
      last = n;
      got++;
      covey_message_free(&m);
    }
  }
  if (r == COVEY_EPEERDIED) return 0; /* nobody to tell */
  snprintf(text, sizeof text, "%lld %llu %lld %d", (long long)got,
           (unsigned long long)covey_subscription_lost(s), (long long)last, r);
  covey_unsubscribe(s);
  r = covey_send(NULL, pid, "back", text, strlen(text), PATIENCE);
  if (r < 0) return failed("tell", r);
  return covey_node_close(NULL, PATIENCE) < 0;
}

const helper_behaviour helper_topic[] = {
    {"topic-publish", do_publish, "TOPIC SUBSCRIBERS COUNT SIZE SLOW: publishes"},
    {"topic-listen", do_listen, "PID TOPIC COUNT MAX: subscribes, and tells what came"},
    {NULL, NULL, NULL},
};
