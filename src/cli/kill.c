#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be ended: each process once, held by pid and start stamp. */
typedef struct target {
  int64_t pid;
  uint64_t start;
} target;

typedef struct job {
  covey_find_options find; /* what holds for every word: user, flags */
  target *targets;
  size_t count, capacity;
  bool tree, dry_run, sure, by_pattern;
  int signal; /* 0: the stop ladder */
  int64_t grace;
  int code;
} job;

/* ---- whom ---- */

static bool has(const job *j, const covey_found *f)
{
  for (size_t i = 0; i < j->count; i++)
    if (j->targets[i].pid == f->pid && j->targets[i].start == f->start) return true;
  return false;
}

/* Takes in what is found, and prints it. Returns how many were found, -1 on failure. */
static int take(job *j, const covey_find_options *find)
{
  covey_find_result found;
  if (covey_find(find, &found) < 0) {
    j->code = cli_failed("kill");
    return -1;
  }
  for (size_t i = 0; i < found.count; i++) {
    const covey_found *f = &found.items[i];
    if (has(j, f) || (f->flags & COVEY_FOUND_OPAQUE)) continue;
    if (j->count == j->capacity) {
      size_t capacity = j->capacity ? j->capacity * 2 : 64;
      target *targets = realloc(j->targets, capacity * sizeof *targets);
      if (!targets) {
        fprintf(stderr, "covey kill: out of memory\n");
        covey_find_free(&found);
        j->code = CLI_FAILED;
        return -1;
      }
      j->targets = targets;
      j->capacity = capacity;
    }
    j->targets[j->count++] = (target){f->pid, f->start};
    printf("%7" PRId64 " ", f->pid);
    cli_print(stdout, f->command[0] ? f->command : f->name);
    printf("\n");
  }
  int count = (int)found.count;
  covey_find_free(&found);
  return count;
}

/* A number is this process, and nobody else who has it later. */
static bool take_pid(job *j, int64_t pid)
{
  covey_find_options find = j->find;
  find.pid = pid;
  int count = take(j, &find);
  if (count == 0) {
    fprintf(stderr,
            "covey kill: %" PRId64
            " is covey itself, started it, is part of the kernel, or is another user's\n",
            pid);
    j->code = CLI_FAILED;
  }
  if (count <= 0) return false;
  if (!j->tree) return true;
  find.pid = 0;
  find.tree = pid;
  for (size_t i = 0; i < j->count; i++)
    if (j->targets[i].pid == pid) find.tree_start = j->targets[i].start;
  return take(j, &find) >= 0;
}

static bool take_pattern(job *j, const char *pattern)
{
  covey_find_options find = j->find;
  size_t first = j->count;
  find.pattern = pattern;
  j->by_pattern = true;
  int count = take(j, &find);
  if (count == 0) {
    fprintf(stderr, "covey kill: nothing matches \"%s\"\n", pattern);
    j->code = CLI_FAILED;
  }
  if (count < 0) return false;
  size_t roots = j->count;
  for (size_t i = first; j->tree && i < roots; i++) {
    find = j->find;
    find.tree = j->targets[i].pid;
    find.tree_start = j->targets[i].start;
    if (take(j, &find) < 0 && covey_last_failure()->code != COVEY_ENOTFOUND) return false;
  }
  return true;
}

/* ---- what ---- */

static bool asked(const job *j)
{
  char answer[16];
  if (!j->by_pattern || j->sure) return true;
  fprintf(stderr, "covey kill: end %s? [y/N] ", j->count == 1 ? "this one" : "all of these");
  fflush(stdout);
  fflush(stderr);
  if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y')) return true;
  fprintf(stderr, "covey kill: nothing was done; --yes does it without asking\n");
  return false;
}

static void send_signal(job *j)
{
  for (size_t i = 0; i < j->count; i++) {
    covey_process *p;
    int r = covey_process_adopt(j->targets[i].pid, j->targets[i].start, NULL, &p);
    if (r == COVEY_ENOTFOUND) continue; /* it has ended meanwhile */
    if (r == 0) {
      r = covey_process_signal(p, j->signal, COVEY_TARGET_LEADER);
      if (r < 0 && r != COVEY_ENOTFOUND) j->code = cli_failed("kill");
      covey_process_close(p);
    } else {
      j->code = cli_failed("kill");
    }
  }
}

