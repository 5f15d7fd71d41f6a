#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static int split(int dialect, const char *line)
{
  char **words;
  size_t count;
  if (covey_split(dialect, line, strlen(line), &words, &count) < 0) {
    cli_failed("quote");
    return CLI_FAILED;
  }
  for (size_t i = 0; i < count; i++) printf("%s\n", words[i]);
  covey_free(words);
  return CLI_OK;
}

int cli_quote(int argc, char **argv)
{
  static const struct {
    const char *name;
    int dialect;
  } dialects[] = {{"sh", COVEY_DIALECT_SH},
                  {"argv", COVEY_DIALECT_ARGV},
                  {"cmd", COVEY_DIALECT_CMD},
                  {"powershell", COVEY_DIALECT_POWERSHELL}};
  if (argc < 2) return cli_missing(argv[0], "DIALECT");
  size_t d = 0;
  while (d < sizeof dialects / sizeof dialects[0] && strcmp(argv[1], dialects[d].name)) d++;
  if (d == sizeof dialects / sizeof dialects[0]) {
    fprintf(stderr, "covey quote: no dialect \"%s\": sh, argv, cmd, powershell\n", argv[1]);
    return CLI_USAGE;
  }
  bool lines = argc > 2 && !strcmp(argv[2], "--split");
  int first = 2 + (lines || (argc > 2 && !strcmp(argv[2], "--")));
  if (lines && argc != first + 1) return cli_missing(argv[0], "the one line to split");
  if (lines) return split(dialects[d].dialect, argv[first]);
  if (first == argc) return cli_missing(argv[0], "a WORD");
  char *text;
  if (covey_join(dialects[d].dialect, (const char *const *)(argv + first), (size_t)(argc - first), &text) <
      0) {
    cli_failed("quote");
    return CLI_FAILED;
  }
  printf("%s\n", text);
  covey_free(text);
  return CLI_OK;
}
