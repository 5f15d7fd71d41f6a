/* core/intake.h: chunks of frames that carry messages, put together to whole messages.
 *
 * What is checked here: ids of new messages rise; a piece belongs to a message that was begun; the kind,
 * total and sum of a fragmented one; no more than CVY_ASSEMBLIES of them at a time; no message above
 * max_message. What is checked by the caller when a message begins (cvy_intake_begins): is its group open, is
 * there credit. Memory grows by doubling with what arrives, never by what was announced. */
#ifndef COVEY_CORE_INTAKE_H
#define COVEY_CORE_INTAKE_H

#include "core/frame.h"
#include "core/queue.h"

enum { CVY_ASSEMBLIES = 8 };

typedef struct cvy_assembly {
  cvy_item *item; /* NULL: its bytes are thrown away */
  uint64_t id, total, have;
  uint16_t group;
  uint8_t kind, flags;
  bool used;
} cvy_assembly;

typedef struct cvy_intake {
  uint64_t max_message; /* most bytes of a message, without a prefix */
  uint64_t last;        /* highest id of DATA, PUB, REQ so far */
  uint64_t whole;       /* messages that came whole, thrown away ones included: for BYE_ACK */
  cvy_assembly one;     /* the message whose only frame is arriving */
  cvy_assembly many[CVY_ASSEMBLIES];
  cvy_assembly *now; /* whose frame is arriving; NULL: none */
  bool lent;         /* a reader writes into its item: cvy_intake_place */
  cvy_item *kept;    /* an item that was lent when all of it ended */
  int error;         /* sticky */
} cvy_intake;

void cvy_intake_init(cvy_intake *in, uint64_t max_message);

/* Releases what is half done, but for memory that is lent. in may be NULL. */
void cvy_intake_fini(cvy_intake *in);

/* Where the next bytes of the frame that is arriving belong, so that they can be read there: room for *size of them, which may become less, and is
 * lent until cvy_intake_placed. They are told to cvy_intake_take at that place, which then copies nothing. NULL: nowhere yet. */
uint8_t *cvy_intake_place(cvy_intake *in, uint64_t *size);

/* Nobody writes there any more. */
void cvy_intake_placed(cvy_intake *in);

/* A message that begins. */
typedef struct cvy_begin {
  uint64_t id;
  uint64_t total; /* bytes of the whole, prefix included: size of its cvy_item */
  uint32_t lent;  /* of a fragmented one: as cvy_frag; else 0 */
  uint16_t group;
  uint8_t kind;  /* never FRAG */
  uint8_t flags; /* without MORE */
} cvy_begin;

/* Is chunk the first of a new message? 1: yes, *ret is filled; nothing has changed yet. 0: no. COVEY_EPROTO:
 * it breaks a rule. To be asked before each cvy_intake_take of a chunk with offset 0. */
int cvy_intake_begins(const cvy_intake *in, const cvy_chunk *chunk, cvy_begin *ret);

/* Takes a chunk of a frame that carries (part of) a message. keep: counts for the first chunk of a message;
 * 0 throws its bytes away as they come (its group is closed, say), else it is the number of bytes that may be
 * allocated at once, for which the caller vouches (1: none beyond what has arrived). 1: a message is complete,
 * *ret_item is it: owned, or NULL when it was thrown away; its data begin with the prefix for PUB, REQ, REP and ERR; a
 * NUL is behind them. 0: not yet. COVEY_EPROTO, COVEY_ENOMEM: for good. */
int cvy_intake_take(cvy_intake *in, const cvy_chunk *chunk, uint64_t keep, cvy_item **ret_item);

/* Bytes of messages that have begun and are held here; and how many have. */
uint64_t cvy_intake_held(const cvy_intake *in, size_t *ret_count);

#endif
