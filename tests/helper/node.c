/* Behaviours that talk: receivers, senders, children with a connection. */
#include "helper.h"

#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 60000 };

static int64_t number(int argc, char **argv, int at, int64_t otherwise)
{
  return at < argc ? strtoll(argv[at], NULL, 0) : otherwise;
}

static const char *word(int argc, char **argv, int at)
{
  return at < argc && strcmp(argv[at], "-") != 0 ? argv[at] : NULL;
}

static int failed(const char *what, int code)
{
  const covey_failure *f = covey_last_failure();
  helper_print(2, "%s: %s, reached %d: %s\n", what, covey_errname(code), f->reached, f->what);
  return 100 - code;
}

static int reply(const covey_message *m, const void *data, size_t size)
{
  covey_send_options to = {.reply_to = m, .group = "back", .timeout = PATIENCE};
  return covey_message_send(NULL, &to, &(covey_buffer){data, size}, 1, NULL);
}

/* node-echo [GROUP [NAME]]: answers every message with its bytes, in group "back" of its sender; "quit" ends it. */
static int do_echo(int argc, char **argv)
{
  const char *group = word(argc, argv, 1);
  covey_node_options options = {.name = word(argc, argv, 2)};
  covey_node *node = NULL;
  int r = covey_node_open(&options, &node);
  if (r < 0) return failed("open", r);
  helper_print(1, "ready\n");
  for (;;) {
    covey_message m;
    r = covey_receive(node, group, PATIENCE, &m);
    if (r < 0) return failed("receive", r);
    bool quit = m.size == 4 && memcmp(m.data, "quit", 4) == 0;
    covey_send_options to = {.reply_to = &m, .group = "back", .timeout = PATIENCE};
    r = covey_message_send(node, &to, &(covey_buffer){m.data, m.size}, 1, NULL);
    covey_message_free(&m);
    if (r < 0) return failed("reply", r);
    if (quit) return covey_node_close(node, PATIENCE);
  }
}

/* node-sink PID: opens its node, tells PID "ready" in group "back", and never receives. */
static int do_sink(int argc, char **argv)
{
  int r = covey_send(NULL, number(argc, argv, 1, 0), "back", "ready", 5, PATIENCE);
  if (r < 0) return failed("send", r);
  helper_pause(600000);
  return HELPER_TIRED;
}

/* node-count PID GROUP COUNT SIZE: opens GROUP, tells PID "ready", receives COUNT messages of the pattern, tells PID how many were right. */
static int do_count(int argc, char **argv)
{
  int64_t pid = number(argc, argv, 1, 0), count = number(argc, argv, 3, 1), right = 0;
  const char *group = word(argc, argv, 2);
  size_t size = (size_t)number(argc, argv, 4, 0);
  unsigned char *wanted = malloc(size + 1);
  char text[32];
  int r = covey_group_open(NULL, group, NULL);
  if (r == 0) r = covey_send(NULL, pid, "back", "ready", 5, PATIENCE);
  for (int64_t i = 0; i < count && r == 0; i++) {
    covey_message m;
    r = covey_receive(NULL, group, PATIENCE, &m);
    if (r < 0) break;
    helper_pattern(wanted, size, (uint64_t)i);
    if (m.size == size && m.from.pid == pid && memcmp(m.data, wanted, size) == 0) right++;
    covey_message_free(&m);
  }
  free(wanted);
  if (r < 0) return failed("count", r);
  snprintf(text, sizeof text, "%lld", (long long)right);
  r = covey_send(NULL, pid, "back", text, strlen(text), PATIENCE);
  return r < 0 ? failed("tell", r) : covey_node_close(NULL, PATIENCE);
}

/* node-send PID GROUP COUNT SIZE: sends COUNT messages of the pattern and ends at once, without any close. */
static int do_send(int argc, char **argv)
{
  int64_t pid = number(argc, argv, 1, 0), count = number(argc, argv, 3, 1);
  size_t size = (size_t)number(argc, argv, 4, 0);
  unsigned char *data = malloc(size + 1);
  for (int64_t i = 0; i < count; i++) {
    helper_pattern(data, size, (uint64_t)i);
    int r = covey_send(NULL, pid, word(argc, argv, 2), data, size, PATIENCE);
    if (r < 0) return failed("send", r);
  }
  helper_exit(0);
  return 0;
}

