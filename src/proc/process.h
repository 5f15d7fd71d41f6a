/* proc/process.h: the inside of covey_process, shared by the files of this folder, and the few calls that msg/ and manage/ need
 * beyond the public ones.
 *
 * Two locks. The loop's lock guards everything that waiters look at: streams, the stages of the ladder, the result. os_lock guards the
 * system's side, os and tree, whose calls may take milliseconds (the end of a large tree). Order: os_lock first, the loop's lock inside;
 * nobody waits for the token with either.
 *
 * Two counts. users are the references of the program and of manage/; when the last one goes, the tree is seen to and the watches are told to
 * close. holds are the watches and pipe ends whose closed callback has not come; the last of both frees the object, on the token's thread.
 *
 * The way of an end: the exit watch fires (or someone looks) -> cvy_process_observe notes the status, unreaped -> streams drain -> done:
 * waiters get the result -> the last close kills what is left of the tree and reaps (cvy_process_settle). Scopes without a tree of ours,
 * and LEAVE_TREE, are settled at the end at once. */
#ifndef COVEY_PROC_PROCESS_H
#define COVEY_PROC_PROCESS_H

#include <covey/process.h>
#include "core/ends.h"
#include "core/lines.h"
#include "core/pieces.h"
#include "loop/loop.h"
#include "loop/sync.h"
#include "os/process.h"
#include "os/terminal.h"
#include "os/watch.h"
#include "proc/stdio.h"

#define CVY_UNREAD_AFTER 100  /* ms from the kill until its terminal is rid of what nobody reads */
#define CVY_STUCK_AFTER  5000 /* ms from the kill until we say that the system does not end it */

/* ---- for msg/ and manage/ ---- */

/* What a maker of special children is told. The functions run without locks; ask in the thread that stops the child or on the token's
 * thread, the others on the token's thread. */
typedef struct cvy_process_hooks {
  /* First rung of the stop ladder: asks the child to end over our own connection. 0 when it could ask, 1 when it will as soon as the
   * child has connected. */
  int (*ask)(void *arg);
  /* The process has ended; once, also behind the last close. Not called when the system never ends it. */
  void (*ended)(void *arg);
  /* The last use of arg. */
  void (*released)(void *arg);
} cvy_process_hooks;

/* What is added to the options of a child. */
typedef struct cvy_process_extra {
  covey_loop *loop;               /* instead of options->loop */
  cvos_handle handle;             /* CVOS_NONE, or a further handle for the child: borrowed */
  int target;                     /* POSIX: its number in the child, from cvy_process_free_target */
  const char *entry;              /* NULL, or a further "NAME=value" of its environment: borrowed */
  const cvy_process_hooks *hooks; /* NULL, or static; each function may be NULL */
  void *arg;                      /* for the hooks; released is not called when the start fails */
  bool run;  /* options are those of covey_run: the input is borrowed until the process is closed */
  bool hold; /* nothing is shown before cvy_show_release */
} cvy_process_extra;

/* covey_spawn with extras (borrowed, NULL: none). Errors: those of covey_spawn. */
int cvy_process_spawn(const covey_process_options *options, const cvy_process_extra *extra,
                      covey_process **ret);

/* The lowest number from 3 on that options->pass leaves free. */
int cvy_process_free_target(const covey_process_options *options);

/* One more reference, released with covey_process_close. */
void cvy_process_ref(covey_process *process);

/* A reference that keeps the object and not the child: when those of the others are gone its tree is killed, as by a close, and its end is told to who
 * waits for it. Unattend gives it back. */
void cvy_process_attend(covey_process *process);
void cvy_process_unattend(covey_process *process);

/* Whether signal and target can be meant at all: 0, or COVEY_EINVAL, recorded. */
int cvy_process_check_signal(int signal, int target);

/* covey_process_wait_any with a deadline and a cancel object (own: those of the processes; else cancel, which may be NULL); count at least 1. */
int cvy_process_wait_first(covey_process *const *list, size_t count, cvy_deadline deadline, bool own,
                           covey_cancel *cancel, size_t *ret);

/* covey_process_wait, which shows what comes for the count processes of list meanwhile, as far as they are on the loop of process. */
int cvy_process_wait_among(covey_process *process, covey_process *const *list, size_t count, int64_t timeout,
                           covey_exit *ret_exit);

/* True when the end is known; never waits. */
bool cvy_process_done(covey_process *process);

/* ---- inside ---- */

