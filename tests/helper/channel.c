/* Behaviours with channels, and with handles in messages. */
#include "helper.h"

#include "os/handle.h"

#include <covey/channel.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 60000 };

static int failed(const char *what, int code)
{
  const covey_failure *f = covey_last_failure();
  helper_print(2, "%s: %s, reached %d: %s\n", what, covey_errname(code), f->reached, f->what);
  return 100 - code;
}

/* channel-echo ENDPOINT COUNT: sends back what comes over COUNT channels, one after the other, each until its end. */
static int do_echo(int argc, char **argv)
{
  covey_channel *c;
  covey_message m;
  for (int i = argc > 2 ? atoi(argv[2]) : 1; i > 0; i--) {
    int r = covey_channel_accept(NULL, argv[1], PATIENCE, &c);
    if (r < 0) return failed("accept", r);
    while ((r = covey_channel_receive(c, PATIENCE, &m)) == 0) {
      r = covey_channel_send(c, m.data, m.size, PATIENCE);
      covey_message_free(&m);
      if (r < 0) return failed("send", r);
    }
    if (r != COVEY_ECLOSED) return failed("receive", r);
    r = covey_channel_close(c, PATIENCE);
    if (r != 0) return failed("close", r);
  }
  return covey_node_close(NULL, PATIENCE);
}

/* channel-send PID ENDPOINT COUNT SIZE HOW: sends COUNT messages of the pattern, message number i from byte i on; then HOW: "die" at once, "close" the
 * channel first, or "hang" until it is ended. */
static int do_send(int argc, char **argv)
{
  covey_channel *c;
  if (argc < 6) return HELPER_USAGE;
  int64_t count = strtoll(argv[3], NULL, 10);
  size_t size = (size_t)strtoull(argv[4], NULL, 10);
  unsigned char *data = malloc(size + 1);
  covey_channel_options o = {.pid = strtoll(argv[1], NULL, 10), .endpoint = argv[2], .timeout = PATIENCE};
  int r = covey_channel_open(NULL, &o, &c);
  if (r < 0) return failed("open", r);
  for (int64_t i = 0; i < count; i++) {
    helper_pattern(data, size, (uint64_t)i);
    r = covey_channel_send(c, data, size, PATIENCE);
    if (r < 0) return failed("send", r);
  }
  if (strcmp(argv[5], "hang") == 0) helper_pause(600000);
  if (strcmp(argv[5], "close") == 0) r = covey_channel_close(c, PATIENCE);
  helper_exit(r != 0);
  return 0;
}

/* handle-keep GROUP: takes the handle of the first message, answers "have" in group "back", and ends with the next message. */
static int do_keep(int argc, char **argv)
{
  covey_message m, quit;
  covey_native handle;
  (void)argc;
  int r = covey_group_open(NULL, argv[1], &(covey_group_options){.handles = 1});
  if (r == 0) r = covey_receive(NULL, argv[1], PATIENCE, &m);
  if (r < 0) return failed("receive", r);
  r = covey_message_take(&m, 0, &handle);
  if (r < 0) return failed("take", r);
  covey_send_options to = {.reply_to = &m, .group = "back", .timeout = PATIENCE};
  r = covey_message_send(NULL, &to, &(covey_buffer){"have", 4}, 1, NULL);
  if (r == 0) r = covey_receive(NULL, argv[1], PATIENCE, &quit);
  helper_exit(r != 0);
  return 0;
}

/* The limit that leaves room for so many descriptors more; negative: none was found. */
static int64_t limit_for(int spare)
{
  enum { MOST = 8 };
  cvos_handle some[MOST], last = CVOS_NONE;
  int count = 0;
  if (cvos_null_open(&last) < 0) return -1;
  int64_t most = (int64_t)(intptr_t)last;
  cvos_handle_close(last);
  while (count < spare && count < MOST && cvos_null_open(&some[count]) == 0)
    most = (int64_t)(intptr_t)some[count++] + 1;
  for (int i = 0; i < count; i++) cvos_handle_close(some[i]);
  return count == spare ? most : -1;
}

/* handle-limit GROUP SPARE: answers each message in group "back": a letter for each handle (t: taken, l: COVEY_ELIMIT, ?: else), and how many descriptors
 * are open then. "limit" leaves room for SPARE, behind that; "free" lifts it; an empty message ends it. */
static int do_limit(int argc, char **argv)
{
  covey_message m = {0};
  covey_native handle;
  int64_t most = 0;
  int r = argc == 3 ? covey_group_open(NULL, argv[1], &(covey_group_options){.handles = 1}) : COVEY_EINVAL;
  while (r == 0 && (r = covey_receive(NULL, argv[1], PATIENCE, &m)) == 0 && m.size) {
    char text[64];
    size_t n = 0;
    for (uint32_t i = 0; i < m.handle_count; i++) {
      int code = covey_message_take(&m, i, &handle);
      text[n++] = code == 0 ? 't' : code == COVEY_ELIMIT ? 'l' : '?';
      if (code == 0) cvos_handle_close(handle);
    }
    helper_limit_handles(0); /* counting needs one */
    n += (size_t)snprintf(text + n, sizeof text - n, " %lld", (long long)cvos_handle_count());
    if (strcmp(m.data, "limit") == 0) most = limit_for(atoi(argv[2]));
    if (strcmp(m.data, "free") == 0) most = 0;
    if (most < 0 || !helper_limit_handles(most)) return failed("limit", COVEY_EOS);
    covey_send_options to = {.reply_to = &m, .group = "back", .timeout = PATIENCE};
    r = covey_message_send(NULL, &to, &(covey_buffer){text, n}, 1, NULL);
    covey_message_free(&m);
  }
  covey_message_free(&m);
  return r < 0 ? failed("receive", r) : covey_node_close(NULL, PATIENCE);
}

const helper_behaviour helper_channel[] = {
    {"handle-limit", do_limit, "GROUP SPARE: tells which handles came while descriptors are few (POSIX)"},
    {"channel-echo", do_echo, "ENDPOINT COUNT: sends back what comes over channels"},
    {"channel-send", do_send, "PID ENDPOINT COUNT SIZE die|close|hang: sends over a channel"},
    {"handle-keep", do_keep, "GROUP: takes a handle and keeps it until the next message"},
    {NULL, NULL, NULL},
};
