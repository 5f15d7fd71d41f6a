/* ci/msvc/gate.h: read before every file of the dialect check (ci/steps/msvc). Makes mingw's headers fit for clang's MSVC target,
 * takes in every system header a source may use, then forbids the words that cl.exe does not know. */
#ifndef GATE_H
#define GATE_H
#include <_mingw.h>
#undef __attribute__
#undef __MINGW_ATTRIB_DEPRECATED
#define __MINGW_ATTRIB_DEPRECATED
#undef __MINGW_ATTRIB_NORETURN
#define __MINGW_ATTRIB_NORETURN
#undef __MINGW32__
#undef __MINGW64__
#undef __MINGW64_VERSION_MAJOR
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <accctrl.h>
#include <aclapi.h>
#include <bcrypt.h>
#include <intrin.h>
#include <process.h>
#include <psapi.h>
#include <sddl.h>
#include <shellapi.h>
#include <tlhelp32.h>
#include <userenv.h>
#include <winternl.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <io.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <wchar.h>
#include <uv.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#undef PCRE2_CODE_UNIT_WIDTH
#undef __MINGW_PRINTF_FORMAT
/* intrinsics of cl.exe that mingw's intrin.h does not declare */
long long _InterlockedExchange64(long long volatile *, long long);
long long _InterlockedExchangeAdd64(long long volatile *, long long);
long long _InterlockedOr64(long long volatile *, long long);
long long _InterlockedAnd64(long long volatile *, long long);
void _ReadWriteBarrier(void);
/* words that only files with windows.h must avoid; the build by mingw sees to those */
#undef far
#undef near
#undef small
#undef interface
/* from here on we are cl.exe, not clang under its name */
#undef __clang__
#undef ssize_t
#undef strcasecmp
#undef strncasecmp
#pragma GCC poison _Atomic _Complex _Thread_local
#pragma GCC poison __attribute__ __attribute typeof __typeof__ __typeof __auto_type __extension__ __asm__ __asm asm
#pragma GCC poison __thread __int128 __label__
#pragma GCC poison __builtin_expect __builtin_unreachable __builtin_constant_p __builtin_trap __builtin_alloca
#pragma GCC poison __builtin_add_overflow __builtin_sub_overflow __builtin_mul_overflow __builtin_clz __builtin_clzll
#pragma GCC poison __builtin_ctz __builtin_ctzll __builtin_popcount __builtin_popcountll __builtin_bswap16
#pragma GCC poison __builtin_bswap32 __builtin_bswap64 __builtin_choose_expr __builtin_types_compatible_p
#pragma GCC poison __sync_fetch_and_add __sync_synchronize __sync_bool_compare_and_swap __sync_val_compare_and_swap
#pragma GCC poison __atomic_load_n __atomic_store_n __atomic_exchange_n __atomic_fetch_add __atomic_fetch_sub
#pragma GCC poison __atomic_fetch_or __atomic_fetch_and __atomic_compare_exchange_n __atomic_thread_fence
#pragma GCC poison ssize_t pid_t mode_t useconds_t gettimeofday clock_gettime nanosleep usleep strtok_r strndup asprintf
#pragma GCC poison vasprintf getline ftruncate fseeko ftello aligned_alloc localtime_r gmtime_r mkstemp setenv unsetenv
#pragma GCC poison strcasecmp strncasecmp
#endif
