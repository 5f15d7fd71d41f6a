/* The end of a process, three ways: a pidfd under uv_poll_t; EVFILT_PROC in one kqueue a loop (macOS), itself under uv_poll_t; a timer
 * that looks. All tell from a later turn.
 *
 * On our own loops a pidfd is not given to uv at once: seven system calls, where most children end within the first sleep of who waits for them.
 * It is in a list that the sleep looks at itself, and goes to uv before uv turns. */
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/watch.h"
#include "posix/detail/shared.h"
#include "posix/detail/system.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The other BSDs keep one entry for a process in a kqueue: who watches it second takes it from the first. */
#if defined(__APPLE__)
#define HAVE_PROC_FILTER 1
#include <sys/event.h>
#else
#define HAVE_PROC_FILTER 0
#endif

/* The looking timer: soon at first, since most children are short, then at a pace that costs nothing. Milliseconds. */
#define LOOK_FIRST 1
#define LOOK_LAST  50

#if defined(__linux__)
#define CAN_SLEEP 1 /* cvos_watch_sleep does */
#else
#define CAN_SLEEP 0
#endif

#define SLEEPS 4  /* so many sleeps look at a process themselves: who lives longer is uv's */
#define SWEEP  64 /* polled at once */

struct cvos_exit_watch {
  union {
    uv_handle_t any;
    uv_poll_t poll;
    uv_timer_t timer;
  } uv;
  cvos_exit_watch *next, *prev; /* in the list */
  uv_loop_t *loop;
  int pidfd;
  int slept;   /* sleeps that looked at it */
  bool listed; /* in the list: uv does not know of it */
  bool ended;  /* in the list, to be told */
  bool known;  /* uv has its handle */
  bool queued; /* in the kqueue; the timer only carries the news and the close */
  bool gone;   /* the kqueue knows no such process: it is ending, or a zombie */
  bool told;
  bool closing;
  pid_t pid;
  uint64_t start; /* its start stamp; 0: unknown */
  uint64_t pause;
  cvos_shared *shared; /* NULL: by its pidfd */
  void (*exited)(void *arg);
  void (*closed)(void *arg);
  void *arg;
};

static void tell(cvos_exit_watch *w)
{
  if (w->told || w->closing) return;
  w->told = true;
  cvos_watch_count();
  w->exited(w->arg);
}

static void on_pidfd(uv_poll_t *poll, int status, int what)
{
  cvos_exit_watch *w = poll->data;
  (void)status;
  (void)what;
  uv_poll_stop(poll);
  tell(w);
}

/* True when it has ended: our child is a zombie that we leave, others' numbers are free, or another process's by now. */
static bool has_ended(const cvos_exit_watch *w)
{
  siginfo_t info = {0};
  cvos_entry now;
  int r;
  do r = waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT);
  while (r < 0 && errno == EINTR);
  if (r == 0 && cvos_says_ended(&info, w->pid)) return true;
  if (r < 0 && kill(w->pid, 0) < 0 && errno == ESRCH) return true;
  return w->start && cvos_system_entry(w->pid, &now) == 0 &&
         (now.start != w->start || (w->gone && now.zombie)); /* a zombie of somebody who does not reap it */
}

static void on_look(uv_timer_t *timer)
{
  cvos_exit_watch *w = timer->data;
  if (has_ended(w)) {
    tell(w);
    return;
  }
  w->pause = w->pause * 2 < LOOK_LAST ? w->pause * 2 : LOOK_LAST;
  uv_timer_start(timer, on_look, w->pause, 0);
}

static void look_by_timer(cvos_exit_watch *w)
{
  uv_timer_init(w->loop, &w->uv.timer);
  w->uv.timer.data = w;
  w->known = true;
  w->pause = LOOK_FIRST;
  uv_timer_start(&w->uv.timer, on_look, 0, 0);
}

/* ---- those that uv does not know of ---- */

static void enlist(cvos_exit_watch *w)
{
  w->next = w->loop->data;
  w->prev = NULL;
  if (w->next) w->next->prev = w;
  w->loop->data = w;
  w->listed = true;
}

static void delist(cvos_exit_watch *w)
{
  if (w->next) w->next->prev = w->prev;
  if (w->prev)
    w->prev->next = w->next;
  else
    w->loop->data = w->next;
  w->listed = false;
}

