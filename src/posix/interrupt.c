#include "os/interrupt.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/signal.h"
#include "os/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { SIGNALS = 130, NAMED_END = 64 };

/* One place for each signal of the system. former is only written while no handler reads it (readers is 0 and ours is not in force), or before
 * ours is in force for the first time. */
static struct place {
  struct sigaction former;
  uint32_t readers;    /* atomic: handlers that copy former now */
  uint32_t spent;      /* atomic: former asked for one call only, and had it */
  uint32_t generation; /* cvos_fork_generation when it was taken */
  uint32_t taken;      /* atomic */
  bool left_below;     /* given back while a foreign handler stood over ours */
} places[SIGNALS];

static cvos_interrupt_taker tell;

int cvos_interrupt_index(int signal)
{
  if (signal >= CVOS_INTERRUPT_CLOSE && signal <= CVOS_INTERRUPT_SHUTDOWN) return signal;
  int number = cvos_signal_to_system(signal);
  return number > 0 && number < SIGNALS ? NAMED_END + number : -1;
}

/* Nobody is left who would do anything else with it: what the system does by default. Inside the handler number is blocked, so it comes when
 * it is unblocked here; a stop returns when it is continued. */
static void take_default(int number)
{
  struct sigaction plain, ours;
  sigset_t one;
  memset(&plain, 0, sizeof plain);
  plain.sa_handler = SIG_DFL;
  sigaction(number, &plain, &ours);
  raise(number);
  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  sigaction(number, &ours, NULL);
}

static void on_signal(int number, siginfo_t *info, void *context);

/* However it was put in force: signal() does it too, with a pointer that it gave out before. */
static bool is_ours(const struct sigaction *action)
{
  if (action->sa_flags & SA_SIGINFO) return action->sa_sigaction == on_signal;
  return action->sa_handler == (void (*)(int))(void (*)(void))on_signal;
}

static bool is_function(const struct sigaction *action)
{
  return (action->sa_flags & SA_SIGINFO) || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* alone: no handler stands over ours that could answer for the signal. */
static void follow_former(struct place *p, int number, bool taken, bool alone, siginfo_t *info, void *context)
{
  __atomic_fetch_add(&p->readers, 1, __ATOMIC_SEQ_CST);
  struct sigaction former = p->former;
  if ((former.sa_flags & (int)SA_RESETHAND) && __atomic_exchange_n(&p->spent, 1, __ATOMIC_SEQ_CST)) {
    former.sa_flags = 0;
    former.sa_handler = SIG_DFL;
  }
  __atomic_fetch_sub(&p->readers, 1, __ATOMIC_SEQ_CST);
  if (former.sa_flags & SA_SIGINFO) {
    former.sa_sigaction(number, info, context);
  } else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN) {
    former.sa_handler(number);
  } else if (former.sa_handler == SIG_DFL && !taken && alone) {
    take_default(number);
  }
}

#if defined(__APPLE__)

/* By keys and by the end of a terminal. */
static bool is_of_terminal(int number)
{
  return number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGHUP || number == SIGWINCH;
}

static bool in_front(void)
{
  for (int stream = 0; stream < 3; stream++)
    if (tcgetpgrp(stream) == getpgrp()) return true;
  return false;
}

/* The code is 0 for every signal but SIGCHLD, and the pid that of whoever ran in the kernel: who called kill, or who wrote the key to the other end of
 * our terminal, which is of another session than ours (XNU, kern_sig.c: psignal_internal; Go's runtime: "empirically true" that SI_USER is 0). */
static bool is_sent(int number, const siginfo_t *info)
{
  if (info->si_code != 0 || info->si_pid <= 0) return info->si_code == SI_USER || info->si_code == SI_QUEUE;
  return !is_of_terminal(number) || getsid(info->si_pid) == getsid(0) || !in_front();
}

#else

static bool is_sent(int number, const siginfo_t *info)
{
  (void)number;
#if defined(SI_TKILL)
  if (info->si_code == SI_TKILL) return true;
#endif
  return info->si_code == SI_USER || info->si_code == SI_QUEUE;
}

#endif

