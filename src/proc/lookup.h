/* proc/lookup.h: from a program's name to the absolute path that the system gets. The rules are in covey_which (covey/shell.h). */
#ifndef COVEY_PROC_LOOKUP_H
#define COVEY_PROC_LOOKUP_H

#include "os/types.h"

/* Finds name. path: folders in the form of PATH, NULL: the system's default. extensions: in the form of PATHEXT, NULL: the system's default;
 * those that the system cannot start are passed over. ret_path: owned (cvy_free), absolute.
 * Errors, recorded with stage LOOKUP: COVEY_ENOTFOUND, COVEY_EACCES (found, but a folder or not executable), COVEY_EINVAL (empty),
 * COVEY_EENCODING, COVEY_ENOMEM, COVEY_EOS. */
int cvy_lookup(const char *name, const char *path, const char *extensions, char **ret_path);

#endif