enum { CVY_STREAM_NONE = 0, CVY_STREAM_PIPE, CVY_STREAM_CAPTURE, CVY_STREAM_LINES, CVY_STREAM_FEED };

#define CVY_SHOWN_MOST ((size_t)256 << 10) /* memory of what waits to be shown; then reading stops */

/* Our end of one of the child's streams. All but handle under the loop's lock; io is closed by the token's thread only, which takes
 * it out under the lock first: who holds the lock and sees io may use it. */
typedef struct cvy_stream {
  covey_process *process;
  int index; /* COVEY_STDIN ... */
  int kind;  /* CVY_STREAM_... */
  cvos_io *io;
  bool ended; /* no further bytes will come, or can be sent */
  int failed; /* a negative code that the reader gets behind the bytes, or 0 */

  /* out and err: bytes [taken, size) of data are unread */
  char *data;
  size_t size, capacity, taken;
  size_t ready;     /* CAPTURE: memory up to here was made ready to be written (os/memory.h) */
  size_t limit;     /* CAPTURE: bytes kept. PIPE: unread bytes at which reading stops */
  bool reading;     /* reading is on */
  bool cut;         /* CAPTURE: bytes were dropped, or it was given up */
  bool both;        /* CAPTURE: of what is too much the last bytes are kept, in the second part of data */
  cvy_ends ends;    /* and how they lie there, once data is full */
  uint64_t dropped; /* bytes that were read and not kept */
  bool held;        /* given up while somebody still held it */
  bool last_call;   /* the silence is over; one more turn of the loop, then it is given up */
  /* A reader that waits with nothing unread: bytes may go straight to its memory, but only in reads that it makes itself, as the token's
   * thread, and not inside a callback: it cannot go away meanwhile, and takes them at once. */
  char *sink;
  size_t sink_size, sunk; /* sunk: bytes that came there */
  const void *sink_owner; /* the address of a variable of that thread */
  cvy_deadline quiet;     /* until when it may be silent; CVY_NEVER before the end of the process */
  int64_t paused_at;      /* when reading was stopped for want of room */
  int64_t patience;       /* ms after the end of the process in which that was so: they do not count */
  /* Its bytes go to process->pieces: to callbacks, or to covey_process_read_line. */
  bool shown;
  cvy_lines lines; /* LINES: used by whoever shows, without the lock */
  bool flushed;    /* not LINES, or the last line was shown */
  uint64_t end_at; /* ended: how many bytes had been put to pieces then */
  uint64_t number; /* LINES: of the line that goes on in the next piece; 0: none does */

  /* in */
  const char *input; /* FEED: what is to be fed; a view of owned or of the caller's */
  char *owned;
  size_t input_size, fed;
  bool finishing; /* of a terminal: input is what says its end there */
  bool closing;   /* covey_process_close_input was called */
  bool begun;     /* of a terminal: the last line is not finished */
  char end[CVOS_PTY_ENDS_MOST];
  bool waiting;       /* want_room was asked for and has not been answered */
  bool short_of_room; /* a write took less than all, and on_room was not called since */
  bool writing;       /* a thread is inside covey_process_write */
} cvy_stream;

/* The manager that is told of the end, in the thread and at the time that loop.h says; once. */
typedef struct cvy_told {
  covey_end_callback run;      /* NULL: nobody */
  void (*released)(void *arg); /* the last use of arg, whether run was called or not; without locks */
  void *arg;
} cvy_told;

enum { CVY_LADDER_NONE = 0, CVY_LADDER_ASKED, CVY_LADDER_KILLED };

/* Work for the token's thread, as bits of wishes. */
enum {
  CVY_WISH_TIMER = 1 << 0,    /* a deadline changed */
  CVY_WISH_ROOM = 1 << 1,     /* a writer waits for room */
  CVY_WISH_READ = 1 << 2,     /* a reader made room: reading on again */
  CVY_WISH_CLOSE_IN = 1 << 3, /* close the input when what was taken is sent */
  CVY_WISH_TEARDOWN = 1 << 4  /* the last reference is gone */
};

