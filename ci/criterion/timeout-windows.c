/* Takes the place of BoxFort 0.1.2's file of this name in the Criterion that ci/setup builds for Windows. The original never ends the
 * timer of a sandbox that finished in time: once a run lasts longer than a test's limit, the timer writes into freed memory and kills
 * whatever worker has the handle by then (tests "crash" at random, Criterion's own heap breaks). */
#include <windows.h>

#include <stdlib.h>

#include "config.h"
#include "sandbox.h"

#define KILLED_BY_TIME 0xEFFFFFFF /* the exit code that the rest of BoxFort knows */

typedef struct limit {
  struct bxfi_sandbox *sandbox;
  HANDLE timer;
  struct limit *next;
} limit;

static SRWLOCK lock = SRWLOCK_INIT;
static limit *limits;

static void CALLBACK over(void *arg, BOOLEAN fired)
{
  struct bxfi_sandbox *sandbox = arg;
  (void)fired;
  if (WaitForSingleObject(sandbox->proc, 0) == WAIT_OBJECT_0) return;
  sandbox->props.status.timed_out = 1; /* before the kill is seen, else it is reported as a crash */
  TerminateProcess(sandbox->proc, KILLED_BY_TIME);
}

int bxfi_push_timeout(struct bxfi_sandbox *sandbox, double seconds)
{
  limit *l = calloc(1, sizeof *l);
  if (!l) return -1;
  l->sandbox = sandbox;
  if (!CreateTimerQueueTimer(&l->timer, NULL, over, sandbox, (DWORD)(seconds * 1000), 0, WT_EXECUTEDEFAULT)) {
    free(l);
    return -1;
  }
  AcquireSRWLockExclusive(&lock);
  l->next = limits;
  limits = l;
  ReleaseSRWLockExclusive(&lock);
  return 0;
}

/* Called when the sandbox's process has ended and before its memory is freed; waits for a callback that runs. */
void bxfi_cancel_timeout(struct bxfi_sandbox *sandbox)
{
  limit *mine = NULL;
  AcquireSRWLockExclusive(&lock);
  for (limit **at = &limits; *at;) {
    limit *l = *at;
    if (l->sandbox == sandbox) {
      *at = l->next;
      l->next = mine;
      mine = l;
    } else {
      at = &l->next;
    }
  }
  ReleaseSRWLockExclusive(&lock);
  while (mine) {
    limit *next = mine->next;
    DeleteTimerQueueTimer(NULL, mine->timer, INVALID_HANDLE_VALUE);
    free(mine);
    mine = next;
  }
}

void bxfi_reset_timeout_killer(void) {}
