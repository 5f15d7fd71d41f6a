#include "cli/cli.h"

#include <stdio.h>

int cli_which(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  int code = CLI_OK;
  if (cli_next(&o)) return cli_unknown(&o);
  if (o.at == argc) return cli_missing(argv[0], "NAME");
  for (int i = o.at; i < argc; i++) {
    char *path;
    if (covey_which(argv[i], NULL, &path) < 0) {
      code = cli_failed(argv[0]);
      continue;
    }
    printf("%s\n", path);
    covey_free(path);
  }
  return code;
}
