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

typedef struct call {
  covey_call_options to;
  int64_t most;
  cli_where where;
} call;

const cli_option cli_call_options[] = {
    {"--timeout", "MS", "for all of it, the answer too; default 5000", CLI_NUMBER,
     .at = offsetof(call, to.timeout), 1},
    {"--max", "BYTES", "longest answer; default 1048576", CLI_NUMBER, .at = offsetof(call, most), 1},
    CLI_WHERE(offsetof(call, where)),
    CLI_NO_MORE};

int cli_call(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  call c = {.to.timeout = 5000};
  if (cli_parse(&o, cli_call_options, &c)) return CLI_USAGE;
  int wrong = cli_whom(&o, &c.to.pid, &c.to.name);
  if (wrong) return wrong;
  if (o.at == argc) return cli_missing(argv[0], "FUNCTION");
  c.to.function = argv[o.at++];
  c.to.reply_max = (uint64_t)c.most > SIZE_MAX ? SIZE_MAX : (size_t)c.most;
  char *data = NULL;
  size_t size = 0;
  if (!cli_words(&o, &data, &size)) return CLI_FAILED;
  covey_reply reply;
  covey_node *node;
  int code = cli_node(argv[0], &c.where, NULL, false, &node);
  if (code) {
    free(data);
    return code;
  }
  if (covey_call_run(node, &c.to, &(covey_buffer){data, size}, 1, &reply) < 0) {
    code = cli_failed(argv[0]);
  } else {
    code = tell(&reply);
    covey_reply_free(&reply);
  }
  free(data);
  covey_node_close(node, c.to.timeout);
  return code;
}
