/* core/utf.h: WTF-8 and UTF-16. Pure; the one header of core (with mem.h) that the backends may include: a leaf, which includes
 * nothing of ours but os/types.h and core/mem.h.
 *
 * WTF-8 is UTF-8 in which a lone surrogate has its 3-byte form (ED A0 80 .. ED BF BF); a surrogate pair must be one 4-byte form.
 * Refused: overlong forms, above U+10FFFF, truncated sequences, stray continuation bytes, a pair written as two 3-byte forms.
 * Source: the WTF-8 encoding, simonsapin.github.io/wtf-8. */
#ifndef COVEY_CORE_UTF_H
#define COVEY_CORE_UTF_H

#include "os/types.h"

/* Checks size bytes of WTF-8. Returns -1 when all is well, else the byte offset of the first bad sequence (of a pair written as two
 * 3-byte forms: where its first half begins). */
int64_t cvy_utf8_check(const char *text, size_t size);

/* Units of UTF-16 that size bytes of valid WTF-8 make, without a terminator; -1 when they are not valid. */
int64_t cvy_utf16_length(const char *text, size_t size);

/* Converts valid WTF-8 into out, which must have room for cvy_utf16_length units (size units are always enough). Returns the units
 * written, or -1. */
int64_t cvy_utf8_to_16(const char *text, size_t size, uint16_t *out);

/* Bytes of WTF-8 that count units make, without a terminator. Any units are valid: lone surrogates are kept. */
size_t cvy_utf8_length(const uint16_t *units, size_t count);

/* Converts units into out, which must have room for cvy_utf8_length bytes. Returns the bytes written. */
size_t cvy_utf16_to_8(const uint16_t *units, size_t count, char *out);

/* Owned copies, terminated, freed with cvy_free. ret_count (units or bytes, without the terminator) may be NULL.
 * Errors: COVEY_EENCODING, COVEY_ENOMEM; nothing is recorded. */
int cvy_utf8_dup16(const char *text, size_t size, uint16_t **ret_units, size_t *ret_count);
int cvy_utf16_dup8(const uint16_t *units, size_t count, char **ret_text, size_t *ret_size);

#endif
