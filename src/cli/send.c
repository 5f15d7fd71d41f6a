#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sending {
  covey_send_options to;
  cli_where where;
} sending;

static bool take_consumed(const cli_options *o, const char *value, void *into)
{
  (void)o;
  (void)value;
  ((sending *)into)->to.level = COVEY_LEVEL_CONSUMED;
  return true;
}

const cli_option cli_send_options[] = {
    {"--group", "NAME", "group, else the default one", CLI_TEXT, .at = offsetof(sending, to.group)},
    {"--timeout", "MS", "for the process, its group and room; default 5000", CLI_NUMBER,
     .at = offsetof(sending, to.timeout), 1},
    {"--consumed", NULL, "wait until the receiver has taken it", CLI_TAKE, .take = take_consumed},
    CLI_WHERE(offsetof(sending, where)),
    CLI_NO_MORE};

int cli_send(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  sending s = {.to.timeout = 5000};
  covey_node *node;
  if (cli_parse(&o, cli_send_options, &s)) return CLI_USAGE;
  int wrong = cli_whom(&o, &s.to.pid, &s.to.name);
  if (wrong) return wrong;
  char *data = NULL;
  size_t size = 0;
  if (!cli_words(&o, &data, &size)) return CLI_FAILED;
  int code = cli_node(argv[0], &s.where, NULL, false, &node);
  if (code) {
    free(data);
    return code;
  }
  if (covey_message_send(node, &s.to, &(covey_buffer){data, size}, 1, NULL) < 0) code = cli_failed(argv[0]);
  free(data);
  if (covey_node_close(node, s.to.timeout) > 0 && code == CLI_OK) {
    fprintf(stderr, "covey send: the receiver ended before it told that it had the message\n");
    code = CLI_FAILED;
  }
  return code;
}
