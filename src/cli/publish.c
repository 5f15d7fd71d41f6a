#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct publish {
  const char *command;
  covey_topic *topic;
  int64_t timeout;
  uint64_t messages, copies, late; /* late: messages that some had no room for in time */
} publish;

static bool give(publish *p, const char *data, size_t size)
{
  int r = covey_publish(p->topic, data, size, p->timeout);
  if (r < 0 && r != COVEY_ETIMEDOUT) {
    cli_failed(p->command);
    return false;
  }
  p->messages++;
  p->late += r < 0;
  p->copies += r > 0 ? (uint64_t)r : 0;
  return true;
}

/* Each line of standard input, as it comes, without its end. */
static bool give_lines(publish *p)
{
  size_t size = 0, room = 0;
  char *line = NULL;
  bool good = true;
  for (int c = 0; good && c != EOF;) {
    c = getchar();
    if (size == room) {
      char *more = realloc(line, room = room ? 2 * room : 256);
      if (!more) good = false;
      if (more) line = more;
    }
    if (good && c != EOF && c != '\n') {
      line[size++] = (char)c;
    } else if (good && (c == '\n' || size)) {
      good = give(p, line, size);
      size = 0;
    }
  }
  free(line);
  if (!ferror(stdin)) return good;
  fprintf(stderr, "covey publish: standard input cannot be read\n");
  return false;
}

static bool slow_of(const char *word, int32_t *ret)
{
  static const char *const words[] = {"drop-new", "drop-old", "block", "end"};
  for (int32_t i = 0; word && i < 4; i++) {
    if (strcmp(word, words[i])) continue;
    *ret = i; /* as in topic.h */
    return true;
  }
  if (word) fprintf(stderr, "covey publish: --slow is drop-new, drop-old, block or end, not \"%s\"\n", word);
  return false;
}

/* Everything between the open topic and its end. */
static int run(publish *p, const cli_options *o, bool lines, int64_t subscribers)
{
  char *data = NULL;
  size_t size = 0;
  if (covey_topic_wait(p->topic, subscribers > UINT32_MAX ? UINT32_MAX : (uint32_t)subscribers, p->timeout) <
      0)
    return cli_failed(p->command);
  bool good = lines ? give_lines(p) : cli_words(o, &data, &size) && give(p, data, size);
  free(data);
  if (!good) return CLI_FAILED;
  if (p->late) {
    fprintf(stderr, "covey publish: %" PRIu64 " messages found no room with every subscriber in time\n",
            p->late);
    return CLI_TIMEOUT;
  }
  return CLI_OK;
}

int cli_publish(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  covey_topic_options how = {.slow = COVEY_SLOW_BLOCK};
  publish p = {.command = argv[0], .timeout = 5000};
  const char *own = NULL;
  bool lines = false, json = false;
  int64_t subscribers = 1;
  for (const char *name; (name = cli_next(&o));) {
    if (!strcmp(name, "--name")) {
      if (!(own = cli_value(&o))) return CLI_USAGE;
    } else if (!strcmp(name, "--wait")) {
      if (!cli_number(&o, cli_value(&o), 0, &subscribers)) return CLI_USAGE;
    } else if (!strcmp(name, "--timeout")) {
      if (!cli_number(&o, cli_value(&o), 1, &p.timeout)) return CLI_USAGE;
    } else if (!strcmp(name, "--slow")) {
      if (!slow_of(cli_value(&o), &how.slow)) return CLI_USAGE;
    } else if (!strcmp(name, "--keep")) {
      how.keep_last = 1;
    } else if (!strcmp(name, "--lines")) {
      lines = true;
    } else if (!strcmp(name, "--json")) {
      json = true;
    } else {
      return cli_unknown(&o);
    }
  }
  if (o.wrong) return CLI_USAGE;
  if (o.at == argc) return cli_missing(argv[0], "TOPIC");
  const char *topic = argv[o.at++];
  if (lines && o.at < argc) {
    fprintf(stderr, "covey publish: --lines reads standard input, \"%s\" is one word too many\n", argv[o.at]);
    return CLI_USAGE;
  }
  covey_node *node;
  if (covey_node_open(&(covey_node_options){.name = own}, &node) < 0) return cli_failed(argv[0]);
  int code = CLI_FAILED;
  if (covey_topic_open(node, topic, &how, &p.topic) < 0) {
    code = cli_failed(argv[0]);
  } else {
    fprintf(stderr, "%" PRId64 "\n", covey_self_pid());
    code = run(&p, &o, lines, subscribers);
  }
  covey_topic_close(p.topic);
  covey_node_close(node, p.timeout);
  if (json)
    printf("{\"messages\":%" PRIu64 ",\"copies\":%" PRIu64 ",\"late\":%" PRIu64 "}\n", p.messages, p.copies,
           p.late);
  return code;
}
