/* Behaviours that call and serve. */
#include "helper.h"

#include <covey/call.h>
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

static int64_t number(int argc, char **argv, int at, int64_t otherwise)
{
  return at < argc ? strtoll(argv[at], NULL, 0) : otherwise;
}

/* "echo": the same bytes. "size N": N bytes of the pattern. "status N": empty, with that status. "drop": no answer. "die": the
 * server ends at once. "quit": the server ends in order. "pid": its number. Returns 1 when it is to end. */
static int answer(covey_request *q)
{
  const char *text = q->data;
  if (strncmp(text, "size ", 5) == 0) {
    size_t size = (size_t)strtoull(text + 5, NULL, 10);
    unsigned char *data = malloc(size + 1);
    helper_pattern(data, size, 0);
    int r = covey_call_reply(q, 0, data, size);
    free(data);
    if (r == COVEY_ETOOBIG) covey_call_reply(q, r, "too big", 7);
  } else if (strncmp(text, "status ", 7) == 0) {
    covey_call_reply(q, (int32_t)strtol(text + 7, NULL, 10), NULL, 0);
  } else if (strcmp(text, "die") == 0) {
    helper_exit(3);
  } else if (strcmp(text, "pid") == 0) {
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)helper_pid());
    covey_call_reply(q, 0, digits, strlen(digits));
  } else if (strcmp(text, "drop") != 0) {
    covey_call_reply(q, 0, q->data, q->size);
  }
  return strcmp(text, "quit") == 0;
}

/* call-serve FUNCTION [NAME]: serves as answer() says. */
static int do_serve(int argc, char **argv)
{
  covey_node_options options = {.name = argc > 2 ? argv[2] : NULL};
  covey_node *node;
  int r = covey_node_open(&options, &node);
  if (r < 0) return failed("open", r);
  helper_print(1, "ready\n");
  for (int end = 0; !end;) {
    covey_request q;
    r = covey_call_receive(node, argv[1], PATIENCE, &q);
    if (r < 0) return failed("receive", r);
    end = answer(&q);
    covey_request_free(&q);
  }
  return covey_node_close(node, PATIENCE);
}

/* call-hold FUNCTION COUNT PID: takes COUNT requests, keeps them, tells PID so in group "back", and waits for its own end. */
static int do_hold(int argc, char **argv)
{
  int64_t count = number(argc, argv, 2, 1), pid = number(argc, argv, 3, 0);
  for (int64_t i = 0; i < count; i++) {
    covey_request q;
    int r = covey_call_receive(NULL, argv[1], PATIENCE, &q);
    if (r < 0) return failed("receive", r);
  }
  int r = covey_send(NULL, pid, "back", "held", 4, PATIENCE);
  if (r < 0) return failed("send", r);
  helper_pause(600000);
  return HELPER_TIRED;
}

/* call-ask PID FUNCTION COUNT: starts COUNT calls of PID, prints "asked", and waits for its own end, or for the first answer (3). */
static int do_ask(int argc, char **argv)
{
  int64_t count = number(argc, argv, 3, 1);
  covey_call_options o = {.pid = number(argc, argv, 1, 0), .function = argv[2], .reply_max = 100};
  covey_pending *last = NULL;
  covey_reply reply;
  for (int64_t i = 0; i < count; i++) {
    int r = covey_call_start(NULL, &o, &(covey_buffer){"x", 1}, 1, &last);
    if (r < 0) return failed("start", r);
  }
  helper_print(1, "asked\n");
  int r = covey_call_wait(last, 600000, &reply);
  return r < 0 ? failed("wait", r) : 3;
}

/* call-mutual PID COUNT SIZE: serves "fold" by calling "unfold" of the caller with the same bytes, and calls "fold" of PID COUNT times
 * meanwhile; tells PID in group "back" how many answers were right. */
static void fold(covey_request *q, void *arg)
{
  covey_reply reply;
  int64_t *calls = arg;
  covey_call_options o = {.pid = q->from.pid, .function = "unfold", .timeout = PATIENCE};
  if (covey_call_run(NULL, &o, &(covey_buffer){q->data, q->size}, 1, &reply) < 0) return;
  covey_call_reply(q, 0, reply.data, reply.size);
  covey_reply_free(&reply);
  ++*calls;
}

static int do_mutual(int argc, char **argv)
{
  int64_t pid = number(argc, argv, 1, 0), count = number(argc, argv, 2, 1), done = 0, right = 0;
  size_t size = (size_t)number(argc, argv, 3, 0);
  covey_pending **calls = calloc((size_t)count, sizeof *calls);
  unsigned char *data = malloc(size + 1);
  covey_reply reply;
  char text[32];
  int r = covey_serve(NULL, "fold", fold, &done);
  helper_pattern(data, size, 5);
  covey_call_options o = {.pid = pid, .function = "echo", .timeout = PATIENCE, .reply_max = size};
  for (int64_t i = 0; i < count && r == 0; i++)
    r = covey_call_start(NULL, &o, &(covey_buffer){data, size}, 1, &calls[i]);
  while (r == 0 && done < count) r = covey_serve_run(NULL, PATIENCE, NULL);
  for (int64_t i = 0; i < count && r == 0; i++) {
    r = covey_call_wait(calls[i], PATIENCE, &reply);
    if (r < 0) break;
    if (reply.size == size && memcmp(reply.data, data, size) == 0) right++;
    covey_reply_free(&reply);
    covey_call_close(calls[i]);
  }
  if (r < 0) return failed("mutual", r);
  snprintf(text, sizeof text, "%lld", (long long)right);
  r = covey_send(NULL, pid, "back", text, strlen(text), PATIENCE);
  free(calls);
  free(data);
  return r < 0 ? failed("tell", r) : covey_node_close(NULL, PATIENCE);
}

const helper_behaviour helper_call[] = {
    {"call-serve", do_serve, "FUNCTION [NAME]: serves what is asked for in words"},
    {"call-hold", do_hold, "FUNCTION COUNT PID: takes requests and keeps them"},
    {"call-ask", do_ask, "PID FUNCTION COUNT: calls, and waits for its own end"},
    {"call-mutual", do_mutual, "PID COUNT SIZE: calls PID and is called by it"},
    {NULL, NULL, NULL},
};
