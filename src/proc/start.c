#include "proc/process.h"

#include "core/error.h"
#include "core/fault.h"
#include "core/mem.h"
#include "os/handle.h"
#include "os/thread.h"
#include "proc/options.h"

#include <string.h>

enum { MOST_WORKERS = 4 };

/* A start under way. users: the caller's handle, the bell until it is closed, the note while it is queued or runs. Whoever has the job rings the
 * bell (which keeps a lent loop turning till then) as the last thing that he does: a use of his own would outlive the loop's last turn. */
struct covey_starting {
  covey_loop *loop; /* a reference */
  cvy_bell *bell;   /* the token's thread, but for ringing */
  covey_process_options options;
  void **kept; /* what options point to: owned */
  size_t kept_count, kept_room;
  size_t handle_count; /* of native_at: those that are our own duplicates */
  covey_started on_started;
  void *user;
  covey_starting *next; /* in the queue; global lock */
  /* under the loop's lock */
  uint32_t users;
  bool closed;
  bool ready; /* process or failure is there */
  covey_process *process;
  covey_failure failure;
  cvy_note note;
};

/* Under the global lock. A child of fork() has no workers, and its parent's starts are not its own. */
static struct {
  covey_starting *first, **last;
  int workers;
  uint32_t generation;
} pool;

/* ---- a copy of options ---- */

static void *keep(covey_starting *s, const void *data, size_t size)
{
  char *copy;

  if (s->kept_count == s->kept_room) {
    size_t room = s->kept_room ? s->kept_room * 2 : 16;
    void **kept = cvy_realloc_array(s->kept, room, sizeof *kept);
    if (!kept) return NULL;
    s->kept = kept;
    s->kept_room = room;
  }
  if (!(copy = cvy_alloc(size + 1))) return NULL;
  if (size) memcpy(copy, data, size);
  copy[size] = '\0';
  return s->kept[s->kept_count++] = copy;
}

/* Each of these replaces a view by one of our own; false: no memory. NULL stays NULL. */
static bool keep_text(covey_starting *s, const char **text)
{
  return !*text || (*text = keep(s, *text, strlen(*text))) != NULL;
}

static bool keep_list(covey_starting *s, const char *const **list)
{
  size_t count = 0;
  const char **copy;

  if (!*list) return true;
  while ((*list)[count]) count++;
  if (!(copy = keep(s, *list, (count + 1) * sizeof *copy))) return false;
  *list = copy;
  for (size_t i = 0; i < count; i++)
    if (!keep_text(s, &copy[i])) return false;
  return true;
}

static bool keep_array(covey_starting *s, const void **array, size_t size)
{
  return !*array || (*array = keep(s, *array, size)) != NULL;
}

#define KEEP_ARRAY(s, field, count)                                                                          \
  (array = (field), ok = ok && keep_array((s), &array, (count) * sizeof *(field)), (field) = array)

static bool keep_launch(covey_starting *s, const covey_launch **launch)
{
  covey_launch *l;
  const void *array;
  bool ok = true;

  if (!*launch) return true;
  if (!(l = keep(s, *launch, sizeof *l))) return false;
  *launch = l;
  ok = keep_text(s, &l->user) && keep_text(s, &l->group) && keep_list(s, &l->groups);
  KEEP_ARRAY(s, l->limits, l->limit_count);
  KEEP_ARRAY(s, l->affinity, l->affinity_count);
  return ok;
}

static bool keep_options(covey_starting *s)
{
  covey_process_options *o = &s->options;
  const void *array;
  bool ok = keep_list(s, &o->argv) && keep_text(s, &o->file) && keep_text(s, &o->command);

  ok = ok && keep_text(s, &o->cwd) && keep_list(s, &o->env);
  ok = ok && keep_text(s, &o->in.path) && keep_text(s, &o->out.path) && keep_text(s, &o->err.path);
  ok = ok && keep_launch(s, &o->launch) && keep_array(s, &o->input, o->input_size);
  KEEP_ARRAY(s, o->pass, o->pass_count);
  KEEP_ARRAY(s, o->ladder, o->ladder_count);
  return ok;
}

