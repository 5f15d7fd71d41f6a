/* covey/streams.h: the standard streams of a child: where they go, its terminal, lines, and output by callbacks. Part of process.h, which
 * includes it. */
#ifndef COVEY_STREAMS_H
#define COVEY_STREAMS_H

#include <covey/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { COVEY_STDIN = 0, COVEY_STDOUT = 1, COVEY_STDERR = 2 };

/* Where a standard stream of the child comes from or goes to. */
enum {
  /* in: NULL; out and err: INHERIT. Each of them in scope DETACHED: NULL */
  COVEY_STDIO_DEFAULT = 0,
  /* ours. Its flags are never changed. A stream that is closed here: the null device. Windows: where it is our console, and the child has one
   * of its own (scope SESSION, or by launch.window), it is that one, which may be shown nowhere: take PIPE, CAPTURE or LINES there */
  COVEY_STDIO_INHERIT,
  COVEY_STDIO_NULL, /* the null device */
  /* a pipe to us: covey_process_write, covey_process_read. Bounded: who does not read stops the child. Not for covey_run, which has
   * input, CAPTURE and on_output */
  COVEY_STDIO_PIPE,
  /* out, err: read by the library into memory, up to capture_max bytes */
  COVEY_STDIO_CAPTURE,
  COVEY_STDIO_FILE, /* path: in: read; out, err: made, or emptied, and written */
  /* out, err: path is made if missing and written at its end, whoever else appends */
  COVEY_STDIO_APPEND,
  COVEY_STDIO_FILE_NEW, /* out, err: path must not exist yet, else COVEY_EEXIST */
  /* native: an open descriptor or HANDLE of ours, duplicated for the child */
  COVEY_STDIO_NATIVE,
  COVEY_STDIO_MERGE, /* err only: the same as out */
  /* out, err: a pipe to us whose bytes come as lines: covey_process_read_line, or options.on_line. Bounded as PIPE */
  COVEY_STDIO_LINES
};

/* How it is made. */
enum {
  /* POSIX, PIPE, CAPTURE and LINES: a pair of sockets in place of a pipe, which carries about twice as much. A child may not
   * open its /dev/stdout (/proc/self/fd/1) anew then, as some scripts do: the system has no such open for sockets.
   * Windows: COVEY_ENOTSUP, what is "in SOCKET", "out SOCKET" or "err SOCKET" */
  COVEY_STDIO_SOCKET = 1 << 0
};

typedef struct covey_stdio {
  int kind;       /* COVEY_STDIO_... */
  uint32_t flags; /* COVEY_STDIO_SOCKET or 0 */
  /* FILE, APPEND, FILE_NEW: borrowed; relative to our working directory, not to the child's */
  const char *path;
  /* NATIVE: borrowed, stays open here; read nowhere else, so 0 in an all-zero struct means nothing */
  covey_native native;
  uint64_t reserved[2]; /* zero */
} covey_stdio;

/* A further descriptor or handle that the child gets. */
typedef struct covey_pass {
  covey_native native; /* borrowed, stays open here */
  /* POSIX: its number in the child, 3 or more, each once. Windows: zero; the child gets the same value */
  int child;
  uint32_t reserved0; /* zero */
} covey_pass;

/* The size of a child's own terminal (COVEY_PROCESS_PTY), and how it begins. All zero is the default. Windows keeps the whole
 * screen in memory: thousands by thousands are slow there. */
typedef struct covey_pty {
  uint16_t rows;    /* 1 to 32,767; 0: 24 */
  uint16_t columns; /* 1 to 32,767; 0: 80 */
  uint32_t flags;   /* COVEY_PTY_... */
} covey_pty;

enum {
  /* what is written to the child comes back as output, as on a screen. Without it the terminal begins without echo (POSIX; on
   * Windows each program sets that itself, and has it as a rule). The child may change it */
  COVEY_PTY_ECHO = 1 << 0
};

/* A line of output, or a piece of one. It ends with LF or CR LF, and neither is part of it; CR and NUL elsewhere are bytes
 * like others. */
