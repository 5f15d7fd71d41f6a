/* core/env.h: the environment of a child: ours, changed by what the caller asks for. Pure: lists in, a list out. */
#ifndef COVEY_CORE_ENV_H
#define COVEY_CORE_ENV_H

#include "os/types.h"

/* Whose rules: on POSIX names are bytes; on Windows they are WTF-8 and equal without case (core/fold.h), and names that begin with
 * `=` (=C: is the directory of drive C) belong to the system. */
enum { CVY_ENV_POSIX, CVY_ENV_WINDOWS };

#define CVY_ENV_NATIVE (CVOS_WINDOWS ? CVY_ENV_WINDOWS : CVY_ENV_POSIX)

/* Lays changes over base. Both: borrowed, lists of texts that end with a NULL; each may be NULL for the empty list.
 *   "K=V" in changes sets K (also to nothing: "K="), "K" alone unsets it; the last one for a name wins and keeps its spelling.
 *   base is an environment as the system has it: of several entries for one name the first counts, as for getenv; entries without name
 *   or without `=` are no variables and are left out. With clear it is not used, but for SystemRoot under the rules of Windows, without which
 *   most programs cannot start: only "SystemRoot" in changes takes that away.
 * ret_env: owned, one block (cvy_free), a list of "K=V" with a NULL behind it, no name twice; ret_count may be NULL.
 * Errors, stage COVEY_STAGE_ENVIRONMENT, index the place in changes (-1: in base): COVEY_EINVAL (an empty name, or one that begins with
 * `=`), COVEY_EENCODING with offset (Windows), COVEY_ENOMEM. n log n. */
int cvy_env_merge(int rules, const char *const *base, const char *const *changes, bool clear, char ***ret_env,
                  size_t *ret_count);

/* The value of name (ASCII) in such a list, a view into it; NULL when it has none. env may be NULL. The first entry counts. */
const char *cvy_env_get(int rules, const char *const *env, const char *name);

#endif
