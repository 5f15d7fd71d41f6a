/* The children of a storm: what they do, and what must be seen of it. */
#include "storm.h"

#include "core/atomics.h"

#include <stdarg.h>

/* ---- numbers ---- */

storm_dice storm_seeded(uint32_t seed, uint32_t thread)
{
  storm_dice d = {seed * 2654435761u + thread * 40503u + 1};

  if (!d.state) d.state = 1;
  for (int i = 0; i < 8; i++) (void)storm_roll(&d, 2);
  return d;
}

uint32_t storm_roll(storm_dice *d, uint32_t below)
{
  d->state ^= d->state << 13; /* xorshift, Marsaglia 2003 */
  d->state ^= d->state >> 17;
  d->state ^= d->state << 5;
  return (uint32_t)((uint64_t)d->state * below >> 32);
}

/* ---- what is seen ---- */

void storm_wrong(storm_child *c, const char *format, ...)
{
  va_list args;

  uv_mutex_lock(&c->lock);
  if (!c->wrong) {
    va_start(args, format);
    (void)vsnprintf(c->what, sizeof c->what, format, args);
    va_end(args);
  }
  c->wrong = true;
  uv_mutex_unlock(&c->lock);
}

bool storm_may_cancel(storm_child *c)
{
  return c->cancel || cvy_load_seq_u32(&c->cancelled);
}

void storm_note_exit(storm_child *c, const covey_exit *e)
{
  bool same = true;

  uv_mutex_lock(&c->lock);
  if (c->told)
    same = c->exit.how == e->how && c->exit.code == e->code && c->exit.why == e->why &&
           c->exit.signal == e->signal && c->exit.step == e->step && c->exit.ended == e->ended;
  else
    c->exit = *e;
  c->told = true;
  uv_mutex_unlock(&c->lock);
  if (!same)
    storm_wrong(c, "two ends: how %d why %d code %u step %u, how %d why %d code %u step %u", c->exit.how,
                c->exit.why, c->exit.code, c->exit.step, e->how, e->why, e->code, e->step);
}

/* Callbacks come one at a time. */
static void enter(storm_child *c)
{
  bool twice;

  uv_mutex_lock(&c->lock);
  twice = c->showing;
  c->showing = true;
  uv_mutex_unlock(&c->lock);
  if (twice) storm_wrong(c, "two callbacks at once");
}

static void leave(storm_child *c)
{
  if (storm_roll(&c->dice, 4) == 0) storm_call_inside(c);
  uv_mutex_lock(&c->lock);
  c->showing = false;
  uv_mutex_unlock(&c->lock);
}

static int on_output(int stream, const void *data, size_t size, void *user)
{
  storm_child *c = user;
  storm_stream *s = &c->streams[stream];

  enter(c);
  if (!test_is_pattern(data, size, s->shown)) storm_wrong(c, "stream %d: other bytes are shown", stream);
  s->shown += size;
  if (c->end_calls) storm_wrong(c, "output behind the end");
  leave(c);
  return 0;
}

static void check_line(storm_child *c, const covey_line *line)
{
  char wanted[32];
  int size = snprintf(wanted, sizeof wanted, "line %llu", (unsigned long long)c->lines_seen);
  bool open = (line->flags & COVEY_LINE_OPEN) != 0; /* it was ended in the middle of a line */

  c->lines_seen++;
  if (line->number != c->lines_seen || line->size > (size_t)size || (!open && line->size != (size_t)size) ||
      memcmp(line->data, wanted, line->size) != 0)
    storm_wrong(c, "line %llu is %.*s", (unsigned long long)c->lines_seen, (int)line->size, line->data);
}

static int on_line(const covey_line *line, void *user)
{
  storm_child *c = user;

  enter(c);
  check_line(c, line);
  leave(c);
  return 0;
}

/* ---- making one up ---- */

static void word(storm_child *c, char what, uint64_t n)
{
  (void)snprintf(c->words[c->word_count++], sizeof c->words[0], "%c%llu", what, (unsigned long long)n);
}

static void write_word(storm_child *c, storm_dice *d)
{
  static const uint32_t sizes[] = {1, 100, 1000, 5000, 70000, 300000};
  uint32_t size = sizes[storm_roll(d, 6)];

  if (c->kind == STORM_LINES || c->kind == STORM_SHOWN_LINES) {
    uint32_t lines = 1 + size % 997;

    word(c, 'l', lines);
    c->lines += lines;
  } else {
    word(c, 'o', size);
    c->streams[1].wanted += size;
  }
  if (c->kind == STORM_LINES || storm_roll(d, 2)) return;
  size = sizes[storm_roll(d, 6)];
  word(c, 'e', size);
  c->streams[2].wanted += size;
}

