/* core/atomics.h: the few atomic operations that we use, on plain integers and pointers.
 *
 * C11's <stdatomic.h> is not everywhere (cl.exe before 2022 17.5), so the objects are ordinary uint32_t, cvy_u64 and void * that are
 * only touched through these calls while several threads can see them. They must be naturally aligned, which a uint64_t in a struct of
 * i386 is not: hence cvy_u64. The same calls serve memory that is shared between processes.
 *
 *   load, store      relaxed, acquire (load), release (store), or seq: in one order for all threads
 *   exchange, cas,   always in the one order for all threads; add and fetch return the value from before
 *   add, or, and
 *
 * The one header of core that looks at the compiler: GCC and Clang have the __atomic builtins, cl.exe has _Interlocked functions, which
 * are full barriers; plain volatile loads and stores of x64 and the explicit ones of ARM64 do the rest. */
#ifndef COVEY_CORE_ATOMICS_H
#define COVEY_CORE_ATOMICS_H

#include "os/types.h"

#if defined(_MSC_VER)

#include <intrin.h>

/* In <intrin.h> of cl.exe too; other headers of that name lack them. */
void _ReadWriteBarrier(void);
long long _InterlockedExchange64(long long volatile *, long long);
long long _InterlockedExchangeAdd64(long long volatile *, long long);
long long _InterlockedOr64(long long volatile *, long long);
long long _InterlockedAnd64(long long volatile *, long long);
long long _InterlockedCompareExchange64(long long volatile *, long long, long long);

/* cl.exe: every load and store goes through an interlocked or a barrier call where the order asks for it. */
#if defined(_M_ARM64)
#define CVY_ATOMIC_BARRIER() __dmb(_ARM64_BARRIER_ISH)
#else
#define CVY_ATOMIC_BARRIER() _ReadWriteBarrier()
#endif

#define CVY_ATOMIC_SCALAR(name, type, word, suffix)                                                          \
  static inline type cvy_load_relaxed_##name(const type *p)                                                  \
  {                                                                                                          \
    return *(const volatile type *)p;                                                                        \
  }                                                                                                          \
  static inline type cvy_load_acquire_##name(const type *p)                                                  \
  {                                                                                                          \
    type v = *(const volatile type *)p;                                                                      \
    CVY_ATOMIC_BARRIER();                                                                                    \
    return v;                                                                                                \
  }                                                                                                          \
  static inline type cvy_load_seq_##name(const type *p)                                                      \
  {                                                                                                          \
    CVY_ATOMIC_BARRIER();                                                                                    \
    return cvy_load_acquire_##name(p);                                                                       \
  }                                                                                                          \
  static inline void cvy_store_relaxed_##name(type *p, type v)                                               \
  {                                                                                                          \
    *(volatile type *)p = v;                                                                                 \
  }                                                                                                          \
  static inline void cvy_store_release_##name(type *p, type v)                                               \
  {                                                                                                          \
    CVY_ATOMIC_BARRIER();                                                                                    \
    *(volatile type *)p = v;                                                                                 \
  }                                                                                                          \
  static inline type cvy_exchange_##name(type *p, type v)                                                    \
  {                                                                                                          \
    return (type)_InterlockedExchange##suffix((volatile word *)p, (word)v);                                  \
  }                                                                                                          \
  static inline void cvy_store_seq_##name(type *p, type v)                                                   \
  {                                                                                                          \
    (void)cvy_exchange_##name(p, v);                                                                         \
  }                                                                                                          \
  static inline type cvy_add_##name(type *p, type v)                                                         \
  {                                                                                                          \
    return (type)_InterlockedExchangeAdd##suffix((volatile word *)p, (word)v);                               \
  }                                                                                                          \
  static inline type cvy_or_##name(type *p, type v)                                                          \
  {                                                                                                          \
    return (type)_InterlockedOr##suffix((volatile word *)p, (word)v);                                        \
  }                                                                                                          \
  static inline type cvy_and_##name(type *p, type v)                                                         \
  {                                                                                                          \
    return (type)_InterlockedAnd##suffix((volatile word *)p, (word)v);                                       \
  }                                                                                                          \
  static inline bool cvy_cas_##name(type *p, type *expected, type wanted)                                    \
  {                                                                                                          \
    type old = (type)_InterlockedCompareExchange##suffix((volatile word *)p, (word)wanted, (word)*expected); \
    bool done = old == *expected;                                                                            \
    *expected = old;                                                                                         \
    return done;                                                                                             \
  }

