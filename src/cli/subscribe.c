#include "cli/cli.h"

#include <string.h>

int cli_subscribe(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  covey_subscribe_options to = {.timeout = 5000};
  cli_take t = {.command = argv[0]};
  int64_t room = 0;
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &to.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--count")) {
      if (!cli_number(&o, cli_value(&o), 1, &t.count)) return CLI_USAGE;
    } else if (!strcmp(name, "--idle")) {
      if (!cli_number(&o, cli_value(&o), 1, &t.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--room")) {
      if (!cli_number(&o, cli_value(&o), 1, &room)) return CLI_USAGE;
    } else if (!strcmp(name, "--raw")) {
      t.raw = true;
    } else if (!strcmp(name, "--json")) {
      t.json = true;
    } else {
      return cli_unknown(&o);
    }
  }
  int wrong = cli_whom(&o, &to.pid, &to.name);
  if (wrong) return wrong;
  if (o.at == argc) return cli_missing(argv[0], "TOPIC");
  to.topic = argv[o.at++];
  if (o.at < argc) {
    fprintf(stderr, "covey subscribe: \"%s\" is one word too many\n", argv[o.at]);
    return CLI_USAGE;
  }
  to.max_count = room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
  int code = covey_topic_subscribe(NULL, &to, &t.subscription) < 0 ? cli_failed(argv[0]) : cli_take_all(&t);
  covey_unsubscribe(t.subscription);
  covey_node_close(NULL, 1000);
  return code;
}
