#include "posix/detail/posix.h"

#include "os/signal.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/system.h"

#include <errno.h>
#include <signal.h>

/* Index: CVOS_SIGNAL_... */
static const int numbers[] = {0,       SIGHUP,  SIGINT,  SIGQUIT, SIGABRT, SIGKILL, SIGUSR1,
                              SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTOP, SIGCONT, SIGWINCH,
                              SIGILL,  SIGFPE,  SIGSEGV, SIGBUS,  SIGTRAP, SIGCHLD, SIGTSTP};
enum { NAMED = (int)(sizeof numbers / sizeof numbers[0]) };

int cvos_signal_to_system(int signal)
{
  if (signal > 0 && signal < NAMED) return numbers[signal];
  if (signal > CVOS_SIGNAL_RAW && signal < CVOS_SIGNAL_RAW + NSIG) return signal - CVOS_SIGNAL_RAW;
  return 0;
}

int cvos_signal_from_system(int system)
{
  for (int i = 1; i < NAMED; i++) {
    if (numbers[i] == system) return i;
  }
  return CVOS_SIGNAL_RAW + system;
}

int cvos_signal_send(const cvos_process *process, int signal)
{
  int number = cvos_signal_to_system(signal);
  if (number <= 0) {
    errno = EINVAL;
    return COVEY_EINVAL;
  }
  cvos_status status;
  cvos_process looked = *process;
  if (process->reaped || cvos_process_note(&looked, &status) == 0) {
    errno = ESRCH;
    return COVEY_ENOTFOUND;
  }
  int error = ENOSYS;
  if (process->handle != CVOS_NONE) error = cvos_system_pidfd_signal(process->handle, number);
  if (error == ENOSYS || error == EBADF) {
    /* a child that was not reaped keeps its number; of any other the stamp is looked at once more */
    cvos_entry entry;
    error = 0;
    if (!process->child) {
      error = cvos_system_entry((pid_t)process->pid, &entry);
      if (!error && entry.start != process->start) error = ESRCH;
    }
    if (!error && CVOS_CALL(SIGNAL, kill((pid_t)process->pid, number), -1) < 0) error = errno;
  }
  if (!error) return 0;
  errno = error;
  return cvos_translate(error);
}

int cvos_signal_ask(const cvos_process *process)
{
  int r = cvos_signal_send(process, CVOS_SIGNAL_TERM);
  if (r < 0) return r;
  (void)cvos_signal_send(process, CVOS_SIGNAL_CONT);
  return 1;
}
