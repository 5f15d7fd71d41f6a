#include "os/stream.h"
#include "core/mem.h"
#include "core/proc_text.h"
#include "os/error.h"
#include "os/fault.h"
#include "win32/detail/listener.h"
#include "win32/detail/user.h"

#include <bcrypt.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "\\\\.\\pipe\\covey."

static int failed(int code)
{
  SetLastError(0);
  return code;
}

static int failed_here(void)
{
  return cvos_translate((int)GetLastError());
}

static void close_quietly(HANDLE handle)
{
  DWORD error = GetLastError();
  if (handle != CVOS_NONE) CloseHandle(handle);
  SetLastError(error);
}

/* ---- an address ---- */

static bool allowed(const char *name)
{
  size_t n = name ? strlen(name) : 0;
  return n > 0 && n <= CVOS_NAME_MAX && name[0] != '.' && !strpbrk(name, "/\\~+");
}

/* Appends name; pipes make no difference between them, so a capital letter becomes + and the small one. False: no room. */
static bool append_name(char *to, size_t *at, const char *name)
{
  for (; *name; name++) {
    bool capital = *name >= 'A' && *name <= 'Z';
    if (*at + 3 > CVOS_PIPE_NAME_MAX) return false;
    if (capital) to[(*at)++] = '+';
    to[(*at)++] = (char)(capital ? *name - 'A' + 'a' : *name);
  }
  to[*at] = '\0';
  return true;
}

static int pipe_name(const cvos_address *address, char ret[CVOS_PIPE_NAME_MAX])
{
  uint64_t hash;
  if (!allowed(address->app) || !allowed(address->name)) return failed(COVEY_EINVAL);
  int r = cvos_user_hash(address->directory, &hash);
  if (r < 0) return r;
  int n = snprintf(ret, CVOS_PIPE_NAME_MAX, PREFIX "%08lx%08lx.", (unsigned long)(hash >> 32),
                   (unsigned long)(hash & 0xffffffff));
  size_t at = (size_t)n;
  if (!append_name(ret, &at, address->app) || !append_name(ret, &at, "~") ||
      !append_name(ret, &at, address->name))
    return failed(COVEY_ETOOBIG);
  return 0;
}

/* The names are ASCII: checked by allowed and by neutral code before it. */
static void widen(const char *text, wchar_t ret[CVOS_PIPE_NAME_MAX])
{
  size_t i = 0;
  for (; text[i]; i++) ret[i] = (wchar_t)(unsigned char)text[i];
  ret[i] = 0;
}

void cvos_address_text(const cvos_address *address, char *ret_text, size_t capacity)
{
  char name[CVOS_PIPE_NAME_MAX];
  DWORD error = GetLastError();
  if (capacity == 0) return;
  if (pipe_name(address, name) < 0)
    (void)snprintf(ret_text, capacity, "%s.%s", address->app ? address->app : "",
                   address->name ? address->name : "");
  else
    (void)snprintf(ret_text, capacity, "%s", name);
  ret_text[capacity - 1] = '\0';
  SetLastError(error);
}

int cvos_address_list(const cvos_address *where, void (*found)(void *arg, const char *name), void *arg)
{
  char prefix[CVOS_PIPE_NAME_MAX], name[CVOS_PIPE_NAME_MAX];
  WIN32_FIND_DATAW entry;
  cvos_address any = *where;
  any.name = "n";
  int r = pipe_name(&any, prefix);
  if (r < 0) return r;
  size_t begin = strlen(PREFIX) - strlen("covey.");
  prefix[strlen(prefix) - 1] = '\0'; /* "covey.<hash>.<app>~" */
  HANDLE list = CVOS_CALL(OPEN, FindFirstFileW(L"\\\\.\\pipe\\*", &entry), INVALID_HANDLE_VALUE);
  if (list == INVALID_HANDLE_VALUE) {
    DWORD error = GetLastError();
    if (error == ERROR_FILE_NOT_FOUND || error == ERROR_NO_MORE_FILES) return 0;
    return error == ERROR_NOT_ENOUGH_MEMORY ? failed_here() : failed(COVEY_ENOTSUP);
  }
  do {
    if (cvy_pipe_entry_read((const uint16_t *)entry.cFileName,
                            sizeof entry.cFileName / sizeof *entry.cFileName, prefix + begin, name,
                            sizeof name))
      found(arg, name);
  } while (CVOS_CALL(READ, FindNextFileW(list, &entry), FALSE));
  DWORD error = GetLastError();
  FindClose(list);
  SetLastError(error);
  return error == ERROR_NO_MORE_FILES ? 0 : failed_here(); /* half a list is none */
}

/* ---- listening ---- */

static int make_instance(const wchar_t *name, void *security, bool first, DWORD most, HANDLE *ret)
{
  SECURITY_ATTRIBUTES attributes = {sizeof attributes, security, FALSE};
  DWORD open = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0u);
  DWORD mode = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
  HANDLE pipe = CVOS_CALL(
      PIPE, CreateNamedPipeW(name, open, mode, most, CVOS_PIPE_BUFFER, CVOS_PIPE_BUFFER, 0, &attributes),
      INVALID_HANDLE_VALUE);
  if (pipe == INVALID_HANDLE_VALUE) return failed_here();
  *ret = pipe;
  return 0;
}

