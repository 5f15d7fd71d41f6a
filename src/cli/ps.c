#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* The hour for what started within a day, else the date; local time. */
static const char *when(int64_t started, char text[32])
{
  time_t at = (time_t)(started / 1000), now = time(NULL);
  const struct tm *local = started < 0 ? NULL : localtime(&at);
  bool today = (int64_t)now * 1000 - started < DAY_MS;
  if (!local || !strftime(text, 32, today ? "%H:%M:%S" : "%Y-%m-%d", local)) return "-";
  return text;
}

static const char *size_text(int64_t bytes, char text[32])
{
  static const char units[] = "KMGT";
  double value = (double)bytes / 1024;
  size_t unit = 0;
  if (bytes < 0) return "-";
  for (; value >= 1000 && units[unit + 1]; unit++) value /= 1024;
  snprintf(text, 32, value < 10 && unit ? "%.1f%c" : "%.0f%c", value, units[unit]);
  return text;
}

static const char *time_text(const covey_found *f, char text[32])
{
  if (f->user_time < 0) return "-";
  int64_t seconds = (f->user_time + f->system_time) / 1000000;
  snprintf(text, 32, "%" PRId64 ":%02d", seconds / 60, (int)(seconds % 60));
  return text;
}

static const char *user_text(const covey_found *f, char text[32])
{
  if (f->user[0]) return f->user;
  if (f->sid[0]) return f->sid;
  if (f->uid < 0) return "-";
  snprintf(text, 32, "%" PRId64, f->uid);
  return text;
}

static void print_row(const covey_found *f, bool full)
{
  char user[32], start[32], memory[32], spent[32];
  printf("%7" PRId64 " %7" PRId64 " %-10.10s %10s %6s %7s ", f->pid, f->parent, user_text(f, user),
         when(f->started, start), size_text(f->memory, memory), time_text(f, spent));
  if (f->flags & COVEY_FOUND_KERNEL) printf("[");
  cli_print(stdout, full && f->command[0] ? f->command : f->name);
  if (f->flags & COVEY_FOUND_KERNEL) printf("]");
  if (f->flags & COVEY_FOUND_ZOMBIE) printf(" (ended)");
  if (f->flags & COVEY_FOUND_STOPPED) printf(" (stopped)");
  printf("\n");
}

static void json_text(const covey_found *f, uint32_t field, const char *name, const char *text)
{
  if (!(f->fields & field)) return;
  printf(", \"%s\": ", name);
  cli_json(stdout, text);
}

/* One object a line; what is not known is left out. */
static void print_json(const covey_found *f)
{
  static const char *const names[] = {"name", "exe", "cwd", "command", "user", "account", "memory", "times"};
  printf("{\"pid\": %" PRId64 ", \"parent\": %" PRId64 ", \"start\": %" PRIu64 ", \"started\": %" PRId64,
         f->pid, f->parent, f->start, f->started);
  json_text(f, COVEY_FIELD_NAME, "name", f->name);
  json_text(f, COVEY_FIELD_EXE, "exe", f->exe);
  json_text(f, COVEY_FIELD_CWD, "cwd", f->cwd);
  json_text(f, COVEY_FIELD_COMMAND, "command", f->command);
  if (f->fields & COVEY_FIELD_COMMAND) {
    printf(", \"argv\": [");
    for (uint32_t i = 0; i < f->argc; i++) {
      if (i) printf(", ");
      cli_json(stdout, f->argv[i]);
    }
    printf("]");
  }
  if ((f->fields & COVEY_FIELD_USER) && f->uid >= 0)
    printf(", \"uid\": %" PRId64 ", \"gid\": %" PRId64, f->uid, f->gid);
  if (f->sid[0]) json_text(f, COVEY_FIELD_USER, "sid", f->sid);
  json_text(f, COVEY_FIELD_ACCOUNT, "user", f->user);
  if (f->fields & COVEY_FIELD_MEMORY) printf(", \"memory\": %" PRId64, f->memory);
  if (f->fields & COVEY_FIELD_TIMES)
    printf(", \"user_time\": %" PRId64 ", \"system_time\": %" PRId64, f->user_time, f->system_time);
  if (f->flags & COVEY_FOUND_ZOMBIE) printf(", \"ended\": true");
  if (f->flags & COVEY_FOUND_KERNEL) printf(", \"kernel\": true");
  if (f->flags & COVEY_FOUND_STOPPED) printf(", \"stopped\": true");
  if (f->denied) {
    const char *between = "";
    printf(", \"denied\": [");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
      if (!(f->denied & 1U << i)) continue;
      printf("%s\"%s\"", between, names[i]);
      between = ", ";
    }
    printf("]");
  }
  printf("}\n");
}

