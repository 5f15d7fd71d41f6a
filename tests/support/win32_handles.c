#include "system.h"

#include <windows.h>

/* Tried one by one: GetProcessHandleCount counts what the system's libraries open for themselves, whenever they like, and says 0 under wine. */
enum { HANDLES = 4096 };

typedef LONG(WINAPI *query_fn)(HANDLE, int, void *, ULONG, ULONG *);

static HANDLE nth_handle(int n)
{
  return (HANDLE)(intptr_t)(n * 4);
}

static query_fn query_object(void)
{
  FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll"), "NtQueryObject");
  query_fn query = NULL;
  if (found) memcpy(&query, &found, sizeof query);
  return query;
}

int64_t test_handle_rights(covey_native handle)
{
  struct {
    ULONG attributes, rights, rest[12];
  } info = {0};
  query_fn query = query_object();
  return query && query(handle, 0, &info, sizeof info, NULL) >= 0 ? (int64_t)info.rights : 0;
}

/* "Event", "File", ...: what the system calls the kind of the nth handle; "" where it does not tell. False: no such handle. */
static bool handle_type(int n, char *text, size_t capacity)
{
  enum { OBJECT_TYPE = 2 };
  struct {
    USHORT length, maximum;
    WCHAR *buffer;
    uint64_t rest[64];
  } info = {0};
  DWORD flags;
  query_fn query = query_object();
  size_t size = 0;

  if (!GetHandleInformation(nth_handle(n), &flags)) return false;
  if (query && query(nth_handle(n), OBJECT_TYPE, &info, sizeof info, NULL) >= 0)
    for (; size < info.length / sizeof(WCHAR) && size + 1 < capacity; size++)
      text[size] = (char)info.buffer[size];
  text[size] = '\0';
  return true;
}

/* Kinds that covey never makes, and the system's libraries make for themselves: keys of the registry (user32 at the first search for windows), what a
 * pool of threads is made of and grows by, traces, local calls. What has no kind is theirs too (Wine 10 keeps one for each thread that has waited
 * on a completion port). */
static bool is_the_systems(const char *type)
{
  static const char *const kinds[] = {"",        "Key",       "TpWorkerFactory", "WaitCompletionPacket",
                                      "IRTimer", "ALPC Port", "EtwRegistration", "Semaphore",
                                      "Mutant",  "Directory", "WindowStation",   "Desktop"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(type, kinds[i]) == 0) return true;
  return false;
}

int test_handle_count(void)
{
  char type[32];
  int count = 0;

  for (int i = 1; i < HANDLES; i++)
    if (handle_type(i, type, sizeof type) && !is_the_systems(type)) count++;
  return count ? count : -1;
}

void test_system_list_handles(char *text, size_t capacity)
{
  size_t size = 0;
  char type[32];

  text[0] = '\0';
  for (int i = 1; i < HANDLES && size + 1 < capacity; i++)
    if (handle_type(i, type, sizeof type))
      size += (size_t)snprintf(text + size, capacity - size, "0x%x %s, ", i * 4, type);
}
