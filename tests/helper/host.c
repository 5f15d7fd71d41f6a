/* Behaviours of programs under odd circumstances: streams closed at the start, no descriptor left, another user. What they use is the
 * public interface; what went wrong is written to a file, for there may be no stream to tell it on, or ("-") to stderr. */
#include "helper.h"

#include "core/atomics.h"
#include "os/handle.h"

#include <covey.h>

#include <uv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 30000, MOST = 100 };

static char report[4000];
static int problems;

static void wrong(const char *what, int64_t got)
{
  const covey_failure *f = covey_last_failure();
  size_t size = strlen(report);
  problems++;
  snprintf(report + size, sizeof report - size, "%s: %lld; last failure %s, stage %d, %s\n", what,
           (long long)got, covey_errname(f->code), f->stage, f->what);
}

static bool expect(const char *what, int64_t got, int64_t wanted)
{
  if (got != wanted) wrong(what, got);
  return got == wanted;
}

static int finish(const char *path)
{
  if (strcmp(path, "-") == 0) {
    helper_write(2, report, strlen(report));
    return problems ? 1 : 0;
  }
  FILE *f = fopen(path, "wb");
  if (!f) return HELPER_NO_OUTPUT;
  fputs(report, f);
  fclose(f);
  return problems ? 1 : 0;
}

static char *self;

#define HELPER(...) ((const char *const[]){self, __VA_ARGS__, NULL})

/* Runs the helper, its output captured and compared. */
static void run(const char *what, const char *const *argv, int in, const char *output)
{
  covey_process_options options = {.argv = argv, .in.kind = in, .timeout = PATIENCE};
  covey_result r;
  if (output) options.out.kind = COVEY_STDIO_CAPTURE;
  if (!expect(what, covey_run(&options, &r), 0)) return;
  if (!COVEY_EXIT_OK(&r.exit)) wrong(what, r.exit.code);
  if (output && strcmp(r.out, output) != 0) {
    wrong(what, (int64_t)r.out_size);
    wrong(r.out, 0);
  }
  covey_result_free(&r);
}

static void run_both(void)
{
  covey_process_options options = {.argv = HELPER("both", "70000", "50000"),
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE,
                                   .timeout = PATIENCE};
  covey_result r;
  if (!expect("both", covey_run(&options, &r), 0)) return;
  expect("bytes of out", (int64_t)r.out_size, 70000);
  expect("bytes of err", (int64_t)r.err_size, 50000);
  covey_result_free(&r);
}

/* A child that echoes lines through pipes, and one that answers messages: things that live while something else goes wrong. */
typedef struct living {
  covey_process *echo, *answer;
} living;

static living begin(void)
{
  covey_process_options echo = {
      .argv = HELPER("echo-line"), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE};
  covey_process_options answer = {
      .argv = HELPER("node-answer"), .out.kind = COVEY_STDIO_NULL, .err.kind = COVEY_STDIO_NULL};
  living l = {NULL, NULL};
  expect("echo", covey_spawn(&echo, &l.echo), 0);
  expect("answer", covey_node_spawn(NULL, &answer, &l.answer), 0);
  return l;
}

static void still_live(const living *l)
{
  char line[2] = "";
  covey_message m;
  expect("write to echo", covey_process_write(l->echo, "y\n", 2, PATIENCE), 2);
  for (int i = 0; i < 2; i++)
    expect("read from echo", covey_process_read(l->echo, COVEY_STDOUT, PATIENCE, line + i, 1), 1);
  if (memcmp(line, "y\n", 2) != 0) wrong("echo says", line[0]);
  expect("send", covey_send(NULL, covey_process_pid(l->answer), NULL, "question", 8, PATIENCE), 0);
  if (!expect("receive", covey_receive(NULL, "back", PATIENCE, &m), 0)) return;
  expect("the answer's size", (int64_t)m.size, 8);
  covey_message_free(&m);
}

static void finish_living(living *l)
{
  expect("the end of echo", covey_process_close_input(l->echo), 0);
  expect("wait for echo", covey_process_wait(l->echo, PATIENCE, NULL), 0);
  covey_process_close(l->echo);
  covey_process_close(l->answer);
  expect("close of the node", covey_node_close(NULL, PATIENCE) >= 0, 1);
}

