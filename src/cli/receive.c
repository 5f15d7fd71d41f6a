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

int cli_receive(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  cli_take t = {.command = argv[0]};
  const char *own = NULL;
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--group")) {
      if (!(t.group = cli_value(&o))) return CLI_USAGE;
    } else if (!strcmp(name, "--name")) {
      if (!(own = cli_value(&o))) return CLI_USAGE;
    } else if (!strcmp(name, "--count")) {
      if (!cli_number(&o, cli_value(&o), 1, &t.count)) return CLI_USAGE;
    } else if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &t.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--from")) {
      t.from = true;
    } else if (!strcmp(name, "--raw")) {
      t.raw = true;
    } else if (!strcmp(name, "--json")) {
      t.json = true;
    } else {
      return cli_unknown(&o);
    }
  }
  if (o.wrong) return CLI_USAGE;
  if (o.at < argc) {
    fprintf(stderr, "covey receive: \"%s\" is no option, and nothing else is taken\n", argv[o.at]);
    return CLI_USAGE;
  }
  if (covey_node_open(&(covey_node_options){.name = own}, &t.node) < 0) return cli_failed(argv[0]);
  fprintf(stderr, "%" PRId64 "\n", covey_self_pid());
  int code = cli_take_all(&t);
  covey_node_close(t.node, 1000);
  return code;
}
