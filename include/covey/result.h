/* covey/result.h: how a process ended, why, and what it wrote. Part of process.h, which includes it. */
#ifndef COVEY_RESULT_H
#define COVEY_RESULT_H

#include <covey/base.h>
#include <covey/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a process ended. */
enum {
  COVEY_HOW_EXITED = 0, /* by itself: code is its exit code */
  /* POSIX: by a signal, which is in signal and system_signal. Windows: by our kill, signal is
   * COVEY_SIGNAL_KILL */
  COVEY_HOW_SIGNALLED,
  /* it has ended, but its status went to someone else: a host that ignores SIGCHLD or reaps everything,
   * or an adopted process on a system that tells only parents */
  COVEY_HOW_LOST
};

/* Why it ended, as far as we were the reason. What was done to one that had ended already is none, whoever knew of that end; but OUTPUT, and
 * the CANCEL of a callback, are told of it too: its output is not all there. */
enum {
  COVEY_WHY_SELF = 0, /* we did nothing to it */
  COVEY_WHY_STOP,     /* covey_process_stop: it followed the request */
  /* covey_process_kill, or a stop whose grace ran out, or COVEY_SIGNAL_KILL by covey_process_signal */
  COVEY_WHY_KILL,
  COVEY_WHY_TIMEOUT, /* options.timeout */
  COVEY_WHY_IDLE,    /* options.idle */
  COVEY_WHY_OUTPUT,  /* it wrote more than capture_max */
  COVEY_WHY_CANCEL   /* options.cancel of covey_run, or a callback of the program's that said so */
};

/* Signals, with the same numbers everywhere; COVEY_SIGNAL_RAW + n is the system's own signal n (POSIX). */
enum {
  COVEY_SIGNAL_HUP = 1,
  COVEY_SIGNAL_INT = 2,
  COVEY_SIGNAL_QUIT = 3,
  COVEY_SIGNAL_ABRT = 4,
  COVEY_SIGNAL_KILL = 5,
  COVEY_SIGNAL_USR1 = 6,
  COVEY_SIGNAL_USR2 = 7,
  COVEY_SIGNAL_PIPE = 8,
  COVEY_SIGNAL_ALRM = 9,
  COVEY_SIGNAL_TERM = 10,
  COVEY_SIGNAL_STOP = 11,
  COVEY_SIGNAL_CONT = 12,
  COVEY_SIGNAL_WINCH = 13,
  COVEY_SIGNAL_ILL = 14,
  COVEY_SIGNAL_FPE = 15,
  COVEY_SIGNAL_SEGV = 16,
  COVEY_SIGNAL_BUS = 17,
  COVEY_SIGNAL_TRAP = 18,
  COVEY_SIGNAL_CHLD = 19,
  COVEY_SIGNAL_TSTP = 20,
  COVEY_SIGNAL_RAW = 1000
};

/* Whom a signal is for. */
enum { COVEY_TARGET_LEADER = 0, COVEY_TARGET_TREE = 1 };

typedef struct covey_exit {
  int how; /* COVEY_HOW_... */
  int why; /* COVEY_WHY_... */
  /* EXITED: the exit code (Windows: all 32 bits, such as 0xC0000005). SIGNALLED: 128 + the system's
   * signal, 137 for our kill on Windows, so that 0 always means a clean exit. LOST: 0xFFFFFFFF */
  uint32_t code;
  /* SIGNALLED: COVEY_SIGNAL_..., or COVEY_SIGNAL_RAW + n where we have no name; else 0 */
  int signal;
  int system_signal; /* SIGNALLED: the system's number (POSIX); else 0 */
  int core;          /* 1: the system wrote a core image */
  /* 1: a descendant still held a captured or piped stream when it was given up */
  int pipe_held;
  /* the last step of the stop ladder that was taken, from 1 on; one more than it has: the kill behind its last; 0: none */
  uint32_t step;
  int64_t started; /* milliseconds since 1970 UTC */
  int64_t ended;
  /* microseconds of processor time of the child and the children it waited for; -1 unknown */
  int64_t user_time;
  int64_t system_time; /* the same, in the kernel */
  /* largest resident memory in bytes; -1 unknown. Linux: unknown also when it was less than the most that we have had ourselves, with
   * which the system's account of a child begins; covey_process_usage tells it while the child runs */
  int64_t peak_memory;
  uint64_t reserved[4];
} covey_exit;

/* True for a clean end: it exited by itself, with code 0, and we were not the reason. */
#define COVEY_EXIT_OK(exit_)                                                                                 \
  ((exit_)->how == COVEY_HOW_EXITED && (exit_)->why == COVEY_WHY_SELF && (exit_)->code == 0)

enum {
  /* out is not all that was written: capture_max, or given up while a descendant held it */
  COVEY_RESULT_OUT_CUT = 1 << 0,
  COVEY_RESULT_ERR_CUT = 1 << 1,
  COVEY_RESULT_HELD = 1 << 2 /* the same as exit.pipe_held */
};

/* What covey_run returns; freed with covey_result_free. */
typedef struct covey_result {
  covey_exit exit;
  /* captured output, with a NUL behind it; never NULL after success: "" when nothing was captured. Owned */
  char *out;
  size_t out_size; /* bytes without that NUL; the output may contain NULs */
  /* the same for the errors; "" with COVEY_STDIO_MERGE, which has all in out */
  char *err;
  size_t err_size;
  uint32_t flags; /* COVEY_RESULT_... */
  uint32_t reserved0;
  /* code 0 when the child ran to its end by itself; COVEY_ETIMEDOUT, COVEY_ECANCELED, COVEY_ETOOBIG
   * (stage STDIO, index: COVEY_STDOUT or COVEY_STDERR) when we ended it; COVEY_ENOMEM when a capture had
   * to be cut for want of memory */
  covey_failure failure;
  /* bytes that were read, and dropped by capture_max; they are missing before out[out_gap], which is out_size where
   * nothing came behind them. Both 0 when none was */
  uint64_t out_dropped, err_dropped;
  size_t out_gap, err_gap;
  uint64_t reserved[4];
} covey_result;

#ifdef __cplusplus
}
#endif

#endif