/* 0 or what uv says. */
static int give_to_uv(cvos_exit_watch *w)
{
  int e = uv_poll_init(w->loop, &w->uv.poll, w->pidfd);
  if (e) return e;
  w->uv.poll.data = w;
  w->known = true;
  uv_poll_start(&w->uv.poll, UV_READABLE, on_pidfd);
  return 0;
}

static void arm(cvos_exit_watch *w)
{
  delist(w);
  if (give_to_uv(w)) look_by_timer(w); /* no memory, or no room in the system's queue */
}

/* What a callback does to the list is allowed: each search begins at its head. */
static bool tell_ended(uv_loop_t *uv)
{
  bool any = false;
  for (cvos_exit_watch *w = uv->data; w;) {
    if (!w->ended) {
      w = w->next;
      continue;
    }
    any = true;
    delist(w);
    tell(w);
    w = uv->data;
  }
  return any;
}

size_t cvos_exits_ask(const uv_loop_t *uv, struct pollfd *ret)
{
  size_t count = 0;
  for (const cvos_exit_watch *w = uv->data; w && count <= CVOS_EXITS; w = w->next, count++)
    if (count < CVOS_EXITS) ret[count] = (struct pollfd){.fd = w->pidfd, .events = POLLIN};
  return count;
}

bool cvos_exits_tell(uv_loop_t *uv, const struct pollfd *answers, size_t count)
{
  cvos_exit_watch *w = uv->data, *next;
  for (size_t i = 0; i < count; i++, w = next) {
    next = w->next;
    if (answers[i].revents)
      w->ended = true;
    else if (++w->slept >= SLEEPS)
      arm(w);
  }
  return tell_ended(uv);
}

bool cvos_exits_sweep(uv_loop_t *uv)
{
  struct pollfd look[SWEEP];
  for (cvos_exit_watch *w = uv->data; w;) {
    cvos_exit_watch *at = w;
    nfds_t count = 0;
    for (; w && count < SWEEP; w = w->next) look[count++] = (struct pollfd){.fd = w->pidfd, .events = POLLIN};
    (void)poll(look, count, 0);
    for (nfds_t i = 0; i < count; i++) {
      cvos_exit_watch *next = at->next;
      if (look[i].revents)
        at->ended = true;
      else
        arm(at);
      at = next;
    }
  }
  return tell_ended(uv);
}

bool cvos_watch_alone(const uv_loop_t *uv)
{
  return uv->data != NULL;
}

void cvos_watch_arm(uv_loop_t *uv)
{
  while (uv->data) arm(uv->data);
}

#if HAVE_PROC_FILTER

static void on_news(uv_timer_t *timer)
{
  tell(timer->data);
}

static void on_queue(uv_poll_t *poll, int status, int what)
{
  cvos_shared *s = poll->data;
  struct kevent got[64];
  struct timespec none = {0};
  (void)status;
  (void)what;
  int n = kevent(s->exit_queue, NULL, 0, got, 64, &none);
  for (int i = 0; i < n; i++) {
    cvos_exit_watch *w = (cvos_exit_watch *)got[i].udata;
    w->queued = false;
    /* Another callback of this batch may close it: told from its own handle. */
    uv_timer_start(&w->uv.timer, on_news, 0, 0);
  }
}

static void free_poll(uv_handle_t *handle)
{
  cvy_free(handle);
}

static void queue_leave(cvos_shared *s)
{
  if (--s->exit_count) return;
  uv_close((uv_handle_t *)s->exit_poll, free_poll);
  close(s->exit_queue);
  s->exit_queue = -1;
  s->exit_poll = NULL;
}

static int queue_join(cvos_shared *s)
{
  if (s->exit_count++) return 0;
  s->exit_queue = cvos_fd_high(CVOS_CALL(EVENT, kqueue(), -1));
  int e = s->exit_queue < 0 ? errno : 0;
  if (!e) fcntl(s->exit_queue, F_SETFD, FD_CLOEXEC);
  s->exit_poll = e ? NULL : cvy_alloc_zero(1, sizeof *s->exit_poll);
  if (!e && !s->exit_poll) e = ENOMEM;
  if (!e) e = -uv_poll_init(s->uv, s->exit_poll, s->exit_queue);
  if (!e) {
    s->exit_poll->data = s;
    uv_poll_start(s->exit_poll, UV_READABLE, on_queue);
    return 0;
  }
  cvy_free(s->exit_poll);
  s->exit_poll = NULL;
  if (s->exit_queue >= 0) close(s->exit_queue);
  s->exit_queue = -1;
  s->exit_count = 0;
  return cvos_translate(e);
}

