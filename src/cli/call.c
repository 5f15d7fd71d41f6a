#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* What the function has answered: bytes to standard output, or, with a status that is not 0, a line to standard error. */
static int tell(const covey_reply *reply)
{
  if (reply->status) {
    fprintf(stderr, "covey call: status %d%s", (int)reply->status, reply->size ? ": " : "");
    cli_print(stderr, reply->data);
    fputc('\n', stderr);
    return CLI_FAILED;
  }
  fwrite(reply->data, 1, reply->size, stdout);
  return cli_flush() ? CLI_OK : CLI_FAILED;
}

int cli_call(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  covey_call_options to = {.timeout = 5000};
  int64_t most = 0;
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &to.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--max")) {
      if (!cli_number(&o, cli_value(&o), 1, &most)) return CLI_USAGE;
    } else {
      return cli_unknown(&o);
    }
  }
  int wrong = cli_whom(&o, &to.pid, &to.name);
  if (wrong) return wrong;
  if (o.at == argc) return cli_missing(argv[0], "FUNCTION");
  to.function = argv[o.at++];
  to.reply_max = (uint64_t)most > SIZE_MAX ? SIZE_MAX : (size_t)most;
  char *data = NULL;
  size_t size = 0;
  if (!cli_words(&o, &data, &size)) return CLI_FAILED;
  covey_reply reply;
  int code;
  if (covey_call_run(NULL, &to, &(covey_buffer){data, size}, 1, &reply) < 0) {
    code = cli_failed(argv[0]);
  } else {
    code = tell(&reply);
    covey_reply_free(&reply);
  }
  free(data);
  covey_node_close(NULL, to.timeout);
  return code;
}
