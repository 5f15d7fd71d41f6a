#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cli_next(cli_options *o)
{
  if (o->inlined) {
    fprintf(stderr, "covey %s: %s takes no value\n", o->argv[0], o->name);
    o->wrong = true;
    return NULL;
  }
  if (o->at >= o->argc) return NULL;
  const char *word = o->argv[o->at];
  if (word[0] != '-' || !word[1]) return NULL;
  o->at++;
  if (!strcmp(word, "--")) {
    o->ended = true;
    return NULL;
  }
  const char *equals = strchr(word, '=');
  size_t size = equals ? (size_t)(equals - word) : strlen(word);
  if (size >= sizeof o->name) size = sizeof o->name - 1;
  memcpy(o->name, word, size);
  o->name[size] = '\0';
  o->inlined = equals ? equals + 1 : NULL;
  return o->name;
}

const char *cli_value(cli_options *o)
{
  const char *value = o->inlined;
  o->inlined = NULL;
  if (value) return value;
  if (o->at < o->argc) return o->argv[o->at++];
  fprintf(stderr, "covey %s: %s needs a value\n", o->argv[0], o->name);
  return NULL;
}

bool cli_number(const cli_options *o, const char *text, int64_t least, int64_t *ret)
{
  if (!text) return false;
  char *end;
  errno = 0;
  int64_t n = strtoll(text, &end, 10);
  bool number = *text && !*end;
  if (errno && number) {
    fprintf(stderr, "covey %s: %s: %s is too large\n", o->argv[0], o->name, text);
    return false;
  }
  if (!number || n < least) {
    fprintf(stderr, "covey %s: %s takes a whole number from %" PRId64 " on, not \"%s\"\n", o->argv[0],
            o->name, least, text);
    return false;
  }
  *ret = n;
  return true;
}

bool cli_size(const char *text, uint64_t *ret)
{
  static const char units[] = "KMGT";
  char *end;
  errno = 0;
  uint64_t n = strtoull(text, &end, 10);
  const char *unit = *end ? strchr(units, *end) : NULL;
  if (*text < '0' || *text > '9' || errno || (*end && (!unit || end[1]))) return false;
  int shift = unit ? 10 * (int)(unit - units + 1) : 0;
  if (n > UINT64_MAX >> shift) return false;
  *ret = n << shift;
  return true;
}

static bool take_name(const cli_options *o, const cli_option *option, const char *value, int *ret)
{
  for (const cli_name *n = option->names; n->name; n++) {
    if (strcmp(n->name, value)) continue;
    *ret = n->value;
    return true;
  }
  fprintf(stderr, "covey %s: %s is one of", o->argv[0], o->name);
  for (const cli_name *n = option->names; n->name; n++) fprintf(stderr, " %s", n->name);
  fprintf(stderr, ", not \"%s\"\n", value);
  return false;
}

static bool take(cli_options *o, const cli_option *option, void *into)
{
  char *at = (char *)into + option->at;
  const char *value = option->value ? cli_value(o) : "";
  if (!value) return false;
  switch (option->kind) {
  case CLI_FLAG: *(bool *)at = true; return true;
  case CLI_BIT: *(uint32_t *)(void *)at |= option->bit; return true;
  case CLI_NUMBER: return cli_number(o, value, option->least, (int64_t *)(void *)at);
  case CLI_TEXT: *(const char **)(void *)at = value; return true;
  case CLI_NAME: return take_name(o, option, value, (int *)(void *)at);
  case CLI_TAKE: return option->take(o, value, into);
  default:
    if (cli_size(value, (uint64_t *)(void *)at)) return true;
    fprintf(stderr, "covey %s: %s takes bytes, such as 4096, 64K or 2G, not \"%s\"\n", o->argv[0], o->name,
            value);
    return false;
  }
}

const cli_name cli_signals[] = {
    {"HUP", COVEY_SIGNAL_HUP},   {"INT", COVEY_SIGNAL_INT},     {"QUIT", COVEY_SIGNAL_QUIT},
    {"ABRT", COVEY_SIGNAL_ABRT}, {"KILL", COVEY_SIGNAL_KILL},   {"USR1", COVEY_SIGNAL_USR1},
    {"USR2", COVEY_SIGNAL_USR2}, {"PIPE", COVEY_SIGNAL_PIPE},   {"ALRM", COVEY_SIGNAL_ALRM},
    {"TERM", COVEY_SIGNAL_TERM}, {"STOP", COVEY_SIGNAL_STOP},   {"CONT", COVEY_SIGNAL_CONT},
    {"TSTP", COVEY_SIGNAL_TSTP}, {"WINCH", COVEY_SIGNAL_WINCH}, {NULL, 0}};

int cli_signal(const char *text, const char *end)
{
  if (end - text > 3 && !strncmp(text, "SIG", 3)) text += 3;
  size_t size = (size_t)(end - text);
  for (const cli_name *s = cli_signals; s->name; s++)
    if (strlen(s->name) == size && !memcmp(s->name, text, size)) return s->value;
  int n = 0;
  for (; text < end && *text >= '0' && *text <= '9' && n < 128; text++) n = 10 * n + (*text - '0');
  return text == end && n > 0 && n < 128 ? COVEY_SIGNAL_RAW + n : 0;
}

