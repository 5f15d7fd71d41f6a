#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words with a blank between them; the caller frees it. */
static char *join_words(char **words, int count, size_t *ret_size)
{
  size_t size = 0;
  for (int i = 0; i < count; i++) size += strlen(words[i]) + (i > 0);
  char *text = malloc(size + 1), *at = text;
  if (!text) return NULL;
  for (int i = 0; i < count; i++) {
    if (i) *at++ = ' ';
    size_t n = strlen(words[i]);
    memcpy(at, words[i], n);
    at += n;
  }
  *ret_size = size;
  return text;
}

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
  if (o.wrong) return CLI_USAGE;
  if (o.at == argc) return cli_missing(argv[0], "PID or NAME");
  const char *whom = argv[o.at++];
  int number = cli_pid(argv[0], whom, &to.pid);
  if (number < 0) return -number;
  if (!number) to.name = whom;
  char *data = NULL;
  size_t size = 0;
  if (o.at < argc)
    data = join_words(argv + o.at, argc - o.at, &size);
  else if (!cli_read_input(&data, &size))
    return CLI_FAILED;
  if (!data) return CLI_FAILED;
  int code = CLI_OK;
  if (covey_message_send(NULL, &to, &(covey_buffer){data, size}, 1, NULL) < 0) code = cli_failed(argv[0]);
  free(data);
  if (covey_node_close(NULL, to.timeout) > 0 && code == CLI_OK) {
    fprintf(stderr, "covey send: the receiver ended before it told that it had the message\n");
    code = CLI_FAILED;
  }
  return code;
}
