#include "posix/detail/posix.h"

#include "os/error.h"
#include "posix/detail/attributes.h"
#include "posix/detail/diagnose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <elf.h>
#endif

int cvos_failed(covey_failure *ret, int code, int stage, int system, int64_t index, const char *what)
{
  *ret = (covey_failure){.code = code, .stage = stage, .system = system, .offset = -1, .index = index};
  if (what) {
    size_t n = strlen(what);
    if (n >= sizeof ret->what) n = sizeof ret->what - 1;
    /* cut between characters */
    while (n > 0 && what[n] != '\0' && ((unsigned char)what[n] & 0xC0) == 0x80) n--;
    memcpy(ret->what, what, n);
    ret->what[n] = '\0';
  }
  return code;
}

/* The interpreter that the first line names, as the kernel reads it: the word after "#!". */
static bool script_interpreter(char *text, size_t size, char *out, size_t capacity)
{
  if (size < 3 || text[0] != '#' || text[1] != '!') return false;
  size_t at = 2, end;
  while (at < size && (text[at] == ' ' || text[at] == '\t')) at++;
  for (end = at;
       end < size && text[end] != ' ' && text[end] != '\t' && text[end] != '\n' && text[end] != '\0';)
    end++;
  if (end == at || end - at >= capacity) return false;
  memcpy(out, text + at, end - at);
  out[end - at] = '\0';
  return true;
}

#if defined(__linux__)
/* The interpreter of an ELF file of 64 bits and our byte order: its PT_INTERP. */
static bool elf_interpreter(int fd, const char *text, size_t size, char *out, size_t capacity)
{
  Elf64_Ehdr head;
  if (size < sizeof head || memcmp(text, ELFMAG, SELFMAG) != 0 || text[EI_CLASS] != ELFCLASS64) return false;
  memcpy(&head, text, sizeof head);
  for (unsigned i = 0; i < head.e_phnum; i++) {
    Elf64_Phdr part;
    if (pread(fd, &part, sizeof part, (off_t)(head.e_phoff + (Elf64_Off)i * head.e_phentsize)) !=
        (ssize_t)sizeof part)
      return false;
    if (part.p_type != PT_INTERP) continue;
    if (part.p_filesz == 0 || part.p_filesz > capacity) return false;
    ssize_t n = pread(fd, out, (size_t)part.p_filesz, (off_t)part.p_offset);
    if (n != (ssize_t)part.p_filesz) return false;
    out[n - 1] = '\0';
    return true;
  }
  return false;
}
#endif

