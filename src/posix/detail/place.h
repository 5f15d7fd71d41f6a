/* posix/detail/place.h: the private folder in which listeners have their sockets and locks, and the names in
 * it. */
#ifndef COVEY_POSIX_PLACE_H
#define COVEY_POSIX_PLACE_H

#include "posix/detail/posix.h"

#include "os/stream.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CVOS_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path) /* of a socket, with its NUL */

/* The longest name of a file there: two names with every letter written as two characters, what stands
 * between and behind them. */
enum { CVOS_FILE_MAX = 2 * 2 * CVOS_NAME_MAX + 8 };

typedef struct cvos_place {
  int fd; /* the folder, open; -1 none */
  dev_t device;
  ino_t inode;
  bool runtime;    /* in $XDG_RUNTIME_DIR, whose cleaners spare what has the sticky bit */
  bool inner;      /* "ns-<n>", in a folder that all namespaces share */
  char path[1024]; /* of the folder, absolute, without a slash at its end */
} cvos_place;

/* True when what is a folder of ours alone: our effective user's, no rights for others. */
bool cvos_place_private(const struct stat *what);

/* Opens the folder for address, making it (make) if need be, and verifies it. candidate: 0, 1, 2 ... in the
 * order of os/stream.h. 0: there. 1: there is no such candidate, all have been tried. COVEY_ENOTFOUND: this
 * one cannot be used or is not there: the next, please. COVEY_EUNSAFE, COVEY_EINVAL, COVEY_ELIMIT, COVEY_EOS:
 * for good. */
int cvos_place_open(const cvos_address *address, int candidate, bool make, cvos_place *ret);
void cvos_place_close(cvos_place *place);

/* The path of the first candidate that can be used (or is not safe), there or not, for a text: cut to fit. */
void cvos_place_text(const cvos_address *address, char *ret, size_t capacity);

/* True when the folder's path still leads to place. */
bool cvos_place_same(const cvos_place *place);

/* Writes "<app>~<name><ending>" to ret. COVEY_EINVAL for names that os/stream.h does not allow. */
int cvos_place_name(const cvos_address *address, const char *ending, char ret[CVOS_FILE_MAX]);

/* Makes the address of the socket name in place. COVEY_ETOOBIG: it would be cut. */
int cvos_place_address(const cvos_place *place, const char *name, struct sockaddr_un *ret,
                       socklen_t *ret_size);

/* Holds the folder for making and cleaning: nobody else makes or cleans meanwhile, so that a lock which is
 * taken then belongs to a living process. Not waiting: COVEY_EAGAIN. */
int cvos_place_enter(const cvos_place *place);
void cvos_place_leave(const cvos_place *place);

#endif
