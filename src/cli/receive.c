#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Asked to stop is looked at every so many milliseconds. */
enum { LOOK_MS = 250 };

static void show(const cli_take *t, const covey_message *m)
{
  if (t->json) {
    printf("{\"%s\":", t->subscription ? "topic" : "group");
    cli_json(stdout, m->group);
    printf(",\"pid\":%" PRId64 ",\"lost\":%" PRIu64 ",", m->from.pid, m->lost);
    if (t->subscription) printf("\"kept\":%s,", m->kind == COVEY_KIND_KEPT ? "true" : "false");
    printf("\"size\":%zu,\"data\":", m->size);
    cli_json_bytes(stdout, m->data, m->size);
    printf("}\n");
    return;
  }
  if (m->lost && t->subscription) fprintf(stderr, "covey %s: %" PRIu64 " missed\n", t->command, m->lost);
  if (t->from) printf("%" PRId64 " ", m->from.pid);
  fwrite(m->data, 1, m->size, stdout);
  if (!t->raw) putchar('\n');
}

int cli_take_all(const cli_take *t)
{
  int64_t idle = 0;
  for (int64_t got = 0; t->count == 0 || got < t->count;) {
    int64_t slice = t->timeout && t->timeout - idle < LOOK_MS ? t->timeout - idle : LOOK_MS;
    covey_message m;
    int e = t->subscription ? covey_topic_next(t->subscription, slice, &m)
                            : covey_receive(t->node, t->group, slice, &m);
    if (e == COVEY_ETIMEDOUT) {
      idle += slice;
      if (t->timeout && idle >= t->timeout) {
        fprintf(stderr, "covey %s: no message for %" PRId64 " ms\n", t->command, t->timeout);
        return CLI_TIMEOUT;
      }
      if (covey_self_wait_stop(0) == 0) return CLI_OK;
      continue;
    }
    if (e == COVEY_ECLOSED && t->subscription) return CLI_OK; /* its end */
    if (e < 0) return cli_failed(t->command);
    idle = 0;
    got++;
    errno = 0;
    show(t, &m);
    covey_message_free(&m);
    if (!cli_flush()) return CLI_FAILED;
  }
  return CLI_OK;
}

typedef struct receive {
  cli_take take;
  const char *own;
  cli_where where;
} receive;

const cli_option cli_receive_options[] = {
    {"--group", "NAME", "group, else the default one; '*': all that are open", CLI_TEXT,
     .at = offsetof(receive, take.group)},
    {"--name", "NAME", "be reached by this name, not by our pid", CLI_TEXT, .at = offsetof(receive, own)},
    {"--count", "N", "end after N messages; default: go on until asked to stop", CLI_NUMBER,
     .at = offsetof(receive, take.count), 1},
    {"--timeout", "MS", "end when none came for so long (exit code 124)", CLI_NUMBER,
     .at = offsetof(receive, take.timeout), 1},
    {"--from", NULL, "put the sender's pid and a blank before each message", CLI_FLAG,
     .at = offsetof(receive, take.from)},
    {"--raw", NULL, "no line end behind a message", CLI_FLAG, .at = offsetof(receive, take.raw)},
    {"--json", NULL, "one object a line for each: group, pid, lost, size, data", CLI_FLAG,
     .at = offsetof(receive, take.json)},
    CLI_WHERE(offsetof(receive, where)),
    CLI_NO_MORE};

int cli_receive(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  receive r = {.take.command = argv[0]};
  if (cli_parse(&o, cli_receive_options, &r)) return CLI_USAGE;
  if (o.at < argc) {
    fprintf(stderr, "covey receive: \"%s\" is no option, and nothing else is taken\n", argv[o.at]);
    return CLI_USAGE;
  }
  int code = cli_node(argv[0], &r.where, r.own, true, &r.take.node);
  if (code) return code;
  fprintf(stderr, "%" PRId64 "\n", covey_self_pid());
  code = cli_take_all(&r.take);
  covey_node_close(r.take.node, 1000);
  return code;
}