/* One entry for each watch, not for each process, which a peer and its process share (EV_UDATA_SPECIFIC: sys/event.h; XNU, kern_event.c: knote_fdfind).
 * Returns 0 or errno. */
static int queue_change(cvos_exit_watch *w, int what)
{
  struct kevent change;
  EV_SET(&change, (uintptr_t)w->pid, EVFILT_PROC, (uint16_t)(what | EV_UDATA_SPECIFIC), NOTE_EXIT, 0, w);
  return kevent(w->shared->exit_queue, &change, 1, NULL, 0, NULL) == 0 ? 0 : errno;
}

/* The kqueue for w->pid. 1: it has ended already, or is about to: looked at by the timer; 0: it will be told. */
static int queue_watch(cvos_exit_watch *w)
{
  int r = queue_join(w->shared);
  if (r) return r;
  int e = queue_change(w, EV_ADD | EV_ONESHOT);
  w->queued = e == 0;
  if (w->queued) return 0;
  /* Who is ending is no zombie yet when it is taken out, whoever's it is (XNU, kern_exit.c: proc_exit drains what refers to it first). */
  w->gone = e == ESRCH;
  if (w->gone) return 1;
  queue_leave(w->shared);
  return cvos_translate(e);
}

static void queue_unwatch(cvos_exit_watch *w)
{
  if (w->queued) (void)queue_change(w, EV_DELETE);
  queue_leave(w->shared);
}

static int watch_pid(cvos_exit_watch *w)
{
  int r = queue_watch(w);
  if (r < 0) return r;
  uv_timer_init(w->loop, &w->uv.timer);
  w->uv.timer.data = w;
  w->known = true;
  if (r || has_ended(w))
    uv_timer_start(&w->uv.timer, on_look, 0, 0); /* its number may have been given away before */
  return 0;
}

static void unwatch_pid(cvos_exit_watch *w)
{
  queue_unwatch(w);
}

#else

static int watch_pid(cvos_exit_watch *w)
{
  look_by_timer(w);
  return 0;
}

static void unwatch_pid(cvos_exit_watch *w)
{
  (void)w;
}

#endif

/* 0 or a code. */
static int watch_pidfd(cvos_exit_watch *w, bool own)
{
  int e = CVOS_CALL(POLL, own && CAN_SLEEP ? 0 : give_to_uv(w), UV_EMFILE);
  if (e) return cvos_translate(-e);
  if (own && CAN_SLEEP) enlist(w);
  return 0;
}

int cvos_exit_watch_open(struct uv_loop_s *uv, bool own, const cvos_process *process,
                         void (*exited)(void *arg), void (*closed)(void *arg), void *arg,
                         cvos_exit_watch **ret)
{
  int r;
  cvos_exit_watch *w = cvy_alloc_zero(1, sizeof *w);
  if (!w) return COVEY_ENOMEM;
  w->loop = uv;
  w->pid = (pid_t)process->pid;
  w->start = process->start;
  w->pidfd = process->handle;
  w->exited = exited;
  w->closed = closed;
  w->arg = arg;
  if (process->handle != CVOS_NONE) {
    r = watch_pidfd(w, own);
  } else {
    w->shared = cvos_shared_get(uv);
    r = w->shared ? watch_pid(w) : COVEY_ENOMEM;
    if (r && w->shared) cvos_shared_put(w->shared);
  }
  if (r)
    cvy_free(w);
  else
    *ret = w;
  return r;
}

static void on_closed(uv_handle_t *handle)
{
  cvos_exit_watch *w = handle->data;
  cvos_watch_count();
  if (w->shared) cvos_shared_put(w->shared);
  if (w->closed) w->closed(w->arg);
  cvy_free(w);
}

void cvos_exit_watch_close(cvos_exit_watch *watch)
{
  if (!watch || watch->closing) return;
  watch->closing = true;
  if (watch->listed) delist(watch);
  if (watch->shared) unwatch_pid(watch);
  if (!watch->known) { /* the callback comes by a handle of uv */
    uv_timer_init(watch->loop, &watch->uv.timer);
    watch->uv.timer.data = watch;
  }
  uv_close(&watch->uv.any, on_closed);
}

bool cvos_exit_watch_drop(cvos_exit_watch *watch)
{
  if (watch->known || watch->closing) return false;
  if (watch->listed) delist(watch);
  cvy_free(watch);
  return true;
}
