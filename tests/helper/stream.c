/* The behaviours that hold locks and endpoints: what a test cannot be in its own process. They say how it went in a file, because a
 * program that test_start has started has no streams. */
#include "helper.h"

#include "os/error.h"
#include "os/handle.h"
#include "os/lock.h"
#include "os/stream.h"
#include "os/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Writes the file whole: another name first, so that who sees it sees all of it. */
static void report(const char *path, const char *text)
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
  report(argv[2], covey_errname(r));
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
  report(argv[4], covey_errname(r));
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
  report(argv[4], covey_errname(r));
  return r < 0 ? 0 : hang();
}

static void no_end(void *arg, int status, int system)
{
  (void)arg;
  (void)status;
  (void)system;
}

static const cvos_io_events write_only = {.end = no_end};

static int do_inherit(int argc, char **argv)
{
  static const char text[] = "hello";
  const cvos_piece piece = {text, sizeof text - 1};
  uv_loop_t uv;
  cvos_handle stream;
  cvos_io *io;
  char line[64];
  int system;
  if (argc < 3 || !helper_value(argv[1])) return HELPER_USAGE;
  int r = cvos_stream_inherit(helper_value(argv[1]), &stream);
  if (r == 0 && uv_loop_init(&uv) != 0) r = COVEY_EOS;
  if (r == 0) r = cvos_watch_prepare(&uv, true);
  if (r == 0) r = cvos_io_open(&uv, stream, CVOS_IO_READ | CVOS_IO_WRITE, &write_only, NULL, &io);
  if (r == 0 && cvos_io_write(io, &piece, 1, NULL, 0, &system) != (int64_t)piece.size) r = COVEY_ECLOSED;
  (void)snprintf(line, sizeof line, "%s %lld", covey_errname(r), (long long)helper_pid());
  report(argv[2], line);
  return r < 0 ? 0 : hang();
}

/* The end that was meant for us is left to a child of ours. */
static int do_hand_down(int argc, char **argv)
{
  if (argc < 3) return HELPER_USAGE;
  const char *child[] = {"inherit", argv[1], argv[2]};
  if (helper_start(3, child, 0) < 0) return HELPER_NO_START;
  return hang();
}

/* listen-inside DIRECTORY COUNT FILE: takes an address of a number, dials it and gives it up, COUNT times; then FILE says "all", or what went wrong. */
static int do_listen_inside(int argc, char **argv)
{
  if (argc < 4) return HELPER_USAGE;
  cvos_address a = {.directory = argv[1], .app = "test", .name = "4711", .by_pid = true};
  const char *text = "all";
  char wrong[100];
  for (int i = atoi(argv[2]); i > 0 && text[0] == 'a'; i--) {
    cvos_listener *l;
    cvos_handle h;
    int r, tries = 0;
    while ((r = cvos_listener_open(&a, &l)) == COVEY_EAGAIN && ++tries < 100000) continue;
    if (r == 0) {
      for (tries = 0; (r = cvos_stream_dial(&a, &h)) == COVEY_EAGAIN && ++tries < 100000;) continue;
      if (r == 0) cvos_handle_close(h);
      if (r == 0) r = cvos_listener_check(l);
      cvos_listener_close(l);
    }
    if (r == 0) continue;
    snprintf(wrong, sizeof wrong, "%d before the end: %d after %d tries", i, r, tries);
    text = wrong;
  }
  report(argv[3], text);
  return 0;
}

/* listen-apart DIRECTORY COUNT FILE: the same in a pid namespace of our own; no FILE where that cannot be. */
static int do_listen_apart(int argc, char **argv)
{
  char name[] = "listen-inside";
  if (argc < 4) return HELPER_USAGE;
  argv[0] = name;
  return helper_in_numbers_of_its_own(argc, argv);
}

const helper_behaviour helper_stream[] = {
    {"listen-apart", do_listen_apart,
     "DIRECTORY COUNT FILE: takes and gives up an address in a pid namespace of its own"},
    {"listen-inside", do_listen_inside, "DIRECTORY COUNT FILE: the same where it is"},
    {"lock", do_lock,
     "PATH FILE [FLAGS]: takes the lock, writes the result's name to FILE, hangs if it has it"},
    {"listen", do_listen, "DIRECTORY APP NAME FILE: listens there, writes the result's name to FILE, hangs"},
    {"dial", do_dial, "DIRECTORY APP NAME FILE: connects there, writes the result's name to FILE, hangs"},
    {"inherit", do_inherit,
     "VARIABLE FILE: takes the end whose token is in VARIABLE, says hello through it, writes the result's "
     "name and its pid to FILE, hangs"},
    {"hand-down", do_hand_down, "VARIABLE FILE: starts a child that does so, hangs"},
    {NULL, NULL, NULL},
};