/* host-streams FILE MASK: streams of MASK are closed. */
static int do_streams(int argc, char **argv)
{
  unsigned closed = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
  covey_message m;
  covey_loop *loop;
  covey_native handle;
  if (argc < 3 || covey_self_path(&self) < 0) return HELPER_USAGE;
  /* no child gets what stands behind it for a stream */
  if (!expect("loop", covey_loop_open(NULL, &loop), 0)) return finish(argv[1]);
  expect("its handle", covey_loop_handle(loop, &handle), 0);
  if (!helper_command_line() && (int64_t)(intptr_t)handle <= 2)
    wrong("its number", (int64_t)(intptr_t)handle);
  run_both();
  run("count", HELPER("count"), COVEY_STDIO_INHERIT, "0 pattern\n");
  run("say", HELPER("say", "nobody hears it"), COVEY_STDIO_NULL, NULL);
  if (!helper_command_line())
    run("handles", HELPER("handles", "0", "1", "2"), COVEY_STDIO_INHERIT, "0 open\n1 open\n2 open\n");
  living l = begin();
  still_live(&l);
  /* who writes to a stream that is closed hits nothing of ours */
  for (int i = 0; i < 3; i++)
    if (closed & 1u << i) helper_system_write(i, "garbage", 7);
  still_live(&l);
  expect("to ourselves", covey_send(NULL, covey_self_pid(), NULL, "x", 1, PATIENCE), 0);
  if (expect("from ourselves", covey_receive(NULL, NULL, PATIENCE, &m), 0)) covey_message_free(&m);
  finish_living(&l);
  run_both();
  covey_loop_close(loop);
  covey_free(self);
  return finish(argv[1]);
}

static uint32_t hands_end; /* atomic */

static void hands(void *arg)
{
  (void)arg;
  while (!cvy_load_relaxed_u32(&hands_end)) {
    cvos_handle null = CVOS_NONE;
    if (cvos_null_open(&null) == 0) cvos_handle_close(null);
  }
}

/* host-hands FILE: loops come and go while other threads have the numbers of streams that are closed for a moment. */
static int do_hands(int argc, char **argv)
{
  enum { THREADS = 2, LOOPS = 2000 };
  covey_loop_options options = {.flags = COVEY_LOOP_NO_THREAD};
  covey_loop *loops[4];
  uv_thread_t threads[THREADS];
  if (argc < 2) return HELPER_USAGE;
  /* what libuv has for the whole program it opens with the first loop, and closes at the exit */
  if (!expect("first loop", covey_loop_open(&options, &loops[0]), 0)) return finish(argv[1]);
  covey_loop_close(loops[0]);
  for (int i = 0; i < THREADS; i++) expect("thread", uv_thread_create(&threads[i], hands, NULL), 0);
  for (int i = 0; i < LOOPS; i++) {
    covey_loop **slot = &loops[i % 4];
    if (i >= 4) covey_loop_close(*slot);
    *slot = NULL;
    expect("loop", covey_loop_open(&options, slot), 0);
  }
  for (int i = 0; i < 4; i++) covey_loop_close(loops[i]);
  cvy_store_relaxed_u32(&hands_end, 1);
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
  return finish(argv[1]);
}

/* ---- no descriptor left ---- */

/* The limit that leaves room for so many descriptors more; negative: none was found. */
int64_t helper_limit_for(int spare)
{
  enum { SPARE_MOST = 8 };
  cvos_handle some[SPARE_MOST], last = CVOS_NONE;
  int count = 0;
  if (cvos_null_open(&last) < 0) return -1;
  int64_t most = (int64_t)(intptr_t)last;
  cvos_handle_close(last);
  while (count < spare && count < SPARE_MOST && cvos_null_open(&some[count]) == 0)
    most = (int64_t)(intptr_t)some[count++] + 1;
  for (int i = 0; i < count; i++) cvos_handle_close(some[i]);
  return count == spare ? most : -1;
}