typedef struct covey_line {
  const char *data; /* a view, as the call says that gives it; without a NUL behind it */
  size_t size;      /* bytes */
  uint64_t number;  /* from 1 on, over both streams, in the order in which lines ended; pieces of a line share it */
  int stream;       /* COVEY_STDOUT or COVEY_STDERR; with COVEY_STDIO_MERGE always the first */
  uint32_t flags;   /* COVEY_LINE_... */
  uint64_t reserved[2];
} covey_line;

enum {
  COVEY_LINE_MORE = 1 << 0, /* longer than options.line_max: the next piece of this stream goes on with it */
  COVEY_LINE_OPEN = 1 << 1, /* the stream ended without a line end */
  COVEY_LINE_CRLF = 1 << 2  /* it ended with CR LF */
};

/* ---- callbacks ----
 * They run by the rules of loop.h: inside covey_run (covey_pipeline, the calls of shell.h) on the calling thread; of a
 * process of its own inside covey_process_wait, _stop, _read, _read_line and _write on that process, _wait_any and _wait_all
 * with it among others, while its manager waits for its members, or inside covey_loop_dispatch of its loop; one at a time, in
 * the order of the output, never under a lock. While nobody comes to run them, or one takes long, the child's output waits:
 * 256 KiB of it here, the rest with the child. A callback may call covey; on its own process covey_process_wait and _stop
 * answer COVEY_EDEADLK where they would have to wait, as waits for several do that are for it alone, and a write needs a time. Once the handle is closed none comes any more.
 * That a stream has ended is not told while the process goes on; covey_process_on_end tells the end of both. */

/* A piece of output as it came: stream is COVEY_STDOUT or COVEY_STDERR, data a view of size bytes for this call. Returns 0;
 * anything else stops the child (COVEY_WHY_CANCEL, and the failure COVEY_ECANCELED), and no further output is shown. */
typedef int (*covey_output_callback)(int stream, const void *data, size_t size, void *user);

/* A line; it and its bytes are a view for this call. Returns as above. */
typedef int (*covey_line_callback)(const covey_line *line, void *user);

/* A child on a terminal (COVEY_PROCESS_PTY; COVEY_CAP_PTY says whether this system has them)
 *   output    covey_process_read of COVEY_STDOUT, or the capture: what the child writes as a terminal gets it. POSIX: as written,
 *             but "\n" becomes "\r\n", unless the child changes that. Windows: the system's drawing of the screen, as VT sequences.
 *             Nothing of it is lost when the child ends at once behind its last write; then the stream ends, also when a
 *             descendant still has the terminal open: that one delays nobody beyond the drain time.
 *   input     covey_process_write, or options.input. End a line with "\r", which is what the Enter key sends on every system. Programs
 *             that read lines get them as lines, and a line of more than 4,095 bytes is cut by the terminal (Linux; macOS: 1,023). "\x03"
 *             is ctrl-C.
 *   its end   covey_process_close_input, or the end of options.input: what was taken, then ctrl-D as the terminal has it set (twice behind
 *             a line that was not finished), or on Windows ctrl-Z and Enter. It ends one read, as on any terminal: a program that reads
 *             on waits, and one that reads single characters gets a character. covey_run without input sends it at once.
 *   size      options.pty, in force before the first instruction; covey_process_resize.
 *   TERM      is not set by us: the child has ours, if any. For a program of ours that understands what terminals show,
 *             "TERM=xterm-256color" in env is right; for one that only collects text, "TERM=dumb".
 *   stop      as ever. The terminal itself is closed with the handle, or when we end: its programs get SIGHUP, or CTRL_CLOSE. On
 *             Windows the request of covey_process_stop is that close. Interactive shells do not follow SIGTERM:
 *             covey_process_signal with COVEY_SIGNAL_HUP asks them.
 *   the tree  when the child itself ends, who shares its terminal gets SIGHUP from the system (POSIX), or CTRL_CLOSE, also with
 *             LEAVE_TREE.
 *   errors    stage COVEY_STAGE_PTY: COVEY_ENOTSUP (Windows before 10 1809), COVEY_ELIMIT (as many terminals as the system
 *             allows).
 *   macOS     such a child is made by fork, at a cost that grows with our memory: posix_spawn cannot give it a controlling terminal.
 *             It does not end before all that it wrote is read; what nobody has read 100 ms after it was killed is thrown away. */

#ifdef __cplusplus
}
#endif

#endif
