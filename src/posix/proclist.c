/* The list itself is in linux/proclist.c and bsd/proclist.c. */
#include "posix/detail/posix.h"

#include "os/proclist.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "posix/detail/proclist.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

void cvos_proc_row(const cvos_entry *entry, cvos_proc *ret)
{
  *ret = (cvos_proc){.pid = entry->pid, .parent = entry->parent, .start = entry->start};
  if (entry->zombie) ret->flags |= CVOS_PROC_ZOMBIE;
  if (entry->kernel) ret->flags |= CVOS_PROC_KERNEL;
  if (entry->stopped) ret->flags |= CVOS_PROC_STOPPED;
}

/* A call of getpwnam_r or getpwuid_r with as much room as it wants. 0, ENOENT or errno. */
static int look_up(const char *name, uid_t uid, struct passwd *ret, char **ret_text)
{
  for (size_t size = 1024;; size *= 2) {
    struct passwd *found = NULL;
    char *text = cvy_alloc(size);
    if (!text) return ENOMEM;
    int error = CVOS_CALL(
        IDENTITY, name ? getpwnam_r(name, ret, text, size, &found) : getpwuid_r(uid, ret, text, size, &found),
        errno);
    if (!error && found) {
      *ret_text = text;
      return 0;
    }
    cvy_free(text);
    if (error == ERANGE && size < (size_t)1 << 20) continue;
    /* systems tell by several numbers that there is none: getpwnam(3) */
    return !error || error == ESRCH || error == EBADF || error == EPERM ? ENOENT : error;
  }
}

int cvos_account_find(const char *text, int64_t *ret_uid, char ret_sid[CVOS_SID_SIZE])
{
  struct passwd who;
  char *memory, *end;
  int error = look_up(text, 0, &who, &memory);
  int64_t uid = -1;
  if (!error) {
    uid = (int64_t)who.pw_uid;
    cvy_free(memory);
  } else if (error == ENOENT && *text >= '0' && *text <= '9') {
    errno = 0;
    uid = strtoll(text, &end, 10);
    if (!errno && !*end && (int64_t)(uid_t)uid == uid) error = 0;
  }
  if (error) {
    errno = error;
    return cvos_translate(error);
  }
  *ret_uid = uid;
  ret_sid[0] = '\0';
  return 0;
}

int cvos_account_name(int64_t uid, const char *sid, char **ret)
{
  struct passwd who;
  char *memory;
  (void)sid;
  int error = look_up(NULL, (uid_t)uid, &who, &memory);
  if (error) {
    errno = error;
    return cvos_translate(error);
  }
  char *name = cvy_strdup(who.pw_name);
  cvy_free(memory);
  if (!name) {
    errno = ENOMEM;
    return COVEY_ENOMEM;
  }
  *ret = name;
  return 0;
}
