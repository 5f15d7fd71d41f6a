/* Behaviours that hear signals and console events. */
#include "helper.h"

#include <covey/manager.h>
#include <covey/process.h>
#include <covey/self.h>
#include <covey/signal.h>

#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 60000 };

static int failed(const char *what, int code)
{
  helper_print(2, "%s: %s: %s\n", what, covey_errname(code), covey_last_failure()->what);
  return 100 - code;
}

static void print_event(const covey_signal_event *e)
{
  helper_print(1, "signal %d count %u sender %lld left %d\n", e->signal, (unsigned)e->count,
               (long long)e->sender, e->left == COVEY_FOREVER ? -1 : e->left > 0);
}

/* signals-show FLAGS SIGNAL...: writes ready, then each event; ends with 7 after a TERM, or an INT. */
static int do_show(int argc, char **argv)
{
  int set[16];
  covey_signals_options o = {.signals = set, .flags = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0};
  covey_signals *signals = NULL;
  covey_signal_event e = {0};
  for (int i = 2; i < argc && i < 18; i++) set[o.count++] = atoi(argv[i]);
  int r = covey_signals_open(&o, &signals);
  if (r < 0) return failed("open", r);
  helper_print(1, "ready\n");
  while (e.signal != COVEY_SIGNAL_TERM && e.signal != COVEY_SIGNAL_INT) {
    r = covey_signals_next(signals, PATIENCE, &e);
    if (r < 0) return failed("next", r);
    print_event(&e);
  }
  covey_signals_close(signals);
  return HELPER_STOPPED;
}

/* signals-hang FLAGS: subscribes to all that asks to end, writes ready, and hangs. */
static int do_hang(int argc, char **argv)
{
  covey_signals_options o = {.flags = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0};
  covey_signals *signals = NULL;
  int r = covey_signals_open(&o, &signals);
  if (r < 0) return failed("open", r);
  helper_print(1, "ready\n");
  helper_pause(600000);
  return HELPER_TIRED;
}

/* signals-shutdown MS: waits until it is asked to end; writes why; MS later writes that it is done and ends with 7. */
static int do_shutdown(int argc, char **argv)
{
  covey_signal_event e;
  int r = covey_shutdown_wait(0, NULL);
  if (r != COVEY_ETIMEDOUT) return failed("early", r);
  helper_print(1, "ready\n");
  r = covey_shutdown_wait(PATIENCE, &e);
  if (r < 0) return failed("wait", r);
  print_event(&e);
  helper_pause(argc > 1 ? atoi(argv[1]) : 0);
  r = covey_shutdown_wait(0, &e); /* it is sticky */
  if (r < 0) return failed("again", r);
  helper_print(1, "done %d\n", e.signal);
  return HELPER_STOPPED;
}

/* signals-self: hears the CTRL_C that it sends itself, three times, and what another subscription hears. */
static int do_self(int argc, char **argv)
{
  static const int set[] = {COVEY_SIGNAL_INT};
  covey_signals_options o = {.signals = set, .count = 1, .flags = COVEY_SIGNALS_REPEAT};
  covey_signals *signals[2] = {NULL, NULL};
  covey_signal_event e;
  (void)argc;
  (void)argv;
  for (int i = 0; i < 2; i++) {
    int r = covey_signals_open(&o, &signals[i]);
    if (r < 0) return failed("open", r);
  }
  for (int n = 0; n < 3; n++) {
    if (!helper_interrupt()) return HELPER_NOT_HERE;
    for (int i = 0; i < 2; i++) {
      int r = covey_signals_next(signals[i], PATIENCE, &e);
      if (r < 0) return failed("next", r);
      if (i == 0) print_event(&e);
    }
  }
  for (int i = 0; i < 2; i++) covey_signals_close(signals[i]);
  return 0;
}

static covey_process_options child(int argc, char **argv, const char **words, const char *self)
{
  words[0] = self;
  for (int i = 0; i < argc && i < 6; i++) words[i + 1] = argv[i];
  return (covey_process_options){.argv = words};
}

