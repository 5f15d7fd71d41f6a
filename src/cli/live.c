/* covey run --pty --stdin: a child's terminal, and ours in front of it. One thread, one loop. */
#include "cli/cli.h"
#include "os/keyboard.h"

#include <string.h>

/* While the child does not take what was typed, this long in one go, in which its output is shown. */
enum { PATIENCE = 100 };

typedef struct live {
  covey_loop *loop;
  covey_process *process;
  covey_signals *signals;
  covey_exit *ret;
  int rows, columns;
  bool ended, input,
      own_size; /* input: ours has not ended, and the child takes it. own_size: of its terminal, whatever ours has */
  char typed[4096];
  size_t size; /* of typed: not taken yet */
} live;

static void on_end(covey_process *process, const covey_exit *exit, void *user)
{
  live *l = user;
  (void)process;
  *l->ret = *exit;
  l->ended = true;
}

static void on_signal(const covey_signal_event *event, void *user)
{
  (void)user;
  if (event->signal == COVEY_SIGNAL_CONT)
    cvos_keyboard_raw(); /* a shell has put its own settings there meanwhile */
}

/* From here on what asks us to end ends nobody before the settings are back: it goes on to the child (FORWARD). */
static int hold_signals(live *l)
{
  static const int set[] = {COVEY_SIGNAL_INT, COVEY_SIGNAL_TERM,  COVEY_SIGNAL_QUIT,
                            COVEY_SIGNAL_HUP, COVEY_SIGNAL_WINCH, COVEY_SIGNAL_CONT};
  covey_signals_options o = {.signals = set,
                             .count = 6,
                             .on_event = on_signal,
                             .user = l,
                             .loop = l->loop,
                             .flags = COVEY_SIGNALS_REPEAT};
  int r = covey_signals_open(&o, &l->signals);
  o.count = 4;
  return r == COVEY_ENOTSUP ? covey_signals_open(&o, &l->signals) : r;
}

static void follow_size(live *l)
{
  int rows = l->rows, columns = l->columns;
  if (!cvos_keyboard_size(&rows, &columns) || (rows == l->rows && columns == l->columns)) return;
  l->rows = rows;
  l->columns = columns;
  if (!l->own_size)
    (void)covey_process_resize(l->process, rows,
                               columns); /* nobody is there any more, or the system cannot */
}

static void type(live *l)
{
  int n = covey_process_write(l->process, l->typed, l->size, PATIENCE);
  if (n == COVEY_ETIMEDOUT) return;
  if (n < 0) { /* nobody reads there: what was typed is for nobody */
    l->input = false;
    l->size = 0;
    return;
  }
  l->size -= (size_t)n;
  memmove(l->typed, l->typed + n, l->size);
}

static int turn(live *l)
{
  covey_native handle;
  int r = covey_loop_handle(l->loop, &handle);
  while (r >= 0 && !l->ended) {
    if (l->size) {
      type(l);
    } else {
      int n = cvos_keyboard_read(handle, l->input, l->typed, sizeof l->typed);
      if (n > 0) l->size = (size_t)n;
      if (n < 0) {
        l->input = false;
        (void)covey_process_close_input(l->process);
      }
    }
    r = covey_loop_dispatch(l->loop);
    follow_size(l);
  }
  return r < 0 ? r : 0;
}

int cli_live(const covey_process_options *options, covey_exit *ret)
{
  live l = {.ret = ret, .input = true, .own_size = options->pty.rows != 0};
  covey_process_options o = *options;
  int r = covey_loop_open(&(covey_loop_options){.flags = COVEY_LOOP_NO_THREAD}, &l.loop);
  if (r >= 0) r = hold_signals(&l);
  if (r < 0) goto out;
  o.loop = l.loop;
  if (cvos_keyboard_open()) o.pty.flags |= COVEY_PTY_ECHO; /* as if the program was on ours */
  if (cvos_keyboard_size(&l.rows, &l.columns) && !l.own_size) {
    o.pty.rows = (uint16_t)l.rows;
    o.pty.columns = (uint16_t)l.columns;
  }
  r = covey_spawn(&o, &l.process);
  if (r >= 0) r = covey_process_on_end(l.process, on_end, &l);
  if (r < 0) goto out;
  cvos_keyboard_raw();
  r = turn(&l);
out:
  covey_process_close(l.process);
  cvos_keyboard_close();
  covey_signals_close(l.signals);
  covey_loop_close(l.loop);
  return r;
}
