#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct receive {
  const char *group, *name;
  int64_t count, timeout;
  bool from, raw;
} receive;

/* Asked to stop is looked at every so many milliseconds. */
enum { LOOK_MS = 250 };

static int receive_all(const receive *r, covey_node *node)
{
  int64_t idle = 0;
  for (int64_t got = 0; r->count == 0 || got < r->count;) {
    int64_t slice = r->timeout && r->timeout - idle < LOOK_MS ? r->timeout - idle : LOOK_MS;
    covey_message m;
    int e = covey_receive(node, r->group, slice, &m);
    if (e == COVEY_ETIMEDOUT) {
      idle += slice;
      if (r->timeout && idle >= r->timeout) {
        fprintf(stderr, "covey receive: no message for %" PRId64 " ms\n", r->timeout);
        return CLI_TIMEOUT;
      }
      if (covey_self_wait_stop(0) == 0) return CLI_OK;
      continue;
    }
    if (e < 0) return cli_failed("receive");
    idle = 0;
    got++;
    errno = 0;
    if (r->from) printf("%" PRId64 " ", m.from.pid);
    fwrite(m.data, 1, m.size, stdout);
    if (!r->raw) putchar('\n');
    covey_message_free(&m);
    if (!cli_flush()) return CLI_FAILED;
  }
  return CLI_OK;
}

int cli_receive(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  receive r = {0};
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--group")) {
      if (!(r.group = cli_value(&o))) return CLI_USAGE;
    } else if (!strcmp(name, "--name")) {
      if (!(r.name = cli_value(&o))) return CLI_USAGE;
    } else if (!strcmp(name, "--count")) {
      if (!cli_number(&o, cli_value(&o), 1, &r.count)) return CLI_USAGE;
    } else if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &r.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--from")) {
      r.from = true;
    } else if (!strcmp(name, "--raw")) {
      r.raw = true;
    } else {
      return cli_unknown(&o);
    }
  }
  if (o.wrong) return CLI_USAGE;
  if (o.at < argc) {
    fprintf(stderr, "covey receive: \"%s\" is no option, and nothing else is taken\n", argv[o.at]);
    return CLI_USAGE;
  }
  covey_node *node;
  if (covey_node_open(&(covey_node_options){.name = r.name}, &node) < 0) return cli_failed(argv[0]);
  fprintf(stderr, "%" PRId64 "\n", covey_self_pid());
  int code = receive_all(&r, node);
  covey_node_close(node, 1000);
  return code;
}
