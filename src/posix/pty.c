#include "posix/detail/posix.h"

#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#if defined(__linux__) && !defined(TIOCGPTPEER)
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#if defined(__APPLE__)
#define REDRIVES 20 /* each of them ten tries of the kernel's */
#endif

struct cvos_pty {
  int master;
  int kept; /* macOS: a slave of ours, non-blocking, that nobody uses; -1 none */
};

bool cvos_pty_possible(void)
{
  return true;
}

static int resize(int fd, int rows, int columns)
{
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  return CVOS_CALL(PTY, ioctl(fd, TIOCSWINSZ, &size), -1);
}

/* The terminal as a program expects it; without echo, unless it is asked for, and with characters of more than one byte. */
static int configure(int slave, bool echo)
{
  struct termios settings;
  if (CVOS_CALL(PTY, tcgetattr(slave, &settings), -1) < 0) return -1;
  settings.c_iflag |= ICRNL;
#if defined(IUTF8)
  settings.c_iflag |= IUTF8;
#endif
  settings.c_oflag |= OPOST | ONLCR;
  settings.c_lflag |= ICANON | ISIG | IEXTEN;
  settings.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
  if (echo) settings.c_lflag |= ECHO | ECHOE | ECHOK;
  return CVOS_CALL(PTY, tcsetattr(slave, TCSANOW, &settings), -1);
}

static int open_master(void)
{
#if defined(__APPLE__)
  /* Two who open at once may be given one number, and who comes second often enough is told so by an error that is the kernel's own, below 0
   * (XNU, tty_ptmx.c: ptmx_get_ioctl, EREDRIVEOPEN). */
  int fd, tries = 0;
  do fd = CVOS_CALL(PTY, posix_openpt(O_RDWR | O_NOCTTY), -1);
  while (fd < 0 && errno < 0 && ++tries < REDRIVES);
  if (fd < 0 && errno < 0) errno = EAGAIN;
  if (fd >= 0) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  fd = cvos_fd_high(fd);
#else
  int fd = cvos_fd_high(CVOS_CALL(PTY, posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), -1));
#endif
  if (fd < 0) return -1;
#if defined(__linux__)
  bool ready = CVOS_CALL(PTY, unlockpt(fd), -1) == 0; /* devpts has given it to us already */
#else
  bool ready = CVOS_CALL(PTY, grantpt(fd), -1) == 0 && CVOS_CALL(PTY, unlockpt(fd), -1) == 0;
#endif
  if (ready && CVOS_CALL(OPTION, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), -1) == 0) return fd;
  cvos_fd_close(fd);
  return -1;
}

/* By the master where that is possible: the name may be another's in this mount namespace. flags: more than every slave has. */
static int open_slave(int master, int flags)
{
  int fd = -1;
#if defined(TIOCGPTPEER)
  fd = CVOS_CALL(PTY, ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | flags), -1);
  if (fd >= 0 || errno == EMFILE || errno == ENFILE) return cvos_fd_high(fd);
#endif
#if defined(__linux__)
  char name[64];
  if (ptsname_r(master, name, sizeof name) != 0) return -1;
#elif defined(TIOCPTYGNAME)
  char name[128]; /* what the call fills */
  if (ioctl(master, TIOCPTYGNAME, name) < 0) return -1;
#else
  const char *name = ptsname(master);
  if (!name) return -1;
#endif
  do fd = CVOS_CALL(OPEN, open(name, O_RDWR | O_NOCTTY | O_CLOEXEC | flags), -1);
  while (fd < 0 && errno == EINTR);
  return cvos_fd_high(fd);
}

/* The close of the last slave throws away what the master has not read, on macOS (XNU, tty_dev.c: ptsclose; pexpect 662, JetBrains/pty4j 94, oven-sh/bun
 * 33882): a child that writes and ends at once would have said nothing. Non-blocking: our own close waits for no reader. */
static bool keep_slave(cvos_pty *pty)
{
#if defined(__APPLE__)
  pty->kept = open_slave(pty->master, O_NONBLOCK);
  return pty->kept >= 0;
#else
  (void)pty;
  return true;
#endif
}

static int again(int master)
{
  return CVOS_CALL(DUPLICATE, fcntl(master, F_DUPFD_CLOEXEC, 3), -1);
}

int cvos_pty_open(int rows, int columns, bool echo, cvos_pty **ret, cvos_handle *ret_in, cvos_handle *ret_out,
                  cvos_handle *ret_theirs)
{
  int r = COVEY_ENOMEM, slave = -1, in = -1, out = -1;
  cvos_pty *pty = cvy_alloc(sizeof *pty);
  if (!pty) return cvos_plain(r);
  pty->kept = -1;
  pty->master = open_master();
  if (pty->master < 0) goto failed;
  slave = open_slave(pty->master, 0);
  if (slave < 0 || !keep_slave(pty) || configure(slave, echo) < 0 || resize(slave, rows, columns) < 0)
    goto failed;
  in = again(pty->master);
  out = in < 0 ? -1 : again(pty->master);
  if (out < 0) goto failed;
  *ret = pty;
  *ret_in = in;
  *ret_out = out;
  *ret_theirs = slave;
  return 0;
failed:
  /* ENOSPC: as many as the system allows */
  r = errno == ENOSPC || errno == EAGAIN ? COVEY_ELIMIT : cvos_translate(errno);
  cvos_fd_close(in);
  cvos_fd_close(slave);
  cvos_pty_close(pty);
  return r;
}

bool cvos_pty_started(cvos_pty *pty)
{
  return pty->kept < 0;
}

int cvos_pty_resize(cvos_pty *pty, int rows, int columns)
{
  if (resize(pty->master, rows, columns) == 0) return 0;
  return errno == EIO || errno == ENOTTY ? COVEY_ECLOSED
                                         : cvos_translate(errno); /* ENOTTY: macOS, without a slave */
}

/* Twice: the first ends the line as it is, and the second is a line without anything in it. A program that takes single characters has made the terminal's
 * character an ordinary one, and gets it, as from a keyboard. */
size_t cvos_pty_end(const cvos_pty *pty, bool begun, char *ret)
{
  struct termios settings;
  unsigned char end = 4;
  if (tcgetattr(pty->master, &settings) == 0 && (settings.c_lflag & ICANON)) {
    end = settings.c_cc[VEOF];
    if (end == (unsigned char)_POSIX_VDISABLE) return 0;
  }
  ret[0] = ret[1] = (char)end;
  return begun ? 2 : 1;
}

void cvos_pty_discard(cvos_pty *pty)
{
#if defined(__APPLE__)
  (void)tcflush(pty->master, TCOFLUSH); /* the one output that there is: the programs' */
#else
  (void)pty;
#endif
}

void cvos_pty_close(cvos_pty *pty)
{
  if (!pty) return;
  cvos_fd_close(pty->kept);
  cvos_fd_close(pty->master);
  cvy_free(pty);
}