struct covey_process {
  covey_loop *loop; /* a reference */
  int64_t pid;
  uint64_t start;
  bool child;                               /* ours; else adopted */
  int scope;                                /* COVEY_SCOPE_... */
  uint32_t flags;                           /* COVEY_PROCESS_... */
  int64_t grace, drain, drain_max, idle;    /* resolved */
  covey_stop_step steps[COVEY_LADDER_MOST]; /* options.ladder */
  size_t step_count;                        /* 0: ask, wait out the grace, kill */
  covey_cancel *cancel; /* borrowed from the options; NULL in covey_run, which waits with it itself */
  const cvy_process_hooks *hooks;
  void *hook_arg;
  struct cvy_forward *forward; /* COVEY_PROCESS_FORWARD, until the end; under the loop's lock */
  uint32_t cancelled;          /* atomic: how often covey_process_cancel was called */

  /* under os_lock */
  cvy_mutex *os_lock;
  cvos_process os;
  cvos_tree *tree; /* NULL: none, or let go */
  bool noted;      /* it has ended, status is filled */
  bool settled;    /* tree and zombie are seen to */
  cvos_status status;
  cvos_front *front;       /* COVEY_PROCESS_FOREGROUND, where we have it to give */
  covey_identity identity; /* pid 0: not asked yet */

  /* under the loop's lock */
  uint32_t users, holds;
  uint32_t attending; /* of users */
  uint32_t wishes;
  bool terminal; /* it has, or had, one of its own: */
  cvos_pty *pty; /* NULL: none, or closed */
  bool pty_ends; /* its output ends by itself */
  uint32_t torn; /* teardown has begun; atomic: who is showing lines looks without the lock */
  bool detached; /* neither close nor our end touches it */
  bool ended;    /* exit is filled */
  bool done;     /* and captures are drained */
  bool stuck;    /* killed, and still there */
  int ladder;    /* CVY_LADDER_... */
  int cause;     /* COVEY_WHY_...: what we have done to it so far */
  size_t step;   /* index of the next step */
  int over;      /* COVEY_STDOUT or COVEY_STDERR: the stream that wrote too much */
  covey_exit exit;
  int64_t ended_at;       /* on the loop's clock */
  cvy_deadline run_until; /* options.timeout */
  cvy_deadline idle_at;   /* options.idle; CVY_NEVER also while a pipe is full */
  cvy_deadline ask_at;    /* the second way of asking, behind a hook's */
  cvy_deadline step_at;   /* the next step of the ladder below */
  cvy_deadline kill_at;
  cvy_deadline stuck_at;
  cvy_deadline front_at; /* look whether the child in front was suspended */
  cvy_deadline
      look_at; /* the exit watch spoke too early, or the terminal of a killed one is full: look again */
  cvy_stream streams[3];
  cvy_task work;

  cvy_told told;
  cvy_note told_note; /* while it waits to be run it holds a reference */

  /* what is shown (show.c); also under the loop's lock */
  bool run; /* of covey_run: the thread that waits shows everything, no dispatch does */
  covey_output_callback on_output;
  covey_line_callback on_line;
  covey_room_callback on_room;
  void *user;
  covey_end_callback on_end;
  void *end_user;
  cvy_pieces pieces; /* output that waits to be shown, of both streams */
  size_t given;      /* bytes of its front that the last line lies in */
  uint64_t line_count;
  const void *shower; /* the thread that is in a callback, or about to call one; NULL: none */
  bool deaf;          /* a callback wants no more */
  bool held;          /* nobody has the handle yet */
  cvy_note note;

  /* the token's thread only */
  cvos_exit_watch *watch;
  cvy_timer *timer;
};

/* -- process.c -- */

/* Leaves wishes for the token's thread. Loop's lock held. */
void cvy_process_wish(covey_process *p, uint32_t wishes);

/* [token] The last reference is gone: closes our ends, and the watch when nothing has to be waited for any more. The watch keeps p: true, something of
 * it closes in a later turn; false, it is gone. */
bool cvy_process_teardown(covey_process *p);

/* [token] A watch or pipe end has closed. The last use of p by the caller. */
void cvy_process_unhold(covey_process *p);

/* Gives a new, empty object; released by cvy_process_scrap until it has been attached to its loop. COVEY_ENOMEM, COVEY_ELIMIT. */
int cvy_process_new(covey_loop *loop, covey_process **ret);
void cvy_process_scrap(covey_process *p);

/* What the system keeps of a process, and of our terminal that it has. */
typedef struct cvy_system {
  cvos_process os;
  cvos_tree *tree;
  cvos_front *front;
} cvy_system;

/* Starts to watch a process whose os, tree and options are filled; stdio may be NULL. p: moved on failure, and then what it was of the system is in
 * *ret_rest, owned. Nothing is recorded. Any thread. */
