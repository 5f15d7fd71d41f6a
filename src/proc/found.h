/* proc/found.h: looking at one process, and keeping what was seen of many: what covey_find is made of. One thread at a time. */
#ifndef COVEY_PROC_FOUND_H
#define COVEY_PROC_FOUND_H

#include <covey/find.h>

#include "core/str.h"
#include "os/proclist.h"

/* A look at the current process of a list: each thing is asked for once. */
typedef struct cvy_glance {
  cvos_proclist *list;         /* borrowed */
  cvos_proc row;               /* set by cvos_proclist_next or _seek, then cvy_glance_begin */
  uint32_t tried, got, denied; /* 1 << CVOS_PROC_... */
  cvy_str line; /* its command line as one text, not terminated, once cvy_glance_line has said 1 */
  bool joined;
} cvy_glance;

/* Forgets what was seen of the process before. */
void cvy_glance_begin(cvy_glance *g);

/* Reads one thing (CVOS_PROC_...) into row. 1: it is there; 0: it is not to be had. Errors: COVEY_ENOTFOUND, not recorded: the process is gone;
 * COVEY_ENOMEM, COVEY_ELIMIT, recorded. */
int cvy_glance_read(cvy_glance *g, int what);

/* Reads the command line, and makes one text of it. As cvy_glance_read. */
int cvy_glance_line(cvy_glance *g);

void cvy_glance_fini(cvy_glance *g);

/* Processes that are kept. All zero is none. */
typedef struct cvy_found {
  struct cvy_found_item *items;
  size_t count, capacity;
  size_t words; /* of all command lines */
  cvy_str text;
  struct cvy_found_account *accounts; /* users whose names were asked for */
  size_t account_count;
} cvy_found;

/* Keeps the process of g with these fields (COVEY_FIELD_...). self: our own pid. 0, also when it has ended meanwhile: then it is not kept.
 * Errors: COVEY_ENOMEM, COVEY_ELIMIT, recorded. */
int cvy_found_add(cvy_found *found, cvy_glance *g, uint32_t fields, int64_t self);

/* Hands over what was kept, sorted by pid, in one block: items of ret (owned, cvy_free), count; the rest of it is zero. Errors: COVEY_ENOMEM,
 * recorded. */
int cvy_found_take(cvy_found *found, covey_find_result *ret);

void cvy_found_fini(cvy_found *found);

#endif