static int step_loop(void)
{
  covey_loop *loop;
  int r = covey_loop_open(NULL, &loop);
  if (r == 0) covey_loop_close(loop);
  return r;
}

static int step_spawn(void)
{
  covey_process_options options = {.argv = HELPER("nothing"),
                                   .in.kind = COVEY_STDIO_PIPE,
                                   .out.kind = COVEY_STDIO_PIPE,
                                   .err.kind = COVEY_STDIO_CAPTURE};
  covey_process *p;
  int r = covey_spawn(&options, &p);
  if (r < 0) return r;
  expect("wait under the limit", covey_process_wait(p, PATIENCE, NULL), 0);
  covey_process_close(p);
  return 0;
}

static int step_run(void)
{
  covey_process_options options = {.argv = HELPER("both", "3000", "2000"),
                                   .input = "x",
                                   .input_size = 1,
                                   .out.kind = COVEY_STDIO_CAPTURE,
                                   .err.kind = COVEY_STDIO_CAPTURE};
  covey_result result;
  int r = covey_run(&options, &result);
  if (r == 0) covey_result_free(&result);
  return r;
}

static int step_node(void)
{
  covey_node *node;
  int r = covey_node_open(&(covey_node_options){.name = "poor"}, &node);
  if (r == 0) expect("close of a poor node", covey_node_close(node, PATIENCE), 0);
  return r;
}

static int step_node_spawn(void)
{
  covey_process_options options = {
      .argv = HELPER("nothing"), .out.kind = COVEY_STDIO_NULL, .err.kind = COVEY_STDIO_NULL};
  covey_process *p;
  int r = covey_node_spawn(NULL, &options, &p);
  if (r < 0) return r;
  expect("wait for a child of a node", covey_process_wait(p, PATIENCE, NULL), 0);
  covey_process_close(p);
  return 0;
}

static int step_adopt(void)
{
  covey_process *p;
  int r = covey_process_adopt(covey_self_parent(), 0, NULL, &p);
  if (r == 0) covey_process_close(p);
  return r;
}

static int step_manager(void)
{
  covey_manager *m;
  int r = covey_manager_new(NULL, &m);
  if (r == 0) covey_manager_free(m);
  return r;
}

static int step_cancel(void)
{
  covey_cancel *c;
  int r = covey_cancel_new(&c);
  if (r == 0) covey_cancel_free(c);
  return r;
}

/* host-poor FILE: every call under every limit works or says COVEY_ELIMIT; what was there goes on, and nothing is left. */
static int do_poor(int argc, char **argv)
{
  static const struct {
    const char *name;
    int (*run)(void);
    bool fails; /* it needs a descriptor of its own */
  } steps[] = {
      {"loop", step_loop, true},        {"spawn", step_spawn, true},           {"run", step_run, true},
      {"node", step_node, true},        {"node spawn", step_node_spawn, true}, {"adopt", step_adopt, true},
      {"manager", step_manager, false}, {"cancel", step_cancel, false}};
  if (argc < 2 || covey_self_path(&self) < 0) return HELPER_USAGE;
  if (!helper_limit_handles(0)) return HELPER_NOT_HERE;
  int64_t us = covey_self_pid();
  living l = begin();
  still_live(&l);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
    expect(steps[i].name, steps[i].run(), 0); /* what is kept is made */
  for (size_t i = 0; i < sizeof steps / sizeof *steps && !problems; i++) {
    int failed = 0, worked = 0;
    for (int64_t most = 3; most < MOST; most++) {
      helper_limit_handles(most);
      int r = steps[i].run();
      expect("our number", covey_self_pid(), us);
      int code = covey_last_failure()->code;
      helper_limit_handles(0);
      if (r == 0)
        worked++;
      else if (r == COVEY_ELIMIT && code == COVEY_ELIMIT)
        failed++;
      else
        wrong(steps[i].name, r);
    }
    if (!worked || !failed != !steps[i].fails) wrong(steps[i].name, failed);
    still_live(&l);
  }
  finish_living(&l);
  covey_free(self);
  return finish(argv[1]);
}

