/* core/env_block.h: the environment as CreateProcess takes it: texts "K=V" in UTF-16, each with its NUL, and one NUL more at the end
 * (two when there are none). Pure: it runs and is tested on every system. Source: CreateProcessW, lpEnvironment. */
#ifndef COVEY_CORE_ENV_BLOCK_H
#define COVEY_CORE_ENV_BLOCK_H

#include "os/types.h"

/* SetEnvironmentVariableW: units in one value, without the NUL. */
#define CVY_ENV_VALUE_MAX 32766

/* Makes a block from a list of "K=V" (borrowed, WTF-8, a NULL at its end; NULL is the empty list). Sorted by upper-cased units (ordinal by
 * unit, not by code point), no name twice: the last one wins and keeps its spelling. Names that begin with `=` (=C:, the directory of drive
 * C) come first. ret_block: owned (cvy_free); ret_count: its units with all NULs, may be NULL.
 * Errors, stage COVEY_STAGE_ENVIRONMENT, with the index in env: COVEY_EINVAL (no `=`, or nothing before it), COVEY_EENCODING with offset,
 * COVEY_ETOOBIG (a value of more than CVY_ENV_VALUE_MAX units), COVEY_ENOMEM. */
int cvy_env_block(const char *const *env, uint16_t **ret_block, size_t *ret_count);

/* The opposite: the texts of a block of at most count units, in WTF-8, in their order and as they are. ret_env: owned, one block
 * (cvy_free), with a NULL behind the last; ret_count may be NULL. For a block of the system, whose size nobody tells, count is
 * SIZE_MAX. COVEY_EINVAL when it has no end within count units; COVEY_ENOMEM. */
int cvy_env_unblock(const uint16_t *block, size_t count, char ***ret_env, size_t *ret_count);

#endif