/* Does file name an interpreter that cannot be used? Its name is in out then, and why in *ret_error. */
static bool interpreter_missing(const cvos_spawn_request *request, char *out, size_t capacity, int *ret_error)
{
  char text[512];
  int fd = open(request->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  int64_t n = cvos_fd_read_all(fd, text, sizeof text);
  bool named = n > 0 && script_interpreter(text, (size_t)n, out, capacity);
#if defined(__linux__)
  if (!named && n > 0) named = elf_interpreter(fd, text, (size_t)n, out, capacity);
#endif
  cvos_fd_close(fd);
  if (!named) return false;
  int folder = AT_FDCWD; /* a relative one is meant from the child's directory */
  if (out[0] != '/' && request->cwd) folder = open(request->cwd, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat about;
  *ret_error = fstatat(folder, out, &about, 0) < 0 ? errno : S_ISREG(about.st_mode) ? 0 : EACCES;
  if (*ret_error == 0 && faccessat(folder, out, X_OK, AT_EACCESS) < 0) *ret_error = errno;
  if (folder >= 0) cvos_fd_close(folder);
  return *ret_error != 0;
}

static void too_long(const cvos_spawn_request *request, int error, covey_failure *ret)
{
  /* the longest string that Linux takes is 32 pages with its NUL */
  size_t longest = 32 * (size_t)sysconf(_SC_PAGESIZE);
  for (int64_t i = 0; request->argv[i]; i++) {
    if (strlen(request->argv[i]) >= longest) {
      (void)cvos_failed(ret, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, error, i, "argument");
      return;
    }
  }
  for (size_t i = 0; request->env && request->env[i]; i++) {
    if (strlen(request->env[i]) < longest) continue;
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(request->env[i], "="), request->env[i]);
    (void)cvos_failed(ret, COVEY_ETOOBIG, COVEY_STAGE_ENVIRONMENT, error, -1, name);
    return;
  }
  (void)cvos_failed(ret, COVEY_ETOOBIG, COVEY_STAGE_ARGUMENTS, error, -1,
                    "arguments and environment together");
}

static void exec_failed(const cvos_spawn_request *request, int error, covey_failure *ret)
{
  char interpreter[4096];
  struct stat about;
  int why = 0, stage = COVEY_STAGE_EXEC, code = cvos_translate(error);
  switch (error) {
  case E2BIG: too_long(request, error, ret); return;
  case ENOMEM:
  case EAGAIN:
    (void)cvos_failed(ret, error == ENOMEM ? COVEY_ENOMEM : COVEY_ELIMIT, COVEY_STAGE_LIMITS, error, -1,
                      request->file);
    return;
  case ENFILE:
  case EMFILE: stage = COVEY_STAGE_LIMITS; break;
#if defined(__APPLE__)
  /* for another processor, or damaged: what is ENOEXEC elsewhere (sys/errno.h) */
  case EBADEXEC:
  case EBADARCH:
  case ESHLIBVERS:
  case EBADMACHO:
#endif
  case ENOEXEC: code = COVEY_EINVAL; break;
  case ETXTBSY: code = COVEY_EACCES; break;
  case ENAMETOOLONG: stage = COVEY_STAGE_LOOKUP; break;
  case ENOENT:
  case ENOTDIR:
  case EACCES:
  case EPERM:
  case ELOOP:
    if (stat(request->file, &about) < 0) {
      stage = errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? COVEY_STAGE_LOOKUP : COVEY_STAGE_EXEC;
    } else if (S_ISREG(about.st_mode) && faccessat(AT_FDCWD, request->file, X_OK, AT_EACCESS) == 0 &&
               interpreter_missing(request, interpreter, sizeof interpreter, &why)) {
      (void)cvos_failed(ret, cvos_translate(why), COVEY_STAGE_INTERPRETER, why, -1, interpreter);
      return;
    } else if (error == ENOENT || error == ENOTDIR || error == ELOOP) {
      /* it is there, so what it needs is not */
      stage = COVEY_STAGE_INTERPRETER;
    }
    if (error == ELOOP) code = COVEY_EINVAL;
    break;
  default: break;
  }
  (void)cvos_failed(ret, code, stage, error, -1, request->file);
}

/* The field's name for an index; NULL where it is none of attributes.h. */
static const char *attribute_name(int stage, int64_t index)
{
  switch (index) {
  case CVOS_AT_GROUPS: return "launch.groups";
  case CVOS_AT_GROUP: return "launch.group";
  case CVOS_AT_USER: return "launch.user";
  case CVOS_AT_PRIVILEGES: return "launch.flags NO_NEW_PRIVILEGES";
  case CVOS_AT_SUBREAPER: return "launch.flags SUBREAPER";
  case CVOS_AT_PRIORITY: return "launch.priority";
  case CVOS_AT_AFFINITY: return "launch.affinity";
  default: return stage == COVEY_STAGE_LIMITS && index >= 0 ? "launch.limits" : NULL;
  }
}

void cvos_diagnose(const cvos_spawn_request *request, int stage, int error, int64_t index, covey_failure *ret)
{
  static const char *const streams[] = {"stdin", "stdout", "stderr"};
  switch (stage) {
  case COVEY_STAGE_EXEC: exec_failed(request, error, ret); break;
  case COVEY_STAGE_CWD: (void)cvos_failed(ret, cvos_translate(error), stage, error, -1, request->cwd); break;
  case COVEY_STAGE_STDIO: {
    const char *what = index < 0 ? "descriptors" : index < 3 ? streams[index] : "passed descriptor";
    (void)cvos_failed(ret, error == EBADF ? COVEY_EINVAL : cvos_translate(error), stage, error, index, what);
    break;
  }
  case COVEY_STAGE_USER:
    (void)cvos_failed(ret, cvos_translate(error), stage, error, -1, attribute_name(stage, index));
    break;
  case COVEY_STAGE_LIMITS: {
    const char *field = attribute_name(stage, index);
    if (field) {
      (void)cvos_failed(ret, cvos_translate(error), stage, error, index < 0 ? -1 : index, field);
      break;
    }
    int code = error == EAGAIN ? COVEY_ELIMIT : cvos_translate(error);
    (void)cvos_failed(ret, code, stage, error, -1, "new process");
    break;
  }
  case COVEY_STAGE_PTY:
    (void)cvos_failed(ret, cvos_translate(error), stage, error, -1, "controlling terminal");
    break;
  case COVEY_STAGE_SCOPE:
  default: {
    const char *field = attribute_name(stage, index);
    int code = error == EAGAIN || error == EPIPE ? COVEY_EOS : cvos_translate(error);
    if (!field) field = error == ENOTSUP ? "/bin/sh" : "session, group or guard";
    (void)cvos_failed(ret, code, stage, error, -1, field);
    break;
  }
  }
}