static int list(const covey_find_options *options, bool full, bool json)
{
  covey_find_result found;
  if (covey_find(options, &found) < 0) return cli_failed("ps");
  if (found.count && !json)
    printf("%7s %7s %-10s %10s %6s %7s %s\n", "PID", "PARENT", "USER", "STARTED", "MEMORY", "TIME",
           full ? "COMMAND" : "NAME");
  for (size_t i = 0; i < found.count; i++) {
    if (json)
      print_json(&found.items[i]);
    else
      print_row(&found.items[i], full);
  }
  if (found.unjudged)
    fprintf(stderr, "covey ps: %zu more may be meant: they keep to themselves what is searched\n",
            found.unjudged);
  else if (!found.count)
    fprintf(stderr, "covey ps: no process is like that\n");
  int code = found.count ? CLI_OK : CLI_FAILED;
  covey_find_free(&found);
  return code;
}

typedef struct ps {
  covey_find_options find;
  bool full, json;
} ps;

#define BIT(bits) CLI_BIT, .at = offsetof(ps, find.flags), .bit = (bits)

const cli_option cli_ps_options[] = {
    {"--user", "U", "of this user: a name, a number, on Windows also a SID", CLI_TEXT,
     .at = offsetof(ps, find.user)},
    {"--pid", "PID", "this one", CLI_NUMBER, .at = offsetof(ps, find.pid), 1},
    {"--parent", "PID", "children of this one", CLI_NUMBER, .at = offsetof(ps, find.parent), 1},
    {"--tree", "PID", "this one and all that descend from it", CLI_NUMBER, .at = offsetof(ps, find.tree), 1},
    {"--ignore-case", NULL, "capital and small letters are alike in PATTERN", BIT(COVEY_FIND_CASELESS)},
    {"--literal", NULL, "PATTERN is a part of the text", BIT(COVEY_FIND_LITERAL)},
    {"--all", NULL, "zombies and parts of the kernel too", BIT(COVEY_FIND_ZOMBIES | COVEY_FIND_KERNEL)},
    {"--full", NULL, "command lines in place of names", CLI_FLAG, .at = offsetof(ps, full)},
    {"--json", NULL, "one object a line, with start stamp and command line; with --full all that is known",
     CLI_FLAG, .at = offsetof(ps, json)},
    CLI_NO_MORE};

int cli_ps(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  ps p = {.find.flags = COVEY_FIND_NOT_SELF};
  for (;;) {
    if (cli_parse(&o, cli_ps_options, &p)) return CLI_USAGE;
    if (o.at == argc) break;
    if (p.find.pattern) return cli_missing(argv[0], "one PATTERN, and no other word,");
    p.find.pattern = argv[o.at++];
  }
  p.find.fields = COVEY_FIELD_NAME | COVEY_FIELD_ACCOUNT | COVEY_FIELD_MEMORY | COVEY_FIELD_TIMES;
  if (p.full || p.json) p.find.fields |= COVEY_FIELD_COMMAND;
  if (p.full && p.json) p.find.fields = COVEY_FIELD_ALL;
  return list(&p.find, p.full, p.json);
}