typedef uint64_t cvy_u64;
CVY_ATOMIC_SCALAR(u32, uint32_t, long, )
CVY_ATOMIC_SCALAR(u64, cvy_u64, long long, 64)

static inline void *cvy_load_relaxed_ptr(void *const *p)
{
  return *(void *const volatile *)p;
}
static inline void *cvy_load_acquire_ptr(void *const *p)
{
  void *v = *(void *const volatile *)p;
  CVY_ATOMIC_BARRIER();
  return v;
}
static inline void *cvy_load_seq_ptr(void *const *p)
{
  CVY_ATOMIC_BARRIER();
  return cvy_load_acquire_ptr(p);
}
static inline void cvy_store_relaxed_ptr(void **p, void *v)
{
  *(void *volatile *)p = v;
}
static inline void cvy_store_release_ptr(void **p, void *v)
{
  CVY_ATOMIC_BARRIER();
  *(void *volatile *)p = v;
}
static inline void *cvy_exchange_ptr(void **p, void *v)
{
  return _InterlockedExchangePointer((void *volatile *)p, v);
}
static inline void cvy_store_seq_ptr(void **p, void *v)
{
  (void)cvy_exchange_ptr(p, v);
}
static inline bool cvy_cas_ptr(void **p, void **expected, void *wanted)
{
  void *old = _InterlockedCompareExchangePointer((void *volatile *)p, wanted, *expected);
  bool done = old == *expected;
  *expected = old;
  return done;
}

/* A full fence, and a hint to the CPU inside a short spin. */
static inline void cvy_fence(void)
{
  volatile long word = 0;
  (void)_InterlockedExchange(&word, 1);
}
static inline void cvy_spin_pause(void)
{
#if defined(_M_ARM64)
  __yield();
#else
  _mm_pause();
#endif
}

#else

#define CVY_ATOMIC_COMMON(name, type)                                                                        \
  static inline type cvy_load_relaxed_##name(type const *p)                                                  \
  {                                                                                                          \
    return __atomic_load_n(p, __ATOMIC_RELAXED);                                                             \
  }                                                                                                          \
  static inline type cvy_load_acquire_##name(type const *p)                                                  \
  {                                                                                                          \
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);                                                             \
  }                                                                                                          \
  static inline type cvy_load_seq_##name(type const *p)                                                      \
  {                                                                                                          \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                             \
  }                                                                                                          \
  static inline void cvy_store_relaxed_##name(type *p, type v)                                               \
  {                                                                                                          \
    __atomic_store_n(p, v, __ATOMIC_RELAXED);                                                                \
  }                                                                                                          \
  static inline void cvy_store_release_##name(type *p, type v)                                               \
  {                                                                                                          \
    __atomic_store_n(p, v, __ATOMIC_RELEASE);                                                                \
  }                                                                                                          \
  static inline void cvy_store_seq_##name(type *p, type v)                                                   \
  {                                                                                                          \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                                \
  }                                                                                                          \
  static inline type cvy_exchange_##name(type *p, type v)                                                    \
  {                                                                                                          \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                          \
  static inline bool cvy_cas_##name(type *p, type *expected, type wanted)                                    \
  {                                                                                                          \
    return __atomic_compare_exchange_n(p, expected, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);      \
  }
#define CVY_ATOMIC_SCALAR(name, type)                                                                        \
  CVY_ATOMIC_COMMON(name, type)                                                                              \
  static inline type cvy_add_##name(type *p, type v)                                                         \
  {                                                                                                          \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                       \
  }                                                                                                          \
  static inline type cvy_or_##name(type *p, type v)                                                          \
  {                                                                                                          \
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                                        \
  }                                                                                                          \
  static inline type cvy_and_##name(type *p, type v)                                                         \
  {                                                                                                          \
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                                       \
  }

typedef uint64_t cvy_u64 __attribute__((aligned(8)));
CVY_ATOMIC_SCALAR(u32, uint32_t)
CVY_ATOMIC_SCALAR(u64, cvy_u64)
typedef void *cvy_pointer;
CVY_ATOMIC_COMMON(ptr, cvy_pointer)

/* The older name: for the newer one gcc warns under its thread sanitizer. */
static inline void cvy_fence(void)
{
  __sync_synchronize();
}
static inline void cvy_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif

#undef CVY_ATOMIC_SCALAR
#undef CVY_ATOMIC_COMMON

#endif