int cvos_listener_instance(cvos_listener *listener, HANDLE *ret)
{
  return make_instance(listener->name, listener->security, false, PIPE_UNLIMITED_INSTANCES, ret);
}

/* Somebody has the name. COVEY_EEXIST: a process of ours; COVEY_EUNSAFE: another's; COVEY_EAGAIN: nobody serves it, but a pipe exists as long as a
 * client holds its end, also when its server has closed or died. */
static int who_has(const wchar_t *name)
{
  covey_identity who;
  ULONG pid;
  HANDLE pipe = CreateFileW(name, READ_CONTROL | FILE_READ_ATTRIBUTES, 0, NULL, OPEN_EXISTING,
                            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
  if (pipe == INVALID_HANDLE_VALUE) {
    DWORD error = GetLastError();
    if (error == ERROR_FILE_NOT_FOUND) return failed(COVEY_EAGAIN);
    return failed(error == ERROR_ACCESS_DENIED ? COVEY_EUNSAFE : COVEY_EEXIST);
  }
  BOOL known = GetNamedPipeServerProcessId(pipe, &pid);
  CloseHandle(pipe);
  if (!known) return failed(COVEY_EEXIST);
  int r = cvos_identity((int64_t)pid, &who, NULL);
  if (r == COVEY_ENOTFOUND) return failed(COVEY_EEXIST);
  return failed(r == 0 && (who.flags & COVEY_ID_SAME_USER) ? COVEY_EEXIST : COVEY_EUNSAFE);
}

/* The first instance, and proof that it is. The flag asks for it; a system that ignores the flag (wine) still counts instances rightly. */
static int make_first(cvos_listener *l)
{
  DWORD count = 0;
  int r = make_instance(l->name, l->security, true, PIPE_UNLIMITED_INSTANCES, &l->pending[0]);
  if (r == COVEY_EACCES || r == COVEY_EAGAIN) return who_has(l->name);
  if (r < 0) return r;
  if (!CVOS_CALL(STAT, GetNamedPipeHandleStateW(l->pending[0], NULL, &count, NULL, NULL, NULL, 0), FALSE))
    return failed_here();
  if (count == 1) return 0;
  close_quietly(l->pending[0]);
  l->pending[0] = CVOS_NONE;
  return who_has(l->name);
}

int cvos_listener_open(const cvos_address *address, cvos_listener **ret)
{
  char name[CVOS_PIPE_NAME_MAX];
  int r = pipe_name(address, name);
  if (r < 0) return r;
  cvos_listener *l = cvy_alloc_zero(1, sizeof *l);
  if (!l) return failed(COVEY_ENOMEM);
  for (int i = 0; i < CVOS_PENDING; i++) l->pending[i] = CVOS_NONE;
  widen(name, l->name);
  r = cvos_user_security(&l->security);
  if (r < 0) goto failed;
  r = make_first(l);
  for (int i = 1; r == 0 && i < CVOS_PENDING; i++) r = cvos_listener_instance(l, &l->pending[i]);
  if (r < 0) goto failed;
  *ret = l;
  return 0;
failed:;
  DWORD error = GetLastError();
  cvos_listener_close(l);
  SetLastError(error);
  return r;
}

int cvos_listener_check(cvos_listener *listener)
{
  (void)listener;
  return 0;
}

void cvos_listener_close(cvos_listener *listener)
{
  if (!listener) return;
  for (int i = 0; i < CVOS_PENDING; i++) close_quietly(listener->pending[i]);
  if (listener->security) LocalFree(listener->security);
  cvy_free(listener);
}

/* ---- dialling ---- */

static int open_pipe(const wchar_t *name, HANDLE *ret)
{
  HANDLE pipe =
      CVOS_CALL(CONNECT,
                CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL),
                INVALID_HANDLE_VALUE);
  if (pipe == INVALID_HANDLE_VALUE) return failed_here();
  *ret = pipe;
  return 0;
}

int cvos_stream_dial(const cvos_address *address, cvos_handle *ret)
{
  char name[CVOS_PIPE_NAME_MAX];
  wchar_t wide[CVOS_PIPE_NAME_MAX];
  int r = pipe_name(address, name);
  if (r < 0) return r;
  widen(name, wide);
  r = open_pipe(wide, ret);
  return r == COVEY_ENOTFOUND ? COVEY_ENOPEER : r;
}

/* ---- a connection for a child ---- */

enum { TOKEN_DIGITS = 32 };

/* The name of the pipe that belongs to a token: of our user, so that a child of another user finds nothing. */
static int token_name(const char *token, wchar_t ret[CVOS_PIPE_NAME_MAX])
{
  char name[CVOS_PIPE_NAME_MAX];
  uint64_t hash;
  int r = cvos_user_hash(NULL, &hash);
  if (r < 0) return r;
  (void)snprintf(name, sizeof name, PREFIX "%08lx%08lx.%s", (unsigned long)(hash >> 32),
                 (unsigned long)(hash & 0xffffffff), token);
  widen(name, ret);
  return 0;
}