static bool tell_taker(int number, const siginfo_t *info)
{
  bool sent = info && is_sent(number, info);
  cvos_interrupt what = {.signal = cvos_signal_from_system(number),
                         .system = number,
                         .sender = sent ? info->si_pid : 0,
                         .user = sent ? (int64_t)info->si_uid : -1,
                         .by_system = info && !sent,
                         .bound = -1};
  return tell(&what);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
  int kept = errno;
  struct place *p = &places[number];
  struct sigaction now = {0};
  bool taken = false, alone = sigaction(number, NULL, &now) == 0 && is_ours(&now);
  /* Called by a handler that was told nothing but the number: the rest is whatever lay there. Nor is it ours to write to: on i386 it is our caller's
   * own part of the stack. */
  bool full = (now.sa_flags & SA_SIGINFO) != 0;
  siginfo_t *about = full ? info : NULL;
  void *where = full ? context : NULL;
  /* A child of fork has our handler, but not what stands behind it. */
  bool ours = __atomic_load_n(&p->taken, __ATOMIC_SEQ_CST) && p->generation == cvos_fork_generation();
  if (ours) taken = tell_taker(number, about);
  follow_former(p, number, taken, alone || ours, about, where);
  errno = kept;
}

bool cvos_interrupt_is_default(int signal)
{
  int number = cvos_interrupt_index(signal) - NAMED_END;
  struct sigaction now;
  if (number < 0) return true;
  if (sigaction(number, NULL, &now) < 0) return false;
  const struct sigaction *rules = is_ours(&now) ? &places[number].former : &now;
  return !is_function(rules) && rules->sa_handler == SIG_DFL;
}

static int failed(int error)
{
  errno = error;
  return error == EINVAL ? COVEY_EINVAL : cvos_translate(error);
}

int cvos_interrupt_take(int signal, cvos_interrupt_taker taker)
{
  int number = cvos_interrupt_index(signal) - NAMED_END;
  if (number < 0)
    return signal >= CVOS_INTERRUPT_CLOSE && signal <= CVOS_INTERRUPT_SHUTDOWN ? 0 : COVEY_ENOTSUP;
  struct place *p = &places[number];
  struct sigaction now, ours;
  if (tell != taker) tell = taker;
  if (CVOS_CALL(SIGNAL, sigaction(number, NULL, &now), -1) < 0) return failed(errno);
  if (p->generation != cvos_fork_generation()) p->generation = cvos_fork_generation();
  bool still = is_ours(&now); /* one that stood over ours was taken away, or we are in a child of fork */
  if (!still && p->left_below && is_function(&now)) return COVEY_EEXIST;
  if (still) now = p->former;
  while (!still && __atomic_load_n(&p->readers, __ATOMIC_SEQ_CST)) continue;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = on_signal;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&ours.sa_mask);
  if (is_function(&now)) {
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (now.sa_flags & (SA_RESTART | (int)SA_NODEFER));
    ours.sa_mask = now.sa_mask;
  }
  if (!still) {
    p->former = now;
    __atomic_store_n(&p->spent, 0, __ATOMIC_SEQ_CST);
  }
  p->left_below = false;
  __atomic_store_n(&p->taken, 1, __ATOMIC_SEQ_CST);
  if (CVOS_CALL(SIGNAL, sigaction(number, &ours, NULL), -1) == 0) return 0;
  __atomic_store_n(&p->taken, 0, __ATOMIC_SEQ_CST);
  return failed(errno);
}

void cvos_interrupt_leave(int signal)
{
  int number = cvos_interrupt_index(signal) - NAMED_END;
  if (number < 0) return;
  struct place *p = &places[number];
  struct sigaction now;
  if (sigaction(number, NULL, &now) < 0) return;
  if (is_ours(&now)) {
    struct sigaction former = p->former;
    if (__atomic_load_n(&p->spent, __ATOMIC_SEQ_CST)) {
      former.sa_flags = 0;
      former.sa_handler = SIG_DFL;
    }
    sigaction(number, &former, NULL);
  } else {
    p->left_below = is_function(&now);
  }
  __atomic_store_n(&p->taken, 0, __ATOMIC_SEQ_CST);
}
