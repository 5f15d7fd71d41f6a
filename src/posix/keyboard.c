#include "os/keyboard.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

/* What ends a program when nobody handles it, beside what asks it to. */
static const int fatal[] = {SIGABRT,   SIGALRM, SIGBUS,  SIGFPE,  SIGILL,  SIGPIPE,   SIGPROF, SIGSEGV,
                            SIGSYS,    SIGTRAP, SIGUSR1, SIGUSR2, SIGXCPU, SIGVTALRM, SIGXFSZ,
#if defined(SIGSTKFLT)
                            SIGSTKFLT,
#endif
#if defined(SIGPWR)
                            SIGPWR,
#endif
                            SIGIO};

static struct {
  bool terminal;
  volatile sig_atomic_t raw; /* the settings are not the first ones */
  struct termios first;
} keyboard;

/* From behind nobody changes a terminal: the settings there are another program's. */
static bool in_front(void)
{
  return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void set(const struct termios *settings)
{
  sigset_t stops, before;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTTOU); /* we may have gone behind meanwhile */
  (void)pthread_sigmask(SIG_BLOCK, &stops, &before);
  while (tcsetattr(STDIN_FILENO, TCSANOW, settings) < 0 && errno == EINTR) {
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void put_back_and_end(int number)
{
  if (keyboard.raw && in_front()) set(&keyboard.first);
  (void)raise(number); /* the default by now */
}

bool cvos_keyboard_open(void)
{
  keyboard.terminal = tcgetattr(STDIN_FILENO, &keyboard.first) == 0;
  if (!keyboard.terminal) return false;
  for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
    struct sigaction action;
    if (sigaction(fatal[i], NULL, &action) < 0 || (action.sa_flags & SA_SIGINFO) ||
        action.sa_handler != SIG_DFL)
      continue;
    action.sa_handler = put_back_and_end;
    action.sa_flags = (int)SA_RESETHAND | SA_NODEFER;
    (void)sigaction(fatal[i], &action, NULL);
  }
  return true;
}

bool cvos_keyboard_size(int *ret_rows, int *ret_columns)
{
  struct winsize size;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0) return false;
  if (!size.ws_row || !size.ws_col) return false;
  *ret_rows = size.ws_row < SHRT_MAX ? size.ws_row : SHRT_MAX;
  *ret_columns = size.ws_col < SHRT_MAX ? size.ws_col : SHRT_MAX;
  return true;
}

void cvos_keyboard_raw(void)
{
  if (!keyboard.terminal || !in_front()) return;
  struct termios raw = keyboard.first;
  raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  raw.c_oflag &= ~(tcflag_t)OPOST;
  raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  keyboard.raw = 1;
  set(&raw);
}

#if defined(__APPLE__)
/* poll says of /dev/tty that it is no descriptor, since kqueue does not take it (libuv/libuv 979, tokio-rs/mio 1377): select does. True when a read
 * will not wait. */
static bool select_keys(cvos_handle other)
{
  fd_set ready;
  bool both = other >= 0 && other < FD_SETSIZE;
  FD_ZERO(&ready);
  FD_SET(STDIN_FILENO, &ready);
  if (both) FD_SET(other, &ready);
  if (select((both && other > STDIN_FILENO ? other : STDIN_FILENO) + 1, &ready, NULL, NULL, NULL) < 0)
    return errno != EINTR;
  return FD_ISSET(STDIN_FILENO, &ready) != 0;
}
#endif

int cvos_keyboard_read(cvos_handle other, bool keys, char *ret, size_t capacity)
{
  struct pollfd ready[] = {{.fd = other, .events = POLLIN},
                           {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN}};
  if (poll(ready, 2, -1) < 0 || !ready[1].revents) return 0;
#if defined(__APPLE__)
  if ((ready[1].revents & POLLNVAL) && (ready[0].revents || !select_keys(other))) return 0;
#endif
  ssize_t n = read(STDIN_FILENO, ret, capacity < INT_MAX ? capacity : INT_MAX);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  return n > 0 ? (int)n : -1; /* a terminal that has hung up says EIO */
}

void cvos_keyboard_close(void)
{
  if (keyboard.raw && in_front()) set(&keyboard.first);
  keyboard.raw = 0;
}
