#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct publish {
  const char *command;
  covey_topic *topic;
  int64_t timeout;
  uint64_t messages, copies, late; /* late: messages that some had no room for in time */
  covey_topic_options how;
  const char *own;
  bool lines, json, keep;
  int64_t subscribers;
  cli_where where;
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

static const cli_name slow[] = {{"drop-new", COVEY_SLOW_DROP_NEW},
                                {"drop-old", COVEY_SLOW_DROP_OLD},
                                {"block", COVEY_SLOW_BLOCK},
                                {"end", COVEY_SLOW_END},
                                {NULL, 0}};

/* Everything between the open topic and its end. */
static int run(publish *p, const cli_options *o)
{
  char *data = NULL;
  size_t size = 0;
  if (covey_topic_wait(p->topic, p->subscribers > UINT32_MAX ? UINT32_MAX : (uint32_t)p->subscribers,
                       p->timeout) < 0)
    return cli_failed(p->command);
  bool good = p->lines ? give_lines(p) : cli_words(o, &data, &size) && give(p, data, size);
  free(data);
  if (!good) return CLI_FAILED;
  if (p->late) {
    fprintf(stderr, "covey publish: %" PRIu64 " messages found no room with every subscriber in time\n",
            p->late);
    return CLI_TIMEOUT;
  }
  return CLI_OK;
}

const cli_option cli_publish_options[] = {
    {"--name", "NAME", "be found by this name, not by our pid", CLI_TEXT, .at = offsetof(publish, own)},
    {"--wait", "N", "begin when there are N subscribers; default 1", CLI_NUMBER,
     .at = offsetof(publish, subscribers)},
    {"--timeout", "MS", "for the subscribers, and for room with each message; default 5000", CLI_NUMBER,
     .at = offsetof(publish, timeout), 1},
    {"--lines", NULL, "each line of standard input is a message, as it comes", CLI_FLAG,
     .at = offsetof(publish, lines)},
    {"--keep", NULL, "keep the last message for who subscribes later", CLI_FLAG,
     .at = offsetof(publish, keep)},
    {"--slow", "HOW", "a subscriber without room: drop-new, drop-old, block (default: wait for it), end",
     CLI_NAME, .at = offsetof(publish, how.slow), .names = slow},
    {"--json", NULL, "at the end one object: messages, copies, late", CLI_FLAG,
     .at = offsetof(publish, json)},
    CLI_WHERE(offsetof(publish, where)),
    CLI_NO_MORE};

int cli_publish(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  publish p = {.command = argv[0], .timeout = 5000, .how.slow = COVEY_SLOW_BLOCK, .subscribers = 1};
  if (cli_parse(&o, cli_publish_options, &p)) return CLI_USAGE;
  p.how.keep_last = p.keep;
  if (o.at == argc) return cli_missing(argv[0], "TOPIC");
  const char *topic = argv[o.at++];
  if (p.lines && o.at < argc) {
    fprintf(stderr, "covey publish: --lines reads standard input, \"%s\" is one word too many\n", argv[o.at]);
    return CLI_USAGE;
  }
  covey_node *node;
  int code = cli_node(argv[0], &p.where, p.own, true, &node);
  if (code) return code;
  if (covey_topic_open(node, topic, &p.how, &p.topic) < 0) {
    code = cli_failed(argv[0]);
  } else {
    fprintf(stderr, "%" PRId64 "\n", covey_self_pid());
    code = run(&p, &o);
  }
  covey_topic_close(p.topic);
  covey_node_close(node, p.timeout);
  if (p.json)
    printf("{\"messages\":%" PRIu64 ",\"copies\":%" PRIu64 ",\"late\":%" PRIu64 "}\n", p.messages, p.copies,
           p.late);
  return code;
}
