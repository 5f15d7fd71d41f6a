/* Behaviours with channels, and with handles in messages. */
#include "helper.h"

#include "os/handle.h"

#include <covey/channel.h>
#include <covey/process.h>
#include <covey/self.h>

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
    if (strcmp(m.data, "limit") == 0) most = helper_limit_for(atoi(argv[2]));
    if (strcmp(m.data, "free") == 0) most = 0;
    if (most < 0 || !helper_limit_handles(most)) return failed("limit", COVEY_EOS);
    covey_send_options to = {.reply_to = &m, .group = "back", .timeout = PATIENCE};
    r = covey_message_send(NULL, &to, &(covey_buffer){text, n}, 1, NULL);
    covey_message_free(&m);
  }
  covey_message_free(&m);
  return r < 0 ? failed("receive", r) : covey_node_close(NULL, PATIENCE);
}

/* handle-flood: sends handles to a child that does not run, until the system lets no more be on their way; that ends nothing but the message that it
 * hits, and whoever waits gets through when the child runs again. As a user without rights. */
static int do_flood(int argc, char **argv)
{
  enum { COUNT = 10, SPARE = 30, FLOOD = 100, LIMIT = 80, MOST = 64 };
  covey_native spare[SPARE]; /* their numbers are free behind the flood, for what is below the limit then */
  covey_native some[COUNT];
  covey_process *p;
  covey_peer *peer;
  char *self;
  int r = 0, sent = 0;
  (void)argc;
  (void)argv;
  if (covey_self_path(&self) < 0 || !helper_limit_handles(0)) return HELPER_NO_START;
  for (int i = 0; i < COUNT; i++)
    if ((r = cvos_null_open(&some[i])) < 0) return failed("null", r);
  for (int i = 0; i < SPARE; i++)
    if ((r = cvos_null_open(&spare[i])) < 0) return failed("null", r);
  const char *words[] = {self, "handle-count", "h", NULL};
  covey_process_options o = {.argv = words, .out.kind = COVEY_STDIO_NULL};
  covey_node_options sandboxed = {.flags = COVEY_NODE_NO_LISTEN};
  covey_node *node;
  r = covey_node_open(&sandboxed, &node);
  if (r == 0) r = covey_node_spawn(node, &o, &p);
  if (r == 0) r = covey_peer_open(node, &(covey_peer_options){.pid = covey_process_pid(p)}, &peer);
  if (r < 0) return failed("child", r);
  covey_send_options to = {.peer = peer, .group = "h", .timeout = PATIENCE};
  r = covey_message_send(node, &to, NULL, 0, NULL); /* its group is there */
  if (r == 0) r = covey_process_signal(p, COVEY_SIGNAL_STOP, COVEY_TARGET_LEADER);
  if (r < 0) return failed("stop", r);
  to.handles = some;
  to.handle_count = 1;
  to.timeout = 300;
  for (; sent < FLOOD && r == 0; sent += r == 0) r = covey_message_send(node, &to, NULL, 0, NULL);
  if (r < 0) return failed("flood", r);
  for (int i = 0; i < SPARE; i++) cvos_handle_close(spare[i]);
  if (!helper_limit_handles(LIMIT)) return HELPER_NOT_HERE;
  r = covey_message_send(node, &to, NULL, 0, NULL);
  if (r == 0) return HELPER_NOT_HERE;
  if (r != COVEY_ELIMIT || covey_last_failure()->stage != COVEY_STAGE_WRITE) return failed("one more", r);
  to.flags = COVEY_SEND_TRY;
  r = covey_message_send(node, &to, NULL, 0, NULL);
  if (r != COVEY_ELIMIT || covey_last_failure()->reached != COVEY_FAR_NOTHING) return failed("once", r);
  to.handle_count = 0;
  to.handles = NULL;
  r = covey_message_send(node, &to, NULL, 0, NULL);
  if (r < 0) return failed("without", r);
  r = covey_process_signal(p, COVEY_SIGNAL_CONT, COVEY_TARGET_LEADER);
  to.flags = 0;
  to.timeout = PATIENCE;
  to.handles = some;
  to.handle_count = COUNT;
  for (int i = 0; i < MOST && r == 0; i++) r = covey_message_send(node, &to, NULL, 0, NULL);
  if (r < 0) return failed("when it runs again", r);
  to.handles = NULL;
  to.handle_count = 0;
  r = covey_message_send(node, &to, &(covey_buffer){"how many", 8}, 1, NULL);
  covey_message m;
  if (r == 0) r = covey_receive(node, "back", PATIENCE, &m);
  if (r < 0) return failed("count", r);
  if (atoi(m.data) != sent + MOST * COUNT) return failed(m.data, COVEY_EOS);
  covey_message_free(&m);
  if (covey_peer_wait(peer, 0, NULL) != COVEY_ETIMEDOUT) return failed("another connection", 0);
  covey_peer_close(peer);
  covey_process_close(p);
  covey_free(self);
  return covey_node_close(node, PATIENCE) < 0;
}

/* handle-count GROUP: counts the handles that come with messages, and tells how many to whoever asks. */
static int do_count(int argc, char **argv)
{
  covey_message m;
  covey_native handle;
  int count = 0;
  (void)argc;
  int r = covey_group_open(NULL, argv[1], &(covey_group_options){.handles = 1, .max_count = 2000});
  while (r == 0 && (r = covey_receive(NULL, argv[1], PATIENCE, &m)) == 0) {
    for (uint32_t i = 0; i < m.handle_count; i++) {
      if (covey_message_take(&m, i, &handle) < 0) continue;
      cvos_handle_close(handle);
      count++;
    }
    char text[16];
    size_t n = (size_t)snprintf(text, sizeof text, "%d", count);
    covey_send_options to = {.reply_to = &m, .group = "back", .timeout = PATIENCE};
    if (m.size) r = covey_message_send(NULL, &to, &(covey_buffer){text, n}, 1, NULL);
    covey_message_free(&m);
  }
  return r < 0 ? failed("receive", r) : 0;
}

const helper_behaviour helper_channel[] = {
    {"handle-flood", do_flood,
     "too many descriptors on their way; tells what went wrong (Linux, a user without rights)"},
    {"handle-count", do_count, "GROUP: counts the handles that come"},
    {"handle-limit", do_limit, "GROUP SPARE: tells which handles came while descriptors are few (POSIX)"},
    {"channel-echo", do_echo, "ENDPOINT COUNT: sends back what comes over channels"},
    {"channel-send", do_send, "PID ENDPOINT COUNT SIZE die|close|hang: sends over a channel"},
    {"handle-keep", do_keep, "GROUP: takes a handle and keeps it until the next message"},
    {NULL, NULL, NULL},
};
