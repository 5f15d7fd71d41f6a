#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_send(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  covey_send_options to = {.timeout = 5000};
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--group")) {
      if (!(to.group = cli_value(&o))) return CLI_USAGE;
    } else if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &to.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--consumed")) {
      to.level = COVEY_LEVEL_CONSUMED;
    } else {
      return cli_unknown(&o);
    }
  }
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
