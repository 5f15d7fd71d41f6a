/* covey/base.h: what every other header needs: export macro, version, native handles, times, capabilities, cancel objects.
 *
 * Conventions of the whole library
 *   result    int: 0 or a count on success, a negative COVEY_E... code on failure (error.h). Nothing is printed, nothing
 *             exits. A failed call changes nothing and leaves every ret_... argument as it was.
 *   times     relative milliseconds as int64_t. As an argument: 0 tries once, COVEY_FOREVER waits. As a field of an options
 *             struct: 0 is the documented default, COVEY_FOREVER is "none". One call has one deadline, fixed at entry on
 *             libuv's monotonic clock, whatever steps it takes.
 *   strings   UTF-8. On Windows also WTF-8 (lone surrogates survive a round trip); on POSIX any bytes but NUL.
 *   sizes     size_t size counts bytes, count counts items.
 *   options   a struct that is all zero is the documented default; a NULL pointer is the same as an all-zero struct.
 *             Options and results end in reserved words, which must be zero, and small parts of them (a buffer, a limit, a
 *             step) have none: the size of a public struct never changes.
 *   ownership borrowed: used during the call only. copied: the library keeps its own copy. moved: the library owns it from
 *             now on. Results are owned (the comment names the call that frees them) or a view (valid until ...).
 *   threads   every object may be used from any thread at the same time, unless a comment says otherwise.
 *   fork      after fork() without exec, a call on an object of the parent answers COVEY_ESTALE in the child. */
#ifndef COVEY_BASE_H
#define COVEY_BASE_H

#include <stddef.h>
#include <stdint.h>

/* COVEY_API marks what the library exports. Programs that link the static library define COVEY_STATIC (the CMake target
 * and the pkg-config file do it for them); the build of the shared library defines COVEY_BUILDING. */
#if defined(COVEY_STATIC)
#define COVEY_API
#elif defined(_WIN32)
#if defined(COVEY_BUILDING)
#define COVEY_API __declspec(dllexport)
#else
#define COVEY_API __declspec(dllimport)
#endif
#else
#define COVEY_API __attribute__((visibility("default")))
#endif

/* A file descriptor on POSIX, a HANDLE on Windows. COVEY_NATIVE_NONE is "no handle". */
#if defined(_WIN32)
typedef void *covey_native;
#if defined(__cplusplus)
#define COVEY_NATIVE_NONE (reinterpret_cast<covey_native>(static_cast<intptr_t>(-1)))
#else
#define COVEY_NATIVE_NONE ((covey_native)(intptr_t)-1)
#endif
#else
typedef int covey_native;
#define COVEY_NATIVE_NONE (-1)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define COVEY_VERSION_MAJOR 0
#define COVEY_VERSION_MINOR 1
#define COVEY_VERSION_PATCH 0

/* "Wait without end" as a timeout, "none" as a time in an options struct. */
#define COVEY_FOREVER (INT64_C(-1))

/* covey_version returns the version of the library that is linked, as major * 10000 + minor * 100 + patch, so that it can be
 * compared with the COVEY_VERSION_ constants of the header. Any thread. */
COVEY_API int covey_version(void);

/* What this system, this kernel and this process can guarantee; the bits that covey_caps returns. A bit that is not set says
 * that the promise is kept by a weaker means, which the header of the part describes. */
enum {
  COVEY_CAP_PIDFD = 1 << 0,       /* processes are held by a kernel object: a reused pid is never touched (Linux 5.4, Windows) */
  COVEY_CAP_TREE_KERNEL = 1 << 1, /* the kernel ends whole trees without escape (Windows job; Linux 5.14 with cgroup v2, where our own
                                     control group may be divided: as root, or in a session whose manager runs as the user; and /bin/sh) */
  COVEY_CAP_TIED_LIFE = 1 << 2,   /* tied children die with us even after SIGKILL (Windows job; POSIX: needs /bin/sh) */
  COVEY_CAP_ASK_CONSOLE = 1 << 3, /* a console that is not ours can be asked to stop (POSIX: signals; Windows: covey.exe found) */
  COVEY_CAP_SPAWN_FLAT = 1 << 4,  /* starting a child costs the same however much memory we use */
  /* limits of a whole tree are kept (launch.h) */
  COVEY_CAP_LIMIT_MEMORY = 1 << 5,
  COVEY_CAP_LIMIT_PROCESSES = 1 << 6,
  COVEY_CAP_LIMIT_CPU = 1 << 7,
  COVEY_CAP_PTY = 1 << 8 /* a child can have a terminal of its own (POSIX; Windows 10 1809 on) */
};

/* covey_caps returns the COVEY_CAP_ bits that hold here and now. The first call probes the system, later calls are cheap.
 * Any thread. */
COVEY_API uint32_t covey_caps(void);

/* Who a process is: filled from the kernel or from our own spawn, never from what the process says of itself. */
enum {
  COVEY_ID_SAME_USER = 1 << 0, /* the user is ours */
  COVEY_ID_PINNED = 1 << 1,    /* held by a pidfd or a process handle: the pid cannot become another's while we look */
  COVEY_ID_ELEVATED = 1 << 2,  /* root, or an elevated token on Windows */
  COVEY_ID_CHILD = 1 << 3      /* started by this process */
};

typedef struct covey_identity {
  int64_t pid;          /* 0: in another pid namespace, which has no number here */
  uint64_t start;       /* start stamp of the system, in its own unit; (pid, start) never repeats; 0: unknown */
  int64_t uid, gid;     /* -1 on Windows */
  uint32_t flags;       /* COVEY_ID_... */
  uint32_t reserved0;   /* zero */
  uint8_t instance[16]; /* the random id of its node, zero without one; told by the peer: good for "the same one as before" only */
  char sid[96];         /* Windows: the user's SID as text; "" elsewhere */
  uint64_t reserved[4]; /* zero */
} covey_identity;

/* covey_free releases memory that a covey function returned as "owned, free with covey_free". p: moved, may be NULL. The
 * program's own free() must not be used in its place: on Windows each C runtime has a heap of its own. Any thread. */
COVEY_API void covey_free(void *p);

/* A cancel object ends waiting calls from elsewhere: it is given to them in their options, and each of them answers
 * COVEY_ECANCELED once it has been fired. Firing is sticky: until a reset calls that start later do not wait either. What needs no
 * wait is done all the same: a message that is there is handed out, one for which there is room is sent, an end that is known is
 * told. (A program that covey_run or covey_pipeline would wait for is not started.) */
typedef struct covey_cancel covey_cancel;

/* covey_cancel_new makes a cancel object. ret_cancel: owned, free with covey_cancel_free.
 * Errors: COVEY_EINVAL (ret_cancel is NULL), COVEY_ENOMEM. Any thread. */
COVEY_API int covey_cancel_new(covey_cancel **ret_cancel);

/* covey_cancel_fire cancels every call that waits with c, and those that will. c: borrowed, NULL does nothing. Any thread, and
 * on POSIX also a signal handler (it uses only an atomic store and write()). */
COVEY_API void covey_cancel_fire(covey_cancel *c);

/* covey_cancel_reset makes a fired object usable again. c: borrowed, NULL does nothing. Only when no call waits with it. */
COVEY_API void covey_cancel_reset(covey_cancel *c);

/* covey_cancel_free releases c. c: moved, NULL does nothing. Only when no call waits with it. */
COVEY_API void covey_cancel_free(covey_cancel *c);

#ifdef __cplusplus
}
#endif

#endif
