/* os/path.h: what a path is on this system, and the well-known places. The order of a search is neutral code.
 *
 * Paths are WTF-8 on Windows and raw bytes on POSIX. ret_... paths are owned (cvy_free). Calls that can fail return 0 or a negative
 * COVEY_E code, and cvos_last_error() still has the system's number. Any thread. */
#ifndef COVEY_OS_PATH_H
#define COVEY_OS_PATH_H

#include "os/types.h"

char cvos_path_separator(void);      /* '/' or '\\'; Windows takes both */
char cvos_path_list_separator(void); /* between the folders of PATH: ':' or ';' */

/* The endings that a program's name may lack, in the form of PATHEXT, where the environment says nothing of its own: "" on POSIX
 * (none is ever tried), ".COM;.EXE;.BAT;.CMD" on Windows. Static. */
const char *cvos_path_extensions(void);

/* The folders to search where the environment has no PATH: the system's own list. Owned. Errors: COVEY_ENOMEM, COVEY_EOS. */
int cvos_path_search_default(char **ret);

/* True for a path that does not depend on the current directory: "/..." ; "C:\..." and "\\..." on Windows ("\x" and "C:x" do depend). */
bool cvos_path_is_absolute(const char *path);

/* True when name says where: it has a separator (Windows: or a drive's colon). Such a name is never searched for. */
bool cvos_path_has_folder(const char *name);

/* path seen from our current directory, as it is now. POSIX: joined, nothing resolved (links stay, "." and ".." too). Windows: resolved
 * by the system's text rules. Errors: COVEY_ENOMEM, COVEY_ENOTFOUND (our directory is gone), COVEY_EENCODING, COVEY_EOS. */
int cvos_path_absolute(const char *path, char **ret);

/* Is path a program that we may start? 0: yes. COVEY_ENOTFOUND: nothing there (or a folder of its path is none). COVEY_EACCES: there, but a
 * folder, or not executable for us (POSIX: by the effective user), or its folder is closed to us. COVEY_EENCODING, COVEY_EOS: else. A file that has no
 * interpreter is found only by starting it. Windows: any existing file that is no folder. */
int cvos_path_program(const char *path);

int cvos_path_current(char **ret); /* our current directory */
int cvos_path_self(char **ret);    /* the file of this program, absolute; as it was when started */
int cvos_path_temporary(
    char **ret); /* folder for temporary files, without a separator at its end: TMPDIR or /tmp; GetTempPath */
int cvos_path_system(char **ret); /* Windows: the system folder, where cmd.exe is; POSIX: COVEY_ENOTSUP */

#endif