/* The i-th descriptor or handle that the options lend to the child; NULL: there are no more. Those of pass are not duplicated on Windows, where their
 * values are known to the child. */
static covey_native *native_at(covey_starting *s, size_t i)
{
  covey_process_options *o = &s->options;
  covey_stdio *stdio[] = {&o->in, &o->out, &o->err};

  for (int n = 0; n < 3; n++)
    if (stdio[n]->kind == COVEY_STDIO_NATIVE && i-- == 0) return &stdio[n]->native;
  if (CVOS_WINDOWS || i >= o->pass_count) return NULL;
  return &((covey_pass *)o->pass)[i].native; /* a copy of ours */
}

static int keep_handles(covey_starting *s)
{
  for (covey_native *at; (at = native_at(s, s->handle_count)); s->handle_count++) {
    int r = cvos_handle_duplicate(*at, at);

    if (r < 0) return cvy_fail(r, COVEY_STAGE_STDIO, "a descriptor or handle for the child");
  }
  return 0;
}

static void drop_handles(covey_starting *s)
{
  while (s->handle_count) cvos_handle_close(*native_at(s, --s->handle_count));
}

/* ---- the object ---- */

static void scrap(covey_starting *s)
{
  covey_loop *loop = s->loop;

  drop_handles(s);
  for (size_t i = 0; i < s->kept_count; i++) cvy_free(s->kept[i]);
  cvy_free(s->kept);
  cvy_free(s);
  cvy_loop_release(loop);
}

static void unuse(covey_starting *s)
{
  bool last;

  cvy_loop_lock(s->loop);
  last = --s->users == 0;
  cvy_loop_unlock(s->loop);
  if (last) scrap(s);
}

/* On the user's thread. */
static void call_back(void *arg)
{
  covey_starting *s = arg;
  covey_process *p;
  bool closed;

  cvy_loop_lock(s->loop);
  closed = s->closed || cvy_loop_is_over(s->loop);
  p = s->process;
  s->process = NULL;
  cvy_loop_unlock(s->loop);
  if (p && !closed) cvy_show_release(p);
  if (!closed) s->on_started(s->user, p, p ? NULL : &s->failure);
  if (closed) covey_process_close(p);
  unuse(s);
}

static void bell_closed(void *arg)
{
  unuse(arg);
}

/* [token] It is over, whether somebody still wants it or not. */
static void rung(void *arg)
{
  covey_starting *s = arg;
  cvy_bell *bell = s->bell;
  bool tell, over;

  cvy_loop_lock(s->loop);
  s->bell = NULL;
  tell = bell && s->ready && !s->closed;
  over = cvy_loop_is_over(s->loop);
  if (tell) s->users++;
  if (tell && !over) cvy_loop_note(s->loop, &s->note);
  cvy_loop_unlock(s->loop);
  if (bell) cvy_bell_close(bell);
  if (tell && over) call_back(s);
}

/* [token] */
static int open_bell(void *arg)
{
  covey_starting *s = arg;

  return cvy_bell_open(s->loop, rung, bell_closed, s, &s->bell);
}

/* The job is over: the last use of s by who has it. */
static void job_done(covey_starting *s)
{
  cvy_bell *bell;

  drop_handles(s); /* who reads the other end waits for the close of all */
  cvy_loop_lock(s->loop);
  bell = s->bell;
  cvy_loop_unlock(s->loop);
  cvy_bell_ring(bell);
}

/* ---- the workers ---- */

/* The next start, or NULL: then the worker is none any more. */
static covey_starting *next_job(void)
{
  covey_starting *s;

  cvos_global_lock();
  s = pool.first;
  if (s)
    pool.first = s->next;
  else
    pool.workers--;
  if (!pool.first) pool.last = &pool.first;
  cvos_global_unlock();
  return s;
}