int cvy_process_watch(covey_process *p, cvy_stdio *stdio, cvy_system *ret_rest);

/* The same; on failure a child is ended and reaped too, which may take some seconds, and the failure is recorded. */
int cvy_process_attach(covey_process *p, cvy_stdio *stdio);

/* -- end.c -- */

/* Has it ended? Notes the status if so. os_lock held. */
bool cvy_process_observe(covey_process *p);

/* Sees to the tree of a noted process (kill: ends what is left of it) and reaps. Once; os_lock held. */
void cvy_process_settle(covey_process *p, bool kill);

/* True when what the process leaves behind ends with the handle. One of the locks held. */
bool cvy_process_kills_rest(const covey_process *p);

/* Gives a process that is still to be ended and reaped to the default loop: true, and p has nothing to wait for any more. False when p is on
 * that loop, is settled, or memory or descriptors are out: p has it still. Users of p are gone; no lock held. */
bool cvy_process_hand_over(covey_process *p);

/* The exit watch has spoken, or look_at has come: [token]. */
void cvy_process_exited(void *arg);

/* done, when it has ended and nothing is left to drain. Loop's lock held. */
void cvy_process_check_done(covey_process *p);

/* The result as it is now. Loop's lock held. */
void cvy_process_fill_exit(covey_process *p, covey_exit *ret);

/* Predicate over a covey_process: a waiter has its answer. */
bool cvy_process_over(void *arg);

/* The same for one that shows: callbacks have run too. */
bool cvy_process_shown(void *arg);

/* -- told.c -- */

/* The callback is due where the process is done and nothing of it waits to be shown; does nothing else. Loop's lock held. */
void cvy_told_note(covey_process *p);

/* Asks for a callback in place of the one before, which is released; NULL: for none. No lock held; the caller has a reference. */
void cvy_told_set(covey_process *p, const cvy_told *told);

/* Runs the callback here and now, if the end is known and it has not run. True when it did. No lock held. */
bool cvy_told_run(covey_process *p);

/* One reference less. True when it was the last but that of a callback that waits: it never runs then, and is in *ret_dropped, to be released
 * when the lock is. Loop's lock held. */
bool cvy_told_leave(covey_process *p, cvy_told *ret_dropped);

/* -- capture.c: what is kept of an output; loop's lock held -- */

/* Makes room for size more bytes behind s->size, moving what is unread of a pipe to the front first. False: out of memory. */
bool cvy_stream_grow(cvy_stream *s, size_t size);

/* Keeps what fits of a capture. True when this is the first byte too much. */
bool cvy_stream_keep(cvy_stream *s, const void *data, size_t size);

/* The unread bytes of an output that may be read now and lie together: their place in data, and how many in *ret_size, 0 for none. */
size_t cvy_stream_unread(const cvy_stream *s, size_t *ret_size);

/* Where bytes were dropped: an index in what is kept; 0 when none was. */
size_t cvy_stream_gap(const cvy_stream *s);

/* Moves what was captured out of the stream, in order, with a NUL behind: owned. "" when there is nothing; NULL when out of memory. */
char *cvy_stream_take(cvy_stream *s, size_t *ret_size);

/* -- drain.c -- */

/* Identity of the calling thread, for sink_owner. */
const void *cvy_stream_thread(void);

/* [token] Opens our end of stream i over handle (moved on success) and starts to read, or to feed. */
int cvy_stream_open(covey_process *p, int i, cvos_handle handle);

/* [token] Closes it; now: what was taken but not sent is given up. */
void cvy_stream_close(cvy_stream *s, bool now);

/* [token] The wishes ROOM, READ and CLOSE_IN. */
void cvy_stream_work(covey_process *p, uint32_t wishes);

/* The end was noted: starts the drain time. Loop's lock held. */
void cvy_stream_begin_drain(covey_process *p);

/* The next deadline of the streams; and, [token], what to do when it has come. Lock held for the first, not for the second. */
cvy_deadline cvy_stream_deadline(const covey_process *p);
void cvy_stream_expire(covey_process *p);

/* -- pty.c -- */

/* The child has its terminal (moved, may be NULL). No lock needed: nobody has p yet. */
void cvy_pty_begin(covey_process *p, cvos_pty *pty);

/* Of what was written to the input, this byte was the last. Loop's lock held. */
void cvy_pty_typed(cvy_stream *s, char last);