static void make_words(storm_child *c, storm_dice *d)
{
  if (storm_roll(d, 8) == 0) word(c, 't', 0);
  for (uint32_t n = storm_roll(d, 4); n; n--) {
    if (storm_roll(d, 2)) word(c, 'w', storm_roll(d, 20));
    write_word(c, d);
  }
  if (storm_roll(d, 4) == 0) {
    c->input = storm_roll(d, 2) ? storm_roll(d, 3000) : storm_roll(d, 200000);
    word(c, 'i', (uint64_t)c->input);
    if (storm_roll(d, 2)) write_word(c, d);
  }
  if (storm_roll(d, 6) == 0) {
    word(c, 'g', 50 + storm_roll(d, 400));
    c->family = true;
  }
  if (storm_roll(d, 8) == 0) {
    word(c, 'q', STORM_SLEEP + (uint64_t)test_pid());
    c->family = true;
  }
  c->how = COVEY_HOW_EXITED;
  c->code = storm_roll(d, 256);
  switch (storm_roll(d, 6)) {
  case 0:
    word(c, 'h', 0);
    c->hangs = true;
    break;
  case 1:
    if (!test_is_windows()) {
      c->how = COVEY_HOW_SIGNALLED;
      c->code = storm_roll(d, 2) ? 9 : 15;
      word(c, 's', c->code);
      c->code += 128;
      break;
    }
    word(c, 'x', c->code);
    break;
  default: word(c, 'x', c->code);
  }
}

static void set_streams(storm_child *c, covey_process_options *o)
{
  static const int kinds[STORM_KINDS][2] = {
      {COVEY_STDIO_PIPE, COVEY_STDIO_PIPE},  {COVEY_STDIO_CAPTURE, COVEY_STDIO_CAPTURE},
      {COVEY_STDIO_PIPE, COVEY_STDIO_PIPE},  {COVEY_STDIO_CAPTURE, COVEY_STDIO_CAPTURE},
      {COVEY_STDIO_LINES, COVEY_STDIO_NULL}, {COVEY_STDIO_LINES, COVEY_STDIO_PIPE},
      {COVEY_STDIO_NULL, COVEY_STDIO_NULL}};

  o->out.kind = kinds[c->kind][0];
  o->err.kind = kinds[c->kind][1];
  if (c->kind == STORM_SHOWN || c->kind == STORM_SHOWN_CAPTURES) o->on_output = on_output;
  if (c->kind == STORM_SHOWN_LINES) o->on_line = on_line;
  o->user = c;
  if (c->input >= 0) o->in.kind = COVEY_STDIO_PIPE;
}

static void set_limits(storm_child *c, covey_process_options *o, storm_dice *d)
{
  bool captured = o->out.kind == COVEY_STDIO_CAPTURE;

  o->grace = 1 + storm_roll(d, 100);
  if (storm_roll(d, 6) == 0) o->timeout = 1 + storm_roll(d, 300);
  if (storm_roll(d, 6) == 0 && o->out.kind != COVEY_STDIO_NULL) o->idle = 5 + storm_roll(d, 300);
  if (captured && storm_roll(d, 4) == 0) {
    static const uint32_t flags[] = {0, COVEY_PROCESS_KEEP_HEAD, COVEY_PROCESS_KEEP_ENDS};

    o->capture_max = 1000 + storm_roll(d, 100000);
    o->flags |= flags[storm_roll(d, 3)];
    c->disturbed = true;
  }
  if (o->timeout || o->idle) c->disturbed = true;
  if (storm_roll(d, 4) == 0) {
    REQUIRE_OK(covey_cancel_new(&c->cancel));
    o->cancel = c->cancel;
  }
}

void storm_child_start(storm *s, int i, storm_dice *d)
{
  storm_child *c = &s->children[i];
  covey_process_options o = {.argv = c->argv};

  c->storm = s;
  c->dice = storm_seeded(s->seed, 100 + (uint32_t)i);
  uv_mutex_init(&c->lock);
  uv_mutex_init(&c->input_lock);
  for (int n = 0; n < 3; n++) uv_mutex_init(&c->streams[n].lock);
  c->kind = (int)storm_roll(d, STORM_KINDS);
  c->input = -1;
  make_words(c, d);
  c->argv[0] = test_helper();
  c->argv[1] = "act";
  for (int n = 0; n < c->word_count; n++) c->argv[2 + n] = c->words[n];
  set_streams(c, &o);
  set_limits(c, &o, d);
  if (s->manager) {
    REQUIRE_OK(covey_manager_spawn(s->manager, &o, &c->process));
  } else {
    o.loop = s->place.loop;
    REQUIRE_OK(covey_spawn(&o, &c->process));
  }
  cvy_store_release_u64(&c->pid, (uint64_t)covey_process_pid(c->process));
}

