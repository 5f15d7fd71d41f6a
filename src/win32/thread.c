#include "os/thread.h"
#include "core/mem.h"
#include "os/error.h"
#include "win32/detail/windows.h"

#include <process.h>

struct cvos_thread {
  HANDLE handle;
  wchar_t name[16];
  void (*run)(void *arg);
  void *arg;
  LONG parts; /* the thread and its holder: the last one frees */
};

/* SetThreadDescription is Windows 10 1607: looked up, so that an older system only misses the name. */
static void set_name(const wchar_t *name)
{
  typedef HRESULT(WINAPI * set_description)(HANDLE, PCWSTR);
  HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
  FARPROC found = kernel ? GetProcAddress(kernel, "SetThreadDescription") : NULL;
  if (found) ((set_description)(void (*)(void))found)(GetCurrentThread(), name);
}

static void thread_release(cvos_thread *t)
{
  if (InterlockedDecrement(&t->parts) == 0) cvy_free(t);
}

static unsigned __stdcall thread_main(void *arg)
{
  cvos_thread *t = arg;
  set_name(t->name);
  t->run(t->arg);
  thread_release(t);
  return 0;
}

int cvos_thread_start(const char *name, void (*run)(void *arg), void *arg, cvos_thread **ret)
{
  cvos_thread *t = cvy_alloc_zero(1, sizeof *t);
  if (!t) return COVEY_ENOMEM;
  for (size_t i = 0; i + 1 < sizeof t->name / sizeof t->name[0] && name[i]; i++)
    t->name[i] = (wchar_t)(unsigned char)name[i];
  t->run = run;
  t->arg = arg;
  t->parts = 2;
  uintptr_t handle = _beginthreadex(NULL, 0, thread_main, t, CREATE_SUSPENDED, NULL);
  if (!handle) {
    cvy_free(t);
    return COVEY_ELIMIT;
  }
  t->handle = (HANDLE)handle;
  *ret = t;
  ResumeThread(t->handle);
  return 0;
}

void cvos_thread_join(cvos_thread *thread)
{
  WaitForSingleObject(thread->handle, INFINITE);
  cvos_thread_detach(thread);
}

void cvos_thread_detach(cvos_thread *thread)
{
  CloseHandle(thread->handle);
  thread_release(thread);
}

void cvos_thread_yield(void)
{
  (void)SwitchToThread();
}

int cvos_cpu_count(void)
{
  DWORD n = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
  return n ? (int)n : 1;
}

uint32_t cvos_fork_generation(void)
{
  return 0;
}

static SRWLOCK global = SRWLOCK_INIT;

void cvos_global_lock(void)
{
  AcquireSRWLockExclusive(&global);
}

void cvos_global_unlock(void)
{
  ReleaseSRWLockExclusive(&global);
}