/* The input of a terminal is to end: true, and what says so there is what is fed next. False: no terminal, or it was said. Loop's lock held. */
bool cvy_pty_end_input(cvy_stream *s);

/* Closes the terminal: true. False: there is none, or it was closed. No lock held. */
bool cvy_pty_hang_up(covey_process *p);

/* A killed process may wait until its terminal is read, which nobody does: rids it of that. True: there is a terminal, and a kill. Loop's lock held. */
bool cvy_pty_discard(covey_process *p);

/* How long the output may be silent from now on: quiet, but where only our hanging up ends it, it is not waited for long, and for what comes behind that
 * drain_max. Loop's lock held. */
cvy_deadline cvy_pty_quiet(const covey_process *p, cvy_deadline quiet);

/* The process has ended, and its output is silent: hangs up where the output would not end else. True: then its end comes within drain_max. */
bool cvy_pty_expire(covey_process *p, cvy_stream *s);

/* -- show.c: output as it comes, to callbacks and line by line -- */

/* What the options say; before the process is attached. */
void cvy_show_begin(covey_process *p, const covey_process_options *o);

/* Who started it is about to have the handle: from here on callbacks may run. No lock held. */
void cvy_show_release(covey_process *p);

/* size bytes of a shown stream. False: out of memory. Loop's lock held. */
bool cvy_show_put(cvy_stream *s, const void *data, size_t size);

/* True while reading of a shown stream has to stop. Lock held. */
bool cvy_show_full(const covey_process *p);

/* Something may have come to be shown: the next dispatch looks. Lock held. */
void cvy_show_note(covey_process *p);

/* Is something still to be shown by callbacks, or being shown? Lock held. */
bool cvy_show_pending(const covey_process *p);

/* True on a thread that is in a callback of p. Lock held. */
bool cvy_show_inside(const covey_process *p);

/* cvy_loop_wait, which shows what comes for the count processes of list meanwhile, as far as they are on loop. Lock held on entry and on
 * return, not between. */
int cvy_show_wait(covey_loop *loop, covey_process *const *list, size_t count, cvy_predicate met, void *arg,
                  cvy_deadline deadline, covey_cancel *cancel);

/* The last reference is gone, or the object: nothing is shown any more. True when the note's hold is to be given back. Lock held for the first. */
bool cvy_show_close(covey_process *p);
void cvy_show_fini(covey_process *p);

/* -- front.c -- */

/* Takes hold of our terminal; 0 also when there is nothing to give. The failure is recorded. Nobody has p yet. */
int cvy_front_open(covey_process *p);

/* The child is in front: it is looked at from now on. Nobody has p yet. */
void cvy_front_begin(covey_process *p);

/* We are in front again, if the child was, or nobody is. settings: and the terminal is as it was. os_lock held. */
void cvy_front_back(covey_process *p, bool settings);

/* A suspended child is about to go on. os_lock held. */
void cvy_front_again(covey_process *p);

/* [token] front_at has come. No lock held. */
void cvy_front_expire(covey_process *p);

/* -- forward.c -- */

typedef struct cvy_forward cvy_forward;

/* COVEY_PROCESS_FORWARD (front: with FOREGROUND): signals are taken from here on, and sent on to p, whose forward it is, from the second call on; what came between is not
 * lost. The failure of the first is recorded. The last ends it; again does nothing. No lock held. */
int cvy_forward_open(covey_loop *loop, bool front, cvy_forward **ret);
void cvy_forward_begin(covey_process *p);
void cvy_forward_end(covey_process *p);

/* -- stop.c -- */

/* Begins the ladder, or makes it quicker: cause is COVEY_WHY_..., grace as in covey_process_stop. No lock held. Returns the number of ways
 * of asking that were taken (1 when the ladder had begun before, or it has ended), or the failure of a kill at once. */
int cvy_process_begin_stop(covey_process *p, int cause, int64_t grace);

/* Stops it for what it wrote (COVEY_WHY_OUTPUT), or what a callback said to that (COVEY_WHY_CANCEL): the cause also of one that had ended before.
 * No lock held. */
void cvy_process_had_enough(covey_process *p, int cause);

/* Kills tree or process now. No lock held. */
int cvy_process_kill_now(covey_process *p);

/* The next deadline of the ladder; and what to do when it has come. */
cvy_deadline cvy_ladder_deadline(const covey_process *p);
void cvy_ladder_expire(covey_process *p);

#endif