/* ---- bytes ---- */

static bool is_read(const storm_child *c, int stream)
{
  return c->kind == STORM_PIPES || c->kind == STORM_CAPTURES || (c->kind == STORM_SHOWN_LINES && stream == 2);
}

void storm_read(storm_child *c, int stream, int64_t timeout, size_t size)
{
  static const size_t most = 65536;
  storm_stream *s = &c->streams[stream];
  char *data;
  int r;

  if (!is_read(c, stream) || uv_mutex_trylock(&s->lock)) return;
  data = malloc(size = size < most ? size : most);
  r = covey_process_read(c->process, stream, timeout, data, size);
  if (r > 0) {
    if (s->ended) storm_wrong(c, "stream %d: bytes behind its end", stream);
    if (!c->disturbed && !test_is_pattern(data, (size_t)r, s->read))
      storm_wrong(c, "stream %d: other bytes", stream);
    s->read += (uint64_t)r;
  } else if (r == 0) {
    s->ended = true;
  } else if (r == COVEY_EDEADLK && c->storm->place.lent) { /* in a callback on the owner's thread */
  } else if (r != COVEY_ETIMEDOUT && r != COVEY_ECANCELED) {
    s->failed = r;
    s->ended = true;
    if (r != COVEY_ETOOBIG || !c->disturbed) storm_wrong(c, "stream %d: %s", stream, covey_errname(r));
  } else if (r == COVEY_ECANCELED && !storm_may_cancel(c)) {
    storm_wrong(c, "a read was cancelled by nobody");
  }
  uv_mutex_unlock(&s->lock);
  free(data);
}

void storm_read_line(storm_child *c, int64_t timeout)
{
  covey_line line;
  int r;

  if (c->kind != STORM_LINES || uv_mutex_trylock(&c->streams[1].lock)) return;
  r = covey_process_read_line(c->process, timeout, &line);
  if (r == 1) check_line(c, &line);
  if (r == 0) c->streams[1].ended = true;
  if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_ECANCELED && !(r == COVEY_EDEADLK && c->storm->place.lent))
    storm_wrong(c, "lines: %s", covey_errname(r));
  if (r == COVEY_ECANCELED && !storm_may_cancel(c)) storm_wrong(c, "a line was cancelled by nobody");
  uv_mutex_unlock(&c->streams[1].lock);
}

void storm_write(storm_child *c, int64_t timeout, size_t size)
{
  char *data;
  int r;

  if (c->input < 0 || uv_mutex_trylock(&c->input_lock)) return;
  if (size > (size_t)(c->input - c->written)) size = (size_t)(c->input - c->written);
  if (size && !c->input_closed) {
    data = malloc(size);
    test_make_pattern(data, size, (uint64_t)c->written);
    r = covey_process_write(c->process, data, size, timeout);
    if (r > 0) c->written += r;
    if (r == 0) storm_wrong(c, "a write of nothing");
    if (r == COVEY_ECLOSED) c->input_closed = true; /* it has ended, or was asked to */
    if (r < 0 && r != COVEY_ETIMEDOUT && r != COVEY_ECANCELED && r != COVEY_ECLOSED && r != COVEY_EDEADLK)
      storm_wrong(c, "write: %s", covey_errname(r));
    if (r == COVEY_ECANCELED && !storm_may_cancel(c)) storm_wrong(c, "a write was cancelled by nobody");
    free(data);
  }
  uv_mutex_unlock(&c->input_lock);
}

void storm_close_input(storm_child *c)
{
  if (c->input < 0 || uv_mutex_trylock(&c->input_lock)) return;
  if (covey_process_close_input(c->process) < 0) storm_wrong(c, "close_input");
  c->input_closed = true;
  uv_mutex_unlock(&c->input_lock);
}

/* ---- the end ---- */

static bool all_taken(storm_child *c)
{
  for (int i = 1; i < 3; i++)
    if (is_read(c, i) && !c->streams[i].ended) return false;
  return c->kind != STORM_LINES || c->streams[1].ended;
}