/* While spare descriptors are left: who connects is told in time that he cannot, and comes in as soon as he can. */
static void full_but(int spare, const living *l, const char *pid)
{
  covey_message m;
  covey_process *p;
  char told = 0;
  covey_process_options later = {
      .argv = HELPER("node-send-in-vain", pid), .in.kind = COVEY_STDIO_PIPE, .out.kind = COVEY_STDIO_PIPE};
  if (!expect("the sender", covey_spawn(&later, &p), 0)) return;
  int64_t most = helper_limit_for(spare);
  expect("a limit", helper_limit_handles(most), 1);
  expect("let it go", covey_process_close_input(p), 0);
  expect("what it is told", covey_process_read(p, COVEY_STDOUT, PATIENCE, &told, 1), 1);
  if (told != 'y') wrong("not what is expected", told);
  expect("while there is none", covey_receive(NULL, NULL, 100, &m), COVEY_ETIMEDOUT);
  still_live(l);
  helper_limit_handles(0);
  if (expect("when there is one", covey_receive(NULL, NULL, PATIENCE, &m), 0)) {
    expect("who", m.from.pid, covey_process_pid(p));
    covey_message_free(&m);
  }
  expect("its end", covey_process_wait(p, PATIENCE, NULL), 0);
  covey_process_close(p);
}

/* host-full FILE: while there is no descriptor left, or not enough of them, nobody can connect; who tries waits, and comes in later. */
static int do_full(int argc, char **argv)
{
  char pid[24];
  if (argc < 2 || covey_self_path(&self) < 0) return HELPER_USAGE;
  if (!helper_limit_handles(0)) return HELPER_NOT_HERE;
  snprintf(pid, sizeof pid, "%lld", (long long)covey_self_pid());
  living l = begin();
  still_live(&l);
  for (int spare = 0; spare < 2; spare++)
    full_but(spare, &l, pid); /* a connection takes two: itself, and who is there */
  finish_living(&l);
  covey_free(self);
  return finish(argv[1]);
}

/* ---- another user ---- */

/* host-foreign FILE PID: PID is another user's. */
static int do_foreign(int argc, char **argv)
{
  int64_t pid = argc > 2 ? strtoll(argv[2], NULL, 10) : 0, before = helper_now();
  covey_process *p;
  covey_exit e;
  if (pid <= 0) return HELPER_USAGE;
  covey_node *node; /* it leaves no directory of its own */
  if (!expect("node", covey_node_open(&(covey_node_options){.flags = COVEY_NODE_NO_LISTEN}, &node), 0))
    return finish(argv[1]);
  expect("send", covey_send(node, pid, NULL, "x", 1, PATIENCE), COVEY_EDENIED);
  expect("its stage", covey_last_failure()->stage, COVEY_STAGE_VERIFY);
  expect("how far", covey_last_failure()->reached, COVEY_FAR_NOTHING);
  if (helper_now() - before > PATIENCE / 2) wrong("not at once", helper_now() - before);
  expect("send once", covey_send(node, pid, NULL, "x", 1, 0), COVEY_EDENIED);
  if (expect("adopt", covey_process_adopt(pid, 0, NULL, &p), 0)) {
    expect("kill", covey_process_kill(p), COVEY_EACCES);
    expect("signal", covey_process_signal(p, COVEY_SIGNAL_TERM, COVEY_TARGET_LEADER), COVEY_EACCES);
    expect("stop", covey_process_stop(p, 0, &e), COVEY_EACCES);
    expect("wait", covey_process_wait(p, 0, &e), COVEY_ETIMEDOUT);
    covey_process_close(p);
  }
  covey_node_close(node, PATIENCE);
  return finish(argv[1]);
}

static void refused(const char *what, const covey_process_options *options, int stage)
{
  covey_process *p;
  if (!expect(what, covey_spawn(options, &p), COVEY_EACCES)) return;
  expect(what, covey_last_failure()->stage, stage);
}

