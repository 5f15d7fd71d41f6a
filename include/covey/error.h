/* covey/error.h: the error codes, their texts, and what a thread's last failure was about.
 *
 * Codes are the same numbers on every system and are never renumbered. A caller's mistake is COVEY_EINVAL in every build,
 * never a crash; a peer's mistake is COVEY_EPROTO and costs its connection only. */
#ifndef COVEY_ERROR_H
#define COVEY_ERROR_H

#include <covey/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, text): the one list of codes. */
#define COVEY_ERRORS(X)                                                                                                \
  X(EINVAL, -1, "invalid argument")                                                                                    \
  X(ENOMEM, -2, "out of memory")                                                                                       \
  X(ETIMEDOUT, -3, "the deadline passed")                                                                              \
  X(ECANCELED, -4, "cancelled")                                                                                        \
  X(EAGAIN, -5, "it would have to wait")                                                                               \
  X(ENOTFOUND, -6, "not found")                                                                                        \
  X(EACCES, -7, "permission denied")                                                                                   \
  X(EEXIST, -8, "it exists already")                                                                                   \
  X(ETOOBIG, -9, "larger than the system or a limit allows")                                                           \
  X(EUNQUOTABLE, -10, "cannot be quoted safely")                                                                       \
  X(EENCODING, -11, "not valid UTF-8 (WTF-8)")                                                                         \
  X(ECLOSED, -12, "closed")                                                                                            \
  X(ENOPEER, -13, "no such process, or it has no node")                                                                \
  X(ENOGROUP, -14, "the process has not opened this group")                                                            \
  X(EPEERCHANGED, -15, "the process is gone and its pid or name is another's")                                         \
  X(EPEERDIED, -16, "the process ended")                                                                               \
  X(EDENIED, -17, "identity refused")                                                                                  \
  X(EUNSAFE, -18, "directory, lock or name is not ours alone")                                                         \
  X(EQUOTA, -19, "a quota is used up")                                                                                 \
  X(EPROTO, -20, "the peer broke the protocol")                                                                        \
  X(EVERSION, -21, "versions do not fit")                                                                              \
  X(EOWNERDEAD, -22, "the owner died holding it")                                                                      \
  X(ESTALE, -23, "inherited by fork, or of a process that is gone")                                                    \
  X(ENOTSUP, -24, "not supported here")                                                                                \
  X(ELIMIT, -25, "a limit of the system is reached")                                                                   \
  X(EDEADLK, -26, "it would wait for itself")                                                                          \
  X(ESTUCK, -27, "the process cannot be ended")                                                                        \
  X(EOS, -28, "the system refused")                                                                                    \
  X(EFAILED, -29, "the program failed")

enum {
#define COVEY_ERROR_ENUM(name, number, text) COVEY_##name = number,
  COVEY_ERRORS(COVEY_ERROR_ENUM)
#undef COVEY_ERROR_ENUM
      COVEY_OK = 0
};

/* Where in an operation a failure happened. */
enum {
  COVEY_STAGE_NONE = 0,
  COVEY_STAGE_ARGUMENTS,   /* what the caller passed */
  COVEY_STAGE_ENVIRONMENT, /* the child's environment */
  COVEY_STAGE_LOOKUP,      /* finding the program */
  COVEY_STAGE_STDIO,       /* opening or passing streams */
  COVEY_STAGE_CWD,         /* entering the working directory */
  COVEY_STAGE_USER,        /* user and groups */
  COVEY_STAGE_LIMITS,      /* resource limits, priority */
  COVEY_STAGE_PTY,         /* the pseudo-terminal */
  COVEY_STAGE_SCOPE,       /* session, process group, job, guard */
  COVEY_STAGE_EXEC,        /* the system would not start the program */
  COVEY_STAGE_INTERPRETER, /* the program exists, the interpreter that it names does not */
  COVEY_STAGE_OPEN,        /* making our own endpoint: directory, lock, socket, pipe */
  COVEY_STAGE_DIAL,        /* reaching the other process */
  COVEY_STAGE_VERIFY,      /* checking who it is */
  COVEY_STAGE_HANDSHAKE,   /* agreeing on the protocol */
  COVEY_STAGE_GROUP,       /* waiting for the group */
  COVEY_STAGE_ROOM,        /* waiting for room at the receiver */
  COVEY_STAGE_WRITE,       /* handing the bytes to the system */
  COVEY_STAGE_RECEIPT      /* waiting for the receipt */
};

/* How far a message came before the call failed. */
enum {
  COVEY_FAR_NOTHING = 0, /* certainly nothing was sent */
  COVEY_FAR_MAYBE,       /* it may still arrive */
  COVEY_FAR_SENT         /* the receiver's system has it whole */
};

typedef struct covey_failure {
  int code;           /* COVEY_E..., 0 when this thread has not failed yet */
  int stage;          /* COVEY_STAGE_... */
  int system;         /* errno or GetLastError(), 0 when the system was not the reason */
  int reached;        /* COVEY_FAR_... */
  int64_t offset;     /* byte offset of the offending character, -1 when it makes no sense */
  int64_t index;      /* index of the offending argument or item, -1 when it makes no sense */
  char what[256];     /* what it was about (a path, a name), UTF-8, cut if longer, never NULL, may be empty */
  uint64_t reserved[4];
} covey_failure;

/* covey_strerror returns one line about code: lower case, no full stop, English, static. For a number that is no code of ours
 * it returns "unknown error". Any thread. */
COVEY_API const char *covey_strerror(int code);

/* covey_errname returns the name of code, such as "COVEY_EINVAL"; "COVEY_OK" for 0 and for counts; "COVEY_E?" for numbers that
 * are no code of ours. Static. Any thread. */
COVEY_API const char *covey_errname(int code);

/* covey_last_failure returns the calling thread's last failure: a view, valid until this thread's next failing call, never
 * NULL. A successful call leaves it as it was. */
COVEY_API const covey_failure *covey_last_failure(void);

#ifdef __cplusplus
}
#endif

#endif
