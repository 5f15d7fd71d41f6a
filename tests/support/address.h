/* tests/support/address.h: addresses of listeners in folders of the test's own. */
#ifndef COVEY_TESTS_ADDRESS_H
#define COVEY_TESTS_ADDRESS_H

#include "os/stream.h"

#define ADDRESS_PATIENCE 20000 /* a deadline that is only met in failure */

const char *address_in_temp(const char *name); /* a path; nothing is made */
const char *
address_folder(const char *name); /* a folder there, as the caller of a node names it; it must not be there */
cvos_address address_at(const char *directory, const char *name);

/* Opens; COVEY_EAGAIN is another's opening or cleaning, and passes. */
int address_open(const cvos_address *a, cvos_listener **ret);

int address_dial(const cvos_address *a); /* and hangs up */
int address_entries(const char *path);   /* of a folder; negative when there is none */

#endif