int cli_parse(cli_options *o, const cli_option *table, void *into)
{
  while (!o->ended || o->inlined) {
    const char *name = cli_next(o);
    if (!name) break;
    const cli_option *option = table;
    while (option->name && strcmp(option->name, name)) option++;
    if (!option->name) return cli_unknown(o);
    if (!take(o, option, into)) return CLI_USAGE;
  }
  return o->wrong ? CLI_USAGE : CLI_OK;
}

int cli_pid(const char *command, const char *word, int64_t *ret)
{
  if (!*word || word[strspn(word, "0123456789")]) return 0;
  errno = 0;
  int64_t pid = strtoll(word, NULL, 10);
  if (errno || !pid) {
    fprintf(stderr, "covey %s: no process has the number %s\n", command, word);
    return -CLI_USAGE;
  }
  *ret = pid;
  return 1;
}

int cli_unknown(const cli_options *o)
{
  fprintf(stderr, "covey %s: no option %s; covey %s --help lists them\n", o->argv[0], o->name, o->argv[0]);
  return CLI_USAGE;
}

int cli_missing(const char *command, const char *what)
{
  fprintf(stderr, "covey %s: %s is missing; covey %s --help tells more\n", command, what, command);
  return CLI_USAGE;
}

/* What the text of a failure is about, where that text is a bare name. */
static const char *thing(int stage, const char *what)
{
  switch (stage) {
  case COVEY_STAGE_LOOKUP:
    if (!strncmp(what, "process ", 8)) return ""; /* looked for by its number */
    return "program ";
  case COVEY_STAGE_EXEC: return "program ";
  case COVEY_STAGE_INTERPRETER: return "interpreter ";
  case COVEY_STAGE_CWD: return "working directory ";
  default: return NULL;
  }
}

int cli_failed(const char *command)
{
  const covey_failure *f = covey_last_failure();
  const char *about = f->what[0] ? thing(f->stage, f->what) : NULL;
  fprintf(stderr, "covey %s: ", command);
  if (about)
    fprintf(stderr, "%s%s: %s", about, f->what, covey_strerror(f->code));
  else if (strchr(f->what, ' ') &&
           (f->code == COVEY_ENOPEER || f->code == COVEY_ENOGROUP || f->code == COVEY_EINVAL))
    fprintf(stderr, "%s", f->what); /* a whole sentence */
  else
    fprintf(stderr, "%s%s%s", covey_strerror(f->code), f->what[0] ? ": " : "", f->what);
  if (f->offset >= 0) fprintf(stderr, " (offset %" PRId64 ")", f->offset);
  if (f->code == COVEY_EOS) fprintf(stderr, " (system error %d)", f->system);
  fprintf(stderr, "\n");
  if (f->code == COVEY_EINVAL && (f->stage == COVEY_STAGE_ARGUMENTS || f->stage == COVEY_STAGE_ENVIRONMENT))
    return CLI_USAGE;
  return f->code == COVEY_ETIMEDOUT ? CLI_TIMEOUT : CLI_FAILED;
}

bool cli_flush(void)
{
  static bool told;
  if (fflush(stdout) == 0 && !ferror(stdout)) return true;
  if (!told) fprintf(stderr, "covey: standard output: %s\n", errno ? strerror(errno) : "cannot be written");
  told = true;
  return false;
}

bool cli_read_input(char **ret_data, size_t *ret_size)
{
  size_t size = 0, capacity = 64 * 1024;
  char *data = malloc(capacity);
  while (data) {
    size += fread(data + size, 1, capacity - size, stdin);
    if (size < capacity) break;
    char *more = capacity > SIZE_MAX / 2 ? NULL : realloc(data, capacity * 2);
    if (!more) {
      free(data);
      data = NULL;
      break;
    }
    data = more;
    capacity *= 2;
  }
  if (!data || ferror(stdin)) {
    fprintf(stderr, "covey: standard input: %s\n", data ? strerror(errno) : "out of memory");
    free(data);
    return false;
  }
  *ret_data = data;
  *ret_size = size;
  return true;
}

/* The words with a blank between them; the caller frees it. NULL: out of memory. */
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

bool cli_words(const cli_options *o, char **ret_data, size_t *ret_size)
{
  if (o->at == o->argc) return cli_read_input(ret_data, ret_size);
  char *data = join_words(o->argv + o->at, o->argc - o->at, ret_size);
  if (!data) fprintf(stderr, "covey %s: out of memory\n", o->argv[0]);
  *ret_data = data;
  return data != NULL;
}

int cli_whom(cli_options *o, int64_t *ret_pid, const char **ret_name)
{
  if (o->wrong) return CLI_USAGE;
  if (o->at == o->argc) return cli_missing(o->argv[0], "PID or NAME");
  const char *word = o->argv[o->at++];
  int number = cli_pid(o->argv[0], word, ret_pid);
  if (number < 0) return -number;
  if (!number) *ret_name = word;
  return CLI_OK;
}

int cli_node(const char *command, const cli_where *where, const char *name, bool listen, covey_node **ret)
{
  covey_node_options options = {.app = where->app,
                                .directory = where->directory,
                                .name = name,
                                .flags = listen ? 0 : COVEY_NODE_NO_LISTEN};
  *ret = NULL;
  if (!listen && !where->app && !where->directory) return CLI_OK;
  return covey_node_open(&options, ret) < 0 ? cli_failed(command) : CLI_OK;
}