/* Says why a process did not end: a kill tells what a ladder does not. */
static void say_why(const job *j, const covey_member *member)
{
  int r = member->result;
  for (size_t i = 0; r == COVEY_ESTUCK && i < j->count; i++) {
    covey_process *p;
    if (j->targets[i].pid != member->pid ||
        covey_process_adopt(member->pid, j->targets[i].start, NULL, &p) < 0)
      continue;
    int again = covey_process_kill(p);
    if (again < 0) r = again;
    covey_process_close(p);
  }
  fprintf(stderr, "covey kill: %" PRId64 ": %s\n", member->pid, covey_strerror(r));
}

static void stop_all(job *j)
{
  covey_manager *manager;
  covey_member *members = calloc(j->count, sizeof *members);
  if (!members || covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN}, &manager) < 0) {
    j->code = members ? cli_failed("kill") : CLI_FAILED;
    free(members);
    return;
  }
  for (size_t i = 0; i < j->count; i++) {
    int r = covey_manager_add(manager, j->targets[i].pid, j->targets[i].start);
    if (r < 0 && r != COVEY_ENOTFOUND) j->code = cli_failed("kill");
  }
  if (covey_manager_stop_all(manager, j->grace, members, j->count) < 0) j->code = cli_failed("kill");
  for (size_t i = 0; i < j->count && members[i].pid; i++) {
    if (!members[i].result && members[i].exit.why == COVEY_WHY_KILL)
      printf("%7" PRId64 " had to be killed\n", members[i].pid);
    if (!members[i].result) continue;
    say_why(j, &members[i]);
    j->code = CLI_FAILED;
  }
  covey_manager_free(manager);
  free(members);
}

/* ---- the words ---- */

static bool take_signal(const cli_options *o, const char *value, void *into)
{
  (void)o;
  int signal = ((job *)into)->signal = cli_signal(value, value + strlen(value));
  if (signal) return true;
  fprintf(stderr, "covey kill: no signal \"%s\": a number, or", value);
  for (const cli_name *s = cli_signals; s->name; s++) fprintf(stderr, " %s", s->name);
  fprintf(stderr, "\n");
  return false;
}

const cli_option cli_kill_options[] = {
    {"--tree", NULL, "with all that descend from them", CLI_FLAG, .at = offsetof(job, tree)},
    {"--grace", "MS", "between asking and killing; 0 kills at once; default 5000", CLI_NUMBER,
     .at = offsetof(job, grace)},
    {"--signal", "S", "only send this signal: TERM, KILL, STOP, CONT ... or the system's number", CLI_TAKE,
     .take = take_signal},
    {"--user", "U", "only this user's processes", CLI_TEXT, .at = offsetof(job, find.user)},
    {"--ignore-case", NULL, "capital and small letters are alike in PATTERN (over name or command line)",
     CLI_BIT, .at = offsetof(job, find.flags), .bit = COVEY_FIND_CASELESS},
    {"--dry-run", NULL, "only print them", CLI_FLAG, .at = offsetof(job, dry_run)},
    {"--yes", NULL, "a PATTERN is not asked about first", CLI_FLAG, .at = offsetof(job, sure)},
    CLI_NO_MORE};

int cli_kill(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  job j = {.grace = 5000,
           .find = {.flags = COVEY_FIND_NOT_SELF | COVEY_FIND_NOT_ANCESTORS,
                    .fields = COVEY_FIELD_NAME | COVEY_FIELD_COMMAND}};
  bool whole = true;
  if (cli_parse(&o, cli_kill_options, &j)) return CLI_USAGE;
  if (o.at == argc) return cli_missing(argv[0], "PID or PATTERN");
  for (int i = o.at; i < argc && whole; i++) {
    int64_t pid = 0;
    int number = cli_pid(argv[0], argv[i], &pid);
    if (number < 0) j.code = -number;
    whole = number >= 0 && (number ? take_pid(&j, pid) : take_pattern(&j, argv[i]));
  }
  if (whole && j.count && !j.dry_run) {
    if (!asked(&j)) {
      j.code = CLI_FAILED;
    } else if (j.signal) {
      send_signal(&j);
    } else {
      fflush(stdout);
      stop_all(&j);
    }
  }
  free(j.targets);
  return j.code;
}
