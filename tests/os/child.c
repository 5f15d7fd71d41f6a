#include "child.h"

#include "core/mem.h"
#include "core/quote.h"
#include "os/handle.h"

enum { LIMIT = 90000 }; /* a child may have hundreds of starts to do, many times slower than usual */

void child_request(cvos_spawn_request *q, const char *const *arguments)
{
  size_t count = 0;
  while (arguments[count]) count++;
  const char **argv = cvy_alloc((count + 2) * sizeof *argv);
  REQUIRE(argv != NULL);
  argv[0] = test_helper();
  memcpy(argv + 1, arguments, (count + 1) * sizeof *argv);
  char *line;
  REQUIRE_OK(cvy_command_line(argv, count + 1, &line));
  memset(q, 0, sizeof *q);
  q->file = test_helper();
  q->argv = argv;
  q->command_line = line;
  for (int i = 0; i < 3; i++) q->stdio[i] = CVOS_NONE;
}

void child_free_request(cvos_spawn_request *q)
{
  cvy_free((void *)(uintptr_t)q->argv);
  cvy_free((void *)(uintptr_t)q->command_line);
}

void child_start(child *c, const cvos_spawn_request *base, const char *const *arguments)
{
  static int number;
  cvos_spawn_request q;
  covey_failure failure;
  memset(&failure, 0, sizeof failure);
  memset(c, 0, sizeof *c);
  child_request(&q, arguments);
  if (base) {
    q.scope = base->scope;
    q.flags = base->flags;
    q.cwd = base->cwd;
    q.pass = base->pass;
    q.pass_count = base->pass_count;
    q.env = base->env;
    q.env_block = base->env_block;
  }
  c->output = test_format("%s/out%d", test_temp_dir(), ++number);
  REQUIRE_OK(cvos_null_open(&q.stdio[0]));
  REQUIRE_OK(cvos_file_open(c->output, CVOS_FILE_APPEND, &q.stdio[1]));
  q.stdio[2] = q.stdio[1];
  int r = cvos_spawn(&q, &c->process, &c->tree, &failure);
  if (r < 0)
    test_fail(TEST_HERE, true, "spawn: code %d stage %d system %d: %s", r, failure.stage, failure.system,
              failure.what);
  cvos_handle_close(q.stdio[0]);
  cvos_handle_close(q.stdio[1]);
  child_free_request(&q);
}

void child_finish(child *c)
{
  REQUIRE_OK(cvos_process_wait(&c->process, LIMIT));
  REQUIRE_OK(cvos_process_note(&c->process, &c->status));
  if (c->tree) CHECK_OK(cvos_tree_kill(c->tree));
  REQUIRE_OK(cvos_process_reap(&c->process, c->tree, &c->status));
  cvos_tree_release(c->tree);
  cvos_process_close(&c->process);
  c->tree = NULL;
}

typedef struct saying {
  child *c;
  const char *text;
  const char *got;
} saying;

static bool has_said(void *arg)
{
  saying *s = arg;
  s->got = test_read_file(s->c->output, NULL);
  return s->got && strstr(s->got, s->text);
}

const char *child_says(child *c, const char *text)
{
  saying s = {c, text, NULL};
  if (!test_wait_until(has_said, &s, LIMIT))
    test_fail(TEST_HERE, true, "%s did not come, but: %s", text, s.got ? s.got : "nothing");
  return s.got;
}

typedef struct counting {
  child *c;
  int n;
  int64_t value;
} counting;

static bool has_number(void *arg)
{
  counting *s = arg;
  const char *at = test_read_file(s->c->output, NULL);
  for (int i = 0; at && *at; i++) {
    const char *end = strchr(at, '\n');
    if (!end) return false;
    s->value = strtoll(at, NULL, 10);
    if (i == s->n) return true;
    at = end + 1;
  }
  return false;
}

int64_t child_number(child *c, int n)
{
  counting s = {c, n, 0};
  if (!test_wait_until(has_number, &s, LIMIT)) test_fail(TEST_HERE, true, "line %d did not come", n);
  return s.value;
}
