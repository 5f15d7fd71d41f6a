/* os/types.h: the types of the seam. The one neutral header that may know which system it is compiled for.
 *
 * A backend opens, reads, writes and waits; it decides nothing. Every function of the seam (prefix cvos_) is declared in one
 * header of this folder and defined once in the file of the same stem in posix/ and in win32/, in the same order. */
#ifndef COVEY_OS_TYPES_H
#define COVEY_OS_TYPES_H

#include <covey/base.h>
#include <covey/error.h>
#include <stdbool.h>

typedef covey_native cvos_handle; /* descriptor or HANDLE */
#define CVOS_NONE COVEY_NATIVE_NONE

#if defined(_MSC_VER)
#define CVOS_THREAD_LOCAL __declspec(thread)
#define CVOS_PRINTF(text, first)
#else
#define CVOS_THREAD_LOCAL __thread
#define CVOS_PRINTF(text, first) __attribute__((format(printf, text, first)))
#endif

#if defined(_WIN32)
#define CVOS_WINDOWS 1
#else
#define CVOS_WINDOWS 0
#endif

#endif
