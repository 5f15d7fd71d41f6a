#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

struct cvos_front {
  int terminal;
  bool known; /* settings is filled */
  struct termios settings;
};

int cvos_front_open(cvos_front **ret)
{
  cvos_front *front = cvy_alloc_zero(1, sizeof *front);
  if (!front) return cvos_plain(COVEY_ENOMEM);
  do front->terminal = CVOS_CALL(PTY, open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC), -1);
  while (front->terminal < 0 && errno == EINTR);
  front->terminal = cvos_fd_high(front->terminal);
  int error = front->terminal < 0 ? errno : tcgetpgrp(front->terminal) != getpgrp() ? ENOTTY : 0;
  if (!error) {
    front->known = tcgetattr(front->terminal, &front->settings) == 0;
    *ret = front;
    return 0;
  }
  cvos_front_close(front);
  errno = error;
  /* ENXIO, and EIO of a terminal that has hung up: no controlling terminal */
  bool none = error == ENXIO || error == EIO || error == ENOENT || error == ENODEV || error == ENOTTY;
  return none ? COVEY_ENOTFOUND : cvos_translate(error);
}

cvos_handle cvos_front_handle(const cvos_front *front)
{
  return front->terminal;
}

/* From behind these calls stop who makes them, unless he has blocked the signal for it. */
static bool put(cvos_front *front, pid_t group, bool settings)
{
  sigset_t stops, before;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTTOU);
  (void)pthread_sigmask(SIG_BLOCK, &stops, &before);
  bool done = CVOS_CALL(PTY, tcsetpgrp(front->terminal, group), -1) == 0;
  /* at once: a terminal that is held by ctrl-S would never have been drained */
  if (done && settings && front->known) (void)tcsetattr(front->terminal, TCSANOW, &front->settings);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return done;
}

bool cvos_front_give(cvos_front *front, int64_t group)
{
  pid_t now = tcgetpgrp(front->terminal);
  return now == (pid_t)group || (now == getpgrp() && put(front, (pid_t)group, false));
}

bool cvos_front_take(cvos_front *front, int64_t group, bool settings)
{
  pid_t now = tcgetpgrp(front->terminal);
  if (now == getpgrp()) return true;
  bool deserted = now > 0 && kill(-now, 0) < 0 && errno == ESRCH;
  return (now == (pid_t)group || deserted) && put(front, getpgrp(), settings);
}

void cvos_front_close(cvos_front *front)
{
  if (!front) return;
  cvos_fd_close(front->terminal);
  cvy_free(front);
}