/* node-send-later: the same, once its stdin has ended. */
static int do_send_later(int argc, char **argv)
{
  char c;
  while (helper_system_read(&c, 1) > 0) continue;
  return do_send(argc, argv);
}

/* node-send-in-vain PID: once its stdin has ended: sends while PID has no descriptor left, and is told so in time; answers with "y" on its stdout. */
static int do_send_in_vain(int argc, char **argv)
{
  char c;
  int64_t pid = number(argc, argv, 1, 0);
  while (helper_system_read(&c, 1) > 0) continue;
  int r = covey_send(NULL, pid, NULL, "x", 1, 0);
  if (r != COVEY_EAGAIN || covey_last_failure()->reached != COVEY_FAR_NOTHING) return failed("at once", r);
  for (int i = 0; i < 3; i++) {
    int64_t began = helper_now();
    r = covey_send(NULL, pid, NULL, "x", 1, 300);
    if (r != COVEY_ETIMEDOUT || covey_last_failure()->reached != COVEY_FAR_NOTHING)
      return failed("in time", r);
    if (helper_now() - began < 250) return failed("too early", r);
  }
  helper_write(1, "y", 1);
  r = covey_send(NULL, pid, NULL, "x", 1, PATIENCE);
  if (r < 0) return failed("later", r);
  covey_node_close(NULL, PATIENCE);
  return 0;
}

/* node-fork PID: connects to PID; a fork of it holds the connection until it is killed; tells PID the fork's number and ends. */
static int do_fork(int argc, char **argv)
{
  char text[32];
  int64_t pid = number(argc, argv, 1, 0);
  int r = covey_send(NULL, pid, NULL, "mine", 4, PATIENCE);
  if (r < 0) return failed("send", r);
  int64_t holder = helper_fork();
  if (holder == 0) helper_pause(PATIENCE);
  if (holder <= 0) helper_exit(HELPER_TIRED);
  snprintf(text, sizeof text, "%lld", (long long)holder);
  r = covey_send(NULL, pid, NULL, text, strlen(text), PATIENCE);
  helper_exit(r < 0);
  return 0;
}

/* node-open NAME: 0 when the name is free, else 100 - the code; holds it until its stdin ends. */
static int do_open(int argc, char **argv)
{
  covey_node_options options = {.name = word(argc, argv, 1)};
  covey_node *node;
  int r = covey_node_open(&options, &node);
  if (r < 0) return failed("open", r);
  helper_print(1, "ready\n");
  char c;
  while (helper_system_read(&c, 1) > 0) continue;
  return covey_node_close(node, PATIENCE);
}

/* node-beat MS: sends a number to its parent every MS milliseconds until it is asked to stop; ends with HELPER_STOPPED. */
static int do_beat(int argc, char **argv)
{
  int64_t pause = number(argc, argv, 1, 1000), n = 0;
  int r;
  if (!covey_self_is_child()) return 50;
  do {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)n++);
    r = covey_send(NULL, covey_self_parent(), NULL, text, strlen(text), PATIENCE);
    if (r < 0) return failed("beat", r);
    r = covey_self_wait_stop(pause);
  } while (r == COVEY_ETIMEDOUT);
  return r == 0 ? HELPER_STOPPED : failed("wait_stop", r);
}

/* node-stop: waits until it is asked to stop; says "ready" first; ends with HELPER_STOPPED. */
static int do_stop(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  int r = covey_self_wait_stop(0);
  if (r != COVEY_ETIMEDOUT) return failed("early", r);
  helper_print(1, "ready\n");
  r = covey_self_wait_stop(PATIENCE);
  return r == 0 ? HELPER_STOPPED : failed("wait_stop", r);
}

/* node-stop-later: says "ready" before it has used covey at all, ignores what the system has for asking, and connects 300 ms later; ends
 * with HELPER_STOPPED when it is asked over its connection. */
static int do_stop_later(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_ignore_requests();
  helper_print(1, "ready\n");
  helper_pause(300);
  int r = covey_self_wait_stop(PATIENCE);
  return r == 0 ? HELPER_STOPPED : failed("wait_stop", r);
}

