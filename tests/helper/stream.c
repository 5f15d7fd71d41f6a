/* The behaviours that hold locks and endpoints: what a test cannot be in its own process. They say how it went in a file, because a
 * program that test_start has started has no streams. */
#include "helper.h"

#include "os/error.h"
#include "os/lock.h"
#include "os/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes the file whole: another name first, so that who sees it sees all of it. */
static void tell(const char *path, const char *text)
{
  char other[1024];
  if (snprintf(other, sizeof other, "%s.part", path) >= (int)sizeof other) helper_exit(HELPER_USAGE);
  FILE *f = fopen(other, "wb");
  if (!f || fputs(text, f) < 0 || fclose(f) != 0 || rename(other, path) != 0) helper_exit(HELPER_NO_OUTPUT);
}

static int hang(void)
{
  helper_pause(600000);
  return HELPER_TIRED;
}

static int do_lock(int argc, char **argv)
{
  cvos_handle lock;
  if (argc < 3) return HELPER_USAGE;
  int r = cvos_lock_try(argv[1], argc > 3 ? (unsigned)atoi(argv[3]) : 0, &lock);
  tell(argv[2], covey_errname(r));
  return r < 0 ? 0 : hang();
}

static cvos_address address(char **argv)
{
  return (cvos_address){.directory = argv[1][0] ? argv[1] : NULL, .app = argv[2], .name = argv[3]};
}

static int do_listen(int argc, char **argv)
{
  cvos_listener *listener;
  int r;
  if (argc < 5) return HELPER_USAGE;
  cvos_address a = address(argv);
  do {
    r = cvos_listener_open(&a, &listener);
    if (r == COVEY_EAGAIN) helper_pause(1);
  } while (r == COVEY_EAGAIN);
  tell(argv[4], covey_errname(r));
  return r < 0 ? 0 : hang();
}

static int do_dial(int argc, char **argv)
{
  cvos_handle stream;
  int r;
  if (argc < 5) return HELPER_USAGE;
  cvos_address a = address(argv);
  do {
    r = cvos_stream_dial(&a, &stream);
    if (r == COVEY_EAGAIN) helper_pause(1);
  } while (r == COVEY_EAGAIN);
  tell(argv[4], covey_errname(r));
  return r < 0 ? 0 : hang();
}

const helper_behaviour helper_stream[] = {
    {"lock", do_lock,
     "PATH FILE [FLAGS]: takes the lock, writes the result's name to FILE, hangs if it has it"},
    {"listen", do_listen, "DIRECTORY APP NAME FILE: listens there, writes the result's name to FILE, hangs"},
    {"dial", do_dial, "DIRECTORY APP NAME FILE: connects there, writes the result's name to FILE, hangs"},
    {NULL, NULL, NULL},
};