/* host-shut-out FILE DIRECTORY: nobody may enter DIRECTORY, which holds a program and a file called "there". */
static int do_shut_out(int argc, char **argv)
{
  char there[1000];
  if (argc < 3 || covey_self_path(&self) < 0) return HELPER_USAGE;
  snprintf(there, sizeof there, "%s/there", argv[2]);
  covey_process_options cwd = {.argv = HELPER("nothing"), .cwd = argv[2]};
  covey_process_options in = {.argv = HELPER("nothing"), .in = {.kind = COVEY_STDIO_FILE, .path = there}};
  covey_process_options out = {.argv = HELPER("nothing"), .out = {.kind = COVEY_STDIO_FILE, .path = there}};
  covey_process_options program = {.argv = (const char *const[]){there, NULL}};
  refused("cwd", &cwd, COVEY_STAGE_CWD);
  refused("in", &in, COVEY_STAGE_STDIO);
  refused("out", &out, COVEY_STAGE_STDIO);
  refused("program", &program, COVEY_STAGE_LOOKUP);
  covey_free(self);
  return finish(argv[1]);
}

static void launch_refused(const char *what, covey_launch launch, int stage)
{
  refused(what, &(covey_process_options){.argv = HELPER("nothing"), .launch = &launch}, stage);
}

/* host-launch FILE: what nobody gives to a child who has no rights himself. */
static int do_launch(int argc, char **argv)
{
  const covey_limit more = {.kind = COVEY_LIMIT_CORE, .soft = 1, .hard = 1};
  const char *const groups[] = {"0", NULL};
  if (argc < 2 || covey_self_path(&self) < 0) return HELPER_USAGE;
  launch_refused("user", (covey_launch){.user = "0"}, COVEY_STAGE_USER);
  launch_refused("group", (covey_launch){.group = "0"}, COVEY_STAGE_USER);
  launch_refused("groups", (covey_launch){.groups = groups}, COVEY_STAGE_USER);
  launch_refused("limits", (covey_launch){.limits = &more, .limit_count = 1}, COVEY_STAGE_LIMITS);
  launch_refused("priority", (covey_launch){.priority = COVEY_PRIORITY_HIGHEST}, COVEY_STAGE_LIMITS);
  covey_free(self);
  return finish(argv[1]);
}

/* closed MASK BEHAVIOUR [ARG...]: without the streams of MASK. */
static int do_closed(int argc, char **argv)
{
  return argc > 2 ? helper_without_streams((unsigned)atoi(argv[1]), argc - 2, argv + 2) : HELPER_USAGE;
}

/* as USER BEHAVIOUR [ARG...]: as another user. */
static int do_as(int argc, char **argv)
{
  if (argc < 3) return HELPER_USAGE;
  return helper_become(strtoll(argv[1], NULL, 10)) ? helper_run(argc - 2, argv + 2) : HELPER_NOT_HERE;
}

/* multiply: starts itself, and each of these does, without end. */
static int do_multiply(int argc, char **argv)
{
  const char *child[] = {"multiply"};
  (void)argc;
  (void)argv;
  for (int64_t end = helper_now() + 600000; helper_now() < end;)
    if (helper_start(1, child, HELPER_QUIET) < 0) helper_pause(1);
  return HELPER_TIRED;
}

const helper_behaviour helper_host[] = {
    {"multiply", do_multiply, "starts itself without end: only under a limit"},
    {"host-streams", do_streams, "FILE MASK: processes and messages while the streams of MASK are closed"},
    {"host-hands", do_hands,
     "FILE: loops, while other threads take and leave the lowest numbers of descriptors"},
    {"host-poor", do_poor, "FILE: processes and messages under every limit on descriptors"},
    {"host-full", do_full, "FILE: somebody connects while there is no descriptor left"},
    {"host-foreign", do_foreign, "FILE PID: what can be done to another user's process"},
    {"host-shut-out", do_shut_out, "FILE DIRECTORY: starts what it may not"},
    {"host-launch", do_launch, "FILE: starts what it may not, with rights that it does not have"},
    {"closed", do_closed, "MASK BEHAVIOUR [ARG...]: without the streams of MASK (1 in, 2 out, 4 err)"},
    {"as", do_as, "USER BEHAVIOUR [ARG...]: as another user (POSIX, root)"},
    {NULL, NULL, NULL},
};