void storm_child_finish(storm *s, storm_child *c, storm_dice *d)
{
  int64_t end = test_now() + TEST_SOON;
  covey_exit e;
  bool over = false;

  if (c->cancel) covey_cancel_reset(c->cancel);
  if (cvy_load_seq_u32(&c->suspended))
    (void)covey_process_signal(c->process, COVEY_SIGNAL_CONT,
                               cvy_load_seq_u32(&c->detached) ? COVEY_TARGET_LEADER : COVEY_TARGET_TREE);
  if (c->hangs && !(c->disturbed && storm_roll(d, 2))) {
    cvy_store_seq_u32(&c->stopped, 1);
    if (covey_process_stop_start(c->process, storm_roll(d, 40)) < 0) storm_wrong(c, "stop_start");
  } else if (c->hangs) {
    cvy_store_seq_u32(&c->stopped, 1);
    if (covey_process_kill(c->process) < 0) storm_wrong(c, "kill");
  }
  while (!(over && all_taken(c)) && test_now() < end) {
    if (c->written < c->input) storm_write(c, 0, 65536);
    if (c->input >= 0 && c->written == c->input) storm_close_input(c);
    for (int i = 1; i < 3; i++)
      if (!c->streams[i].ended) storm_read(c, i, 0, 65536);
    for (int i = 0; i < 1000 && c->kind == STORM_LINES && !c->streams[1].ended; i++) storm_read_line(c, 0);
    if (cvy_load_seq_u32(&c->cancelled) && !s->place.lent)
      (void)covey_loop_dispatch(s->place.loop); /* its waits do not wait any more */
    if (cvy_load_seq_u32(&c->cancelled) && s->place.lent) test_pause(1);
    if (covey_process_wait(c->process, over ? 0 : 5, &e) == 0) {
      storm_note_exit(c, &e);
      over = true;
    }
  }
  if (!over)
    storm_wrong(c, "it does not end: alive %d, input %lld of %lld, closed %d",
                test_process_alive((int64_t)c->pid), (long long)c->written, (long long)c->input,
                c->input_closed);
  if (over && !all_taken(c)) storm_wrong(c, "its streams do not end");
}

static void check_bytes(storm_child *c, const char *what, int stream, uint64_t got)
{
  uint64_t wanted = c->streams[stream].wanted;

  if (got > wanted || (got != wanted && !cvy_load_seq_u32(&c->stopped) && !c->disturbed))
    storm_wrong(c, "%s: %llu bytes of stream %d, %llu were written", what, (unsigned long long)got, stream,
                (unsigned long long)wanted);
}

void storm_child_check(storm *s, storm_child *c)
{
  bool free_end = !cvy_load_seq_u32(&c->stopped) && !c->disturbed && c->input < 0;

  if (free_end && (c->exit.how != c->how || c->exit.code != c->code || c->exit.why != COVEY_WHY_SELF))
    storm_wrong(c, "ended how %d why %d code %u, not how %d code %u", c->exit.how, c->exit.why, c->exit.code,
                c->how, c->code);
  if (!cvy_load_seq_u32(&c->stopped) && !c->disturbed && c->exit.why != COVEY_WHY_SELF)
    storm_wrong(c, "why is %d", c->exit.why);
  for (int i = 1; i < 3; i++) {
    if (c->input >= 0) break; /* what it writes behind its input hangs on who closed that */
    if (is_read(c, i)) check_bytes(c, "read", i, c->streams[i].read);
    if (c->kind == STORM_SHOWN || c->kind == STORM_SHOWN_CAPTURES)
      check_bytes(c, "shown", i, c->streams[i].shown);
  }
  if ((c->kind == STORM_LINES || c->kind == STORM_SHOWN_LINES) && c->lines_seen != c->lines &&
      (c->lines_seen > c->lines || free_end))
    storm_wrong(c, "%llu lines of %llu", (unsigned long long)c->lines_seen, (unsigned long long)c->lines);
  if (c->has_on_end && c->end_calls != 1) storm_wrong(c, "on_end was called %d times", c->end_calls);
  if (s->manager && s->manager_calls &&
      (c->member_calls > 1 || (c->member_calls == 0 && !cvy_load_seq_u32(&c->removed))))
    storm_wrong(c, "the manager's on_end was called %d times", c->member_calls);
  if (c->member_told > 1) storm_wrong(c, "told %d times by wait_any", c->member_told);
  covey_process_close(c->process);
  covey_cancel_free(c->cancel);
  if (!c->wrong) return;
  TEST_FAIL("storm of seed %lu: child %d: %s", (unsigned long)s->seed, (int)(c - s->children), c->what);
  for (int i = 0; i < c->word_count; i++) test_log("  %s", c->words[i]);
  test_log(
      "  kind %d, disturbed %d, stopped %u, suspended %u, cancelled %u, detached %u, removed %u, lent %d",
      c->kind, c->disturbed, cvy_load_seq_u32(&c->stopped), cvy_load_seq_u32(&c->suspended),
      cvy_load_seq_u32(&c->cancelled), cvy_load_seq_u32(&c->detached), cvy_load_seq_u32(&c->removed),
      s->place.lent);
}