int cvos_stream_pair(cvos_handle *ret_ours, cvos_handle *ret_theirs, char *ret_token)
{
  uint8_t secret[TOKEN_DIGITS / 2];
  char token[CVOS_TOKEN_MAX];
  wchar_t name[CVOS_PIPE_NAME_MAX];
  void *security;
  HANDLE pipe = INVALID_HANDLE_VALUE;
  int r = cvos_random(secret, sizeof secret);
  if (r < 0) return r;
  for (size_t i = 0; i < sizeof secret; i++) (void)snprintf(token + 2 * i, 3, "%02x", secret[i]);
  r = token_name(token, name);
  if (r < 0) return r;
  r = cvos_user_security(&security);
  if (r < 0) return r;
  r = make_instance(name, security, true, 1, &pipe);
  DWORD error = GetLastError();
  LocalFree(security);
  SetLastError(error);
  if (r < 0) return r;
  memcpy(ret_token, token, TOKEN_DIGITS + 1);
  *ret_ours = pipe;
  *ret_theirs = CVOS_NONE;
  return 0;
}

int cvos_stream_inherit(const char *token, cvos_handle *ret)
{
  wchar_t name[CVOS_PIPE_NAME_MAX];
  if (strlen(token) != TOKEN_DIGITS || strspn(token, "0123456789abcdef") != TOKEN_DIGITS)
    return failed(COVEY_EINVAL);
  int r = token_name(token, name);
  if (r < 0) return r;
  r = open_pipe(name, ret);
  return r == COVEY_EAGAIN || r == COVEY_EACCES
             ? COVEY_ENOTFOUND
             : r; /* somebody has opened it already, or it is no pipe of ours */
}

/* ---- who is at the other end ---- */

/* The other end's pid. COVEY_EINVAL: no pipe; COVEY_ECLOSED: nobody is there yet, or any more. */
static int read_pid(HANDLE pipe, int64_t *ret)
{
  DWORD flags, available;
  ULONG pid = 0;
  if (!CVOS_CALL(IDENTITY, GetNamedPipeInfo(pipe, &flags, NULL, NULL, NULL), FALSE)) return COVEY_EINVAL;
  BOOL known = flags & PIPE_SERVER_END ? GetNamedPipeClientProcessId(pipe, &pid)
                                       : GetNamedPipeServerProcessId(pipe, &pid);
  if (!known || pid == 0) return COVEY_ECLOSED;
  /* An end that is closed, with all its bytes read, has a pid that may be another's by now. */
  if (!PeekNamedPipe(pipe, NULL, 0, NULL, &available, NULL)) return COVEY_ECLOSED;
  *ret = (int64_t)pid;
  return 0;
}

int cvos_stream_peer(cvos_handle stream, covey_identity *ret_identity, cvos_process *ret_pin)
{
  covey_identity who = {0};
  cvos_process pin = {.handle = CVOS_NONE};
  int64_t pid, again;
  int r = read_pid(stream, &pid);
  if (r < 0) return r;
  int opened = cvos_process_open(pid, 0, &pin);
  r = cvos_identity(pid, &who, NULL);
  if (opened == COVEY_EACCES || r == COVEY_EACCES) { /* not open to us: all that is known is the pid */
    if (opened < 0) pin = (cvos_process){.handle = CVOS_NONE};
    if (r < 0) who = (covey_identity){.pid = pid, .start = pin.start, .uid = -1, .gid = -1};
    opened = r = 0;
  }
  if (r == 0) r = opened;
  /* The pid was read, then held: if the other end is open now, it has been that process all the time. */
  if (r == 0 && (read_pid(stream, &again) < 0 || again != pid)) r = COVEY_ENOTFOUND;
  if (r == 0 && pin.handle != CVOS_NONE && cvos_process_wait(&pin, 0) == 0) r = COVEY_ENOTFOUND;
  if (r < 0) {
    DWORD error = GetLastError();
    cvos_process_close(&pin);
    SetLastError(error);
    return r == COVEY_ENOTFOUND || r == COVEY_EPEERCHANGED ? COVEY_EPEERDIED : r;
  }
  if (pin.handle != CVOS_NONE) {
    pin.pid = pid;
    pin.start = who.start;
    who.flags |= COVEY_ID_PINNED;
  }
  *ret_identity = who;
  *ret_pin = pin;
  return 0;
}

bool cvos_stream_tells_sender(void)
{
  return false;
}

void cvos_stream_quiet(cvos_handle stream)
{
  (void)stream;
}

/* ---- random bytes ---- */

int cvos_random(void *ret, size_t size)
{
  uint8_t *at = ret;
  while (size > 0) {
    ULONG n = size < 65536 ? (ULONG)size : 65536;
    if (CVOS_CALL(RANDOM, BCryptGenRandom(NULL, at, n, BCRYPT_USE_SYSTEM_PREFERRED_RNG), -1) < 0)
      return failed(COVEY_EOS);
    at += n;
    size -= n;
  }
  return 0;
}