static void do_job(covey_starting *s)
{
  static const cvy_process_extra extra = {.handle = CVOS_NONE, .hold = true};
  covey_process *p = NULL;
  bool closed, unwanted;
  int r;

  cvy_loop_lock(s->loop);
  unwanted = s->closed || cvy_loop_is_over(s->loop) || cvy_cancel_fired(s->options.cancel);
  cvy_loop_unlock(s->loop);
  if (unwanted)
    r = cvy_fail(COVEY_ECANCELED, COVEY_STAGE_NONE, "starting");
  else
    r = cvy_process_spawn(&s->options, &extra, &p);
  CVY_STEP(STARTED);
  cvy_loop_lock(s->loop);
  closed = s->closed;
  if (r < 0) s->failure = *covey_last_failure();
  if (!closed) s->process = p;
  s->ready = true;
  cvy_loop_unlock(s->loop);
  if (closed) covey_process_close(p);
  job_done(s);
}

static void work(void *arg)
{
  (void)arg;
  for (covey_starting *s; (s = next_job());) do_job(s);
}

/* Gives it to the workers: one more while there are fewer than four. The lock is held while that one is made, so that nobody counts on a worker
 * that does not come to be. */
static int enqueue(covey_starting *s)
{
  cvos_thread *thread;
  int r = 0;

  cvos_global_lock();
  if (!pool.last || pool.generation != cvos_fork_generation()) {
    pool.first = NULL;
    pool.last = &pool.first;
    pool.workers = 0;
    pool.generation = cvos_fork_generation();
  }
  if (pool.workers < MOST_WORKERS && (r = cvos_thread_start("covey-start", work, NULL, &thread)) == 0) {
    cvos_thread_detach(thread);
    pool.workers++;
  }
  if (pool.workers) { /* none leaves while the queue holds something */
    *pool.last = s;
    pool.last = &s->next;
    r = 0;
  }
  cvos_global_unlock();
  return r;
}

/* Takes it out of the queue: false when a worker has it, or had. */
static bool take_back(covey_starting *s)
{
  bool found = false;

  cvos_global_lock();
  if (pool.generation == cvos_fork_generation()) {
    for (covey_starting **at = &pool.first; *at; at = &(*at)->next) {
      if (*at != s) continue;
      *at = s->next;
      found = true;
      break;
    }
    pool.last = &pool.first;
    while (*pool.last) pool.last = &(*pool.last)->next;
  }
  cvos_global_unlock();
  return found;
}

/* ---- the calls ---- */

int covey_spawn_start(const covey_process_options *options, covey_started on_started, void *user,
                      covey_starting **ret_starting)
{
  covey_starting *s, *before = NULL;
  covey_loop *loop;
  int r = cvy_options_check(options, false);

  if (r < 0) return r;
  if (!on_started) return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "on_started");
  if ((r = cvy_loop_acquire(options->loop, &loop)) < 0) return r;
  if (!(s = cvy_alloc_zero(1, sizeof *s))) {
    cvy_loop_release(loop);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "starting");
  }
  s->loop = loop;
  s->options = *options;
  s->on_started = on_started;
  s->user = user;
  s->note = (cvy_note){.run = call_back, .arg = s, .owns = true};
  s->users = 2;
  if (!keep_options(s)) {
    scrap(s);
    return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_ARGUMENTS, "options");
  }
  if ((r = keep_handles(s)) < 0) {
    scrap(s);
    return r;
  }
  if ((r = cvy_loop_call(loop, open_bell, s)) < 0) {
    scrap(s);
    return cvy_fail(r, COVEY_STAGE_NONE, "starting");
  }
  if (ret_starting) before = *ret_starting;
  if (ret_starting) *ret_starting = s; /* on_started may run before this call has returned */
  if ((r = enqueue(s)) < 0) {
    if (ret_starting) *ret_starting = before;
    job_done(s);
    unuse(s);
    return cvy_fail(r, COVEY_STAGE_LIMITS, "a thread to start it");
  }
  if (!ret_starting) unuse(s);
  return 0;
}

void covey_starting_close(covey_starting *starting)
{
  covey_starting *s = starting;
  covey_process *p = NULL;
  bool unnoted;

  if (!s || cvy_loop_check(s->loop) < 0) return;
  cvy_loop_lock(s->loop);
  s->closed = true;
  unnoted = cvy_loop_unnote(s->loop, &s->note);
  p = s->process;
  s->process = NULL;
  cvy_loop_unlock(s->loop);
  covey_process_close(p);
  if (unnoted) unuse(s);
  if (take_back(s)) job_done(s);
  unuse(s);
}
