#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool take_consumed(const cli_options *o, const char *value, void *into)
{
  (void)o;
  (void)value;
  ((covey_send_options *)into)->level = COVEY_LEVEL_CONSUMED;
  return true;
}

const cli_option cli_send_options[] = {
    {"--group", "NAME", "group, else the default one", CLI_TEXT, .at = offsetof(covey_send_options, group)},
    {"--timeout", "MS", "for the process, its group and room; default 5000", CLI_NUMBER,
     .at = offsetof(covey_send_options, timeout), 1},
    {"--consumed", NULL, "wait until the receiver has taken it", CLI_TAKE, .take = take_consumed},
    CLI_NO_MORE};

int cli_send(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  covey_send_options to = {.timeout = 5000};
  if (cli_parse(&o, cli_send_options, &to)) return CLI_USAGE;
  int wrong = cli_whom(&o, &to.pid, &to.name);
  if (wrong) return wrong;
  char *data = NULL;
  size_t size = 0;
  if (!cli_words(&o, &data, &size)) return CLI_FAILED;
  int code = CLI_OK;
  if (covey_message_send(NULL, &to, &(covey_buffer){data, size}, 1, NULL) < 0) code = cli_failed(argv[0]);
  free(data);
  if (covey_node_close(NULL, to.timeout) > 0 && code == CLI_OK) {
    fprintf(stderr, "covey send: the receiver ended before it told that it had the message\n");
    code = CLI_FAILED;
  }
  return code;
}