/* signals-run BEHAVIOUR...: runs it with COVEY_PROCESS_FORWARD and writes how it ended. */
static int do_run(int argc, char **argv)
{
  const char *words[8] = {NULL};
  char *self;
  covey_result result;
  int r = covey_self_path(&self);
  if (r < 0) return failed("path", r);
  covey_process_options o = child(argc - 1, argv + 1, words, self);
  o.flags = COVEY_PROCESS_FORWARD;
  r = covey_run(&o, &result);
  covey_free(self);
  if (r < 0) return failed("run", r);
  helper_print(1, "how %d code %u\n", result.exit.how, (unsigned)result.exit.code);
  covey_result_free(&result);
  return 0;
}

/* signals-pass BEHAVIOUR...: starts it, forwards what asks to end by a subscription, waits and writes how it ended. */
static int do_pass(int argc, char **argv)
{
  const char *words[8] = {NULL};
  char *self;
  covey_process *p = NULL;
  covey_signals *signals = NULL;
  covey_exit end;
  int r = covey_self_path(&self);
  if (r < 0) return failed("path", r);
  covey_process_options o = child(argc - 1, argv + 1, words, self);
  r = covey_spawn(&o, &p);
  covey_free(self);
  covey_signals_options forward = {.forward = p, .flags = COVEY_SIGNALS_REPEAT};
  if (r == 0) r = covey_signals_open(&forward, &signals);
  helper_print(1, "passing\n");
  if (r == 0) r = covey_process_wait(p, PATIENCE, &end);
  if (r < 0) return failed("pass", r);
  covey_signals_close(signals);
  helper_print(1, "how %d code %u\n", end.how, (unsigned)end.code);
  covey_process_close(p);
  return 0;
}

/* signals-manager COUNT: COUNT children that end when they are asked; forwards, waits for all and writes how many ended with 7. */
static int do_manager(int argc, char **argv)
{
  const char *words[8] = {NULL};
  char *shutdown[] = {"signals-shutdown"}, *self;
  covey_manager *m = NULL;
  covey_member members[16];
  int count = argc > 1 ? atoi(argv[1]) : 2, right = 0;
  int r = covey_self_path(&self);
  if (r < 0) return failed("path", r);
  covey_process_options o = child(1, shutdown, words, self);
  r = covey_manager_new(&(covey_manager_options){.flags = COVEY_MANAGER_PLAIN}, &m);
  if (r == 0) r = covey_manager_forward(m, &(covey_signals_options){.flags = COVEY_SIGNALS_REPEAT});
  for (int i = 0; r == 0 && i < count && i < 16; i++) r = covey_manager_spawn(m, &o, NULL);
  covey_free(self);
  if (r == 0) r = covey_manager_wait_all(m, PATIENCE, members, 16);
  if (r < 0) return failed("manager", r);
  for (int i = 0; i < count && i < 16; i++)
    right += members[i].ended && members[i].exit.code == HELPER_STOPPED;
  r = covey_manager_forward(m, NULL);
  covey_manager_free(m);
  if (r < 0) return failed("forward", r);
  helper_print(1, "right %d\n", right);
  return 0;
}

const helper_behaviour helper_signalled[] = {
    {"signals-show", do_show, "FLAGS SIGNAL...: writes each event, ends with 7 after TERM or INT"},
    {"signals-hang", do_hang, "FLAGS: subscribes and hangs"},
    {"signals-shutdown", do_shutdown, "[MS]: waits until it is asked to end, ends MS later"},
    {"signals-self", do_self, "hears three times what it sends itself"},
    {"signals-run", do_run, "BEHAVIOUR...: runs it, signals are sent on"},
    {"signals-pass", do_pass, "BEHAVIOUR...: starts it, signals are sent on by a subscription"},
    {"signals-manager", do_manager, "COUNT: children of a manager, signals are sent on"},
    {NULL, NULL, NULL},
};