/* self-path: writes where its program is, once its stdin has ended. */
static int do_self_path(int argc, char **argv)
{
  char c, *path = NULL;
  (void)argc;
  (void)argv;
  while (helper_system_read(&c, 1) > 0) continue;
  int r = covey_self_path(&path);
  if (r < 0) return failed("self_path", r);
  helper_print(1, "%s\n", path);
  covey_free(path);
  return 0;
}

/* node-kin: tells its parent "child PID PARENT" through the connection it was born with. */
static int do_kin(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  char text[100];
  snprintf(text, sizeof text, "%s %lld %lld", covey_self_is_child() ? "child" : "stranger",
           (long long)covey_self_pid(), (long long)covey_self_parent());
  int r = covey_send(NULL, covey_self_parent(), NULL, text, strlen(text), PATIENCE);
  return r < 0 ? failed("send", r) : covey_node_close(NULL, PATIENCE);
}

/* node-middle: a child that never touches covey and starts "node-claim" with all that it inherited; ends with its code. */
static int do_middle(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return (int)helper_start(1, (const char *const[]){"node-claim"}, 0) > 0 ? (helper_pause(2000), 0)
                                                                          : HELPER_NO_START;
}

/* node-claim: 0 when it is no child of covey. */
static int do_claim(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "%s\n", covey_self_is_child() ? "child" : "stranger");
  return covey_self_is_child();
}

/* node-answer: a child that answers what its parent sends, in group "back", until the parent goes. */
static int do_answer(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  for (;;) {
    covey_message m;
    int r = covey_receive(NULL, NULL, PATIENCE, &m);
    if (r < 0) return failed("receive", r);
    r = reply(&m, m.data, m.size);
    covey_message_free(&m);
    if (r < 0) return failed("reply", r);
  }
}

/* node-ping PID COUNT: has PID, which is node-echo, answer COUNT times; writes the milliseconds that all but the first took. */
static int do_ping(int argc, char **argv)
{
  int64_t pid = number(argc, argv, 1, 0), count = number(argc, argv, 2, 1), begin = 0;
  for (int64_t i = 0; i <= count; i++) {
    covey_message m;
    int r = covey_send(NULL, pid, NULL, "ping", 4, PATIENCE);
    if (r == 0) r = covey_receive(NULL, "back", PATIENCE, &m);
    if (r < 0) return failed("ping", r);
    covey_message_free(&m);
    if (i == 0) begin = covey_self_uptime();
  }
  helper_print(1, "%lld\n", (long long)(covey_self_uptime() - begin));
  return covey_node_close(NULL, PATIENCE);
}

const helper_behaviour helper_node[] = {
    {"node-echo", do_echo, "[GROUP [NAME]]: answers every message in group back"},
    {"node-sink", do_sink, "PID: tells PID that it is ready, never receives"},
    {"node-count", do_count, "PID GROUP COUNT SIZE: receives, tells how many were right"},
    {"node-send", do_send, "PID GROUP COUNT SIZE: sends and ends without a close"},
    {"node-send-later", do_send_later, "PID GROUP COUNT SIZE: the same, once its stdin has ended"},
    {"node-send-in-vain", do_send_in_vain, "PID: sends while it has no descriptor left, and once it has"},
    {"node-fork", do_fork, "PID: connects and ends; a fork of it holds the connection"},
    {"node-open", do_open, "NAME: opens a node and holds it"},
    {"node-beat", do_beat, "MS: sends to its parent until it is asked to stop"},
    {"node-stop", do_stop, "waits until it is asked to stop"},
    {"node-stop-later", do_stop_later,
     "connects late, and waits until it is asked to stop over its connection"},
    {"self-path", do_self_path, "writes the path of its program once its stdin has ended"},
    {"node-kin", do_kin, "tells its parent who it is"},
    {"node-middle", do_middle, "starts node-claim with all that it inherited"},
    {"node-claim", do_claim, "tells whether it is a child of covey"},
    {"node-answer", do_answer, "answers its parent"},
    {"node-ping", do_ping, "PID COUNT: has node-echo answer, writes how long it took"},
    {NULL, NULL, NULL},
};
