#include "cli/cli.h"

#include <string.h>

typedef struct subscribe {
  covey_subscribe_options to;
  cli_take take;
  int64_t room;
  cli_where where;
} subscribe;

const cli_option cli_subscribe_options[] = {
    {"--timeout", "MS", "for the process and its topic; default 5000", CLI_NUMBER,
     .at = offsetof(subscribe, to.timeout), 1},
    {"--count", "N", "end after N messages", CLI_NUMBER, .at = offsetof(subscribe, take.count), 1},
    {"--idle", "MS", "end when none came for so long (exit code 124)", CLI_NUMBER,
     .at = offsetof(subscribe, take.timeout), 1},
    {"--room", "N", "most messages that wait for us", CLI_NUMBER, .at = offsetof(subscribe, room), 1},
    {"--raw", NULL, "no line end behind a message", CLI_FLAG, .at = offsetof(subscribe, take.raw)},
    {"--json", NULL, "one object a line for each: topic, pid, lost, kept, size, data", CLI_FLAG,
     .at = offsetof(subscribe, take.json)},
    CLI_WHERE(offsetof(subscribe, where)),
    CLI_NO_MORE};

int cli_subscribe(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  subscribe s = {.to.timeout = 5000, .take.command = argv[0]};
  if (cli_parse(&o, cli_subscribe_options, &s)) return CLI_USAGE;
  int wrong = cli_whom(&o, &s.to.pid, &s.to.name);
  if (wrong) return wrong;
  if (o.at == argc) return cli_missing(argv[0], "TOPIC");
  s.to.topic = argv[o.at++];
  if (o.at < argc) {
    fprintf(stderr, "covey subscribe: \"%s\" is one word too many\n", argv[o.at]);
    return CLI_USAGE;
  }
  s.to.max_count = s.room > UINT32_MAX ? UINT32_MAX : (uint32_t)s.room;
  covey_node *node;
  int code = cli_node(argv[0], &s.where, NULL, false, &node);
  if (code) return code;
  code = covey_topic_subscribe(node, &s.to, &s.take.subscription) < 0 ? cli_failed(argv[0])
                                                                      : cli_take_all(&s.take);
  covey_unsubscribe(s.take.subscription);
  covey_node_close(node, 1000);
  return code;
}
