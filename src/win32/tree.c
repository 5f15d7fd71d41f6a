#include "win32/detail/windows.h"

#include "os/tree.h"
#include "core/mem.h"
#include "os/error.h"
#include "os/fault.h"
#include "os/signal.h"
#include "win32/detail/tree.h"

#include <string.h>

/* The ids of the job's processes, owned; NULL with GetLastError. */
static JOBOBJECT_BASIC_PROCESS_ID_LIST *list_members(HANDLE job)
{
  for (DWORD room = 32;;) {
    DWORD size = (DWORD)(sizeof(JOBOBJECT_BASIC_PROCESS_ID_LIST) + room * sizeof(ULONG_PTR));
    JOBOBJECT_BASIC_PROCESS_ID_LIST *list = cvy_alloc_zero(1, size);
    if (!list) {
      SetLastError(ERROR_NOT_ENOUGH_MEMORY);
      return NULL;
    }
    BOOL done = CVOS_CALL(
        PROCESS_LIST, QueryInformationJobObject(job, JobObjectBasicProcessIdList, list, size, NULL), FALSE);
    DWORD error = GetLastError(), assigned = list->NumberOfAssignedProcesses;
    if (done && list->NumberOfProcessIdsInList >= assigned) return list;
    cvy_free(list);
    if (!done && error != ERROR_MORE_DATA) {
      SetLastError(error);
      return NULL;
    }
    room = assigned > room ? assigned + 16 : room * 2;
  }
}

int cvos_tree_kill(cvos_tree *tree)
{
  if (CVOS_CALL(SIGNAL, TerminateJobObject(tree->job, CVOS_KILLED_CODE), FALSE)) return 0;
  return cvos_translate((int)GetLastError());
}

int cvos_tree_signal(cvos_tree *tree, int signal)
{
  JOBOBJECT_BASIC_PROCESS_ID_LIST *list = list_members(tree->job);
  if (!list) return cvos_translate((int)GetLastError());
  int r = COVEY_ENOTFOUND;
  DWORD error = ERROR_NOT_FOUND;
  if (list->NumberOfProcessIdsInList > 0 && signal == CVOS_SIGNAL_KILL) {
    r = cvos_tree_kill(tree);
    error = GetLastError();
  } else if (list->NumberOfProcessIdsInList > 0 &&
             (signal == CVOS_SIGNAL_INT || signal == CVOS_SIGNAL_QUIT)) {
    error = cvos_console_break(tree->leader, tree->group);
    r = error ? COVEY_ENOTSUP : 0;
  } else if (list->NumberOfProcessIdsInList > 0 && signal == CVOS_SIGNAL_TERM) {
    error = cvos_process_ask(tree->leader, tree->group);
    r = error ? COVEY_ENOTSUP : 0;
  } else if (list->NumberOfProcessIdsInList > 0 &&
             (signal == CVOS_SIGNAL_STOP || signal == CVOS_SIGNAL_CONT)) {
    for (DWORD i = 0; i < list->NumberOfProcessIdsInList; i++) {
      /* still in the job: the id is not a stranger's */
      BOOL member = FALSE;
      HANDLE process = OpenProcess(PROCESS_SUSPEND_RESUME | PROCESS_QUERY_LIMITED_INFORMATION, FALSE,
                                   (DWORD)list->ProcessIdList[i]);
      if (process && IsProcessInJob(process, tree->job, &member) && member) {
        int one = cvos_process_signal(process, signal);
        if (r != 0) r = one;
        error = GetLastError();
      }
      if (process) (void)CloseHandle(process);
    }
  } else if (list->NumberOfProcessIdsInList > 0) {
    error = ERROR_NOT_SUPPORTED;
    r = COVEY_ENOTSUP;
  }
  cvy_free(list);
  if (r < 0) SetLastError(error);
  return r;
}

/* Whether the leader runs, and is ours: wine 8 does not list the members of a job. */
static bool leader_runs(const cvos_tree *tree)
{
  BOOL member = FALSE;
  HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, tree->leader);
  bool runs = process && IsProcessInJob(process, tree->job, &member) && member &&
              WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
  if (process) (void)CloseHandle(process);
  return runs;
}

int cvos_tree_ask(cvos_tree *tree)
{
  JOBOBJECT_BASIC_PROCESS_ID_LIST *list = list_members(tree->job);
  if (!list) return cvos_translate((int)GetLastError());
  int ways = 0;
  if (list->NumberOfProcessIdsInList > 0 || leader_runs(tree)) {
    if (cvos_windows_close(list->ProcessIdList, list->NumberOfProcessIdsInList)) ways++;
    if (tree->group && (cvos_console_break(tree->leader, tree->group) == 0 ||
                        (ways == 0 && cvos_console_ask(tree->leader) == 0)))
      ways++;
  } else {
    SetLastError(ERROR_NOT_FOUND);
    ways = COVEY_ENOTFOUND;
  }
  cvy_free(list);
  return ways;
}

void cvos_tree_usage(cvos_tree *tree, cvos_usage *ret)
{
  JOBOBJECT_BASIC_ACCOUNTING_INFORMATION times;
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION memory;
  memset(&times, 0, sizeof times);
  memset(&memory, 0, sizeof memory);
  *ret = (cvos_usage){-1, -1, -1, -1};
  /* wine answers with zeros: a process that has used nothing yet is not worth more */
  if (QueryInformationJobObject(tree->job, JobObjectBasicAccountingInformation, &times, sizeof times, NULL) &&
      (times.TotalUserTime.QuadPart || times.TotalKernelTime.QuadPart)) {
    ret->user_us = times.TotalUserTime.QuadPart / 10;
    ret->system_us = times.TotalKernelTime.QuadPart / 10;
  }
  if (QueryInformationJobObject(tree->job, JobObjectExtendedLimitInformation, &memory, sizeof memory, NULL) &&
      memory.PeakJobMemoryUsed)
    ret->peak = (int64_t)memory.PeakJobMemoryUsed;
}

int cvos_tree_suspended(const cvos_tree *tree)
{
  (void)tree;
  return -1;
}

int64_t cvos_tree_members(cvos_tree *tree, int64_t *ret_pids, size_t capacity)
{
  JOBOBJECT_BASIC_PROCESS_ID_LIST *list = list_members(tree->job);
  if (!list) return cvos_translate((int)GetLastError());
  int64_t count = (int64_t)list->NumberOfProcessIdsInList;
  for (size_t i = 0; i < capacity && (int64_t)i < count; i++) ret_pids[i] = (int64_t)list->ProcessIdList[i];
  cvy_free(list);
  return count;
}

void cvos_tree_release(cvos_tree *tree)
{
  if (!tree) return;
  if (tree->tied) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    memset(&limits, 0, sizeof limits);
    (void)QueryInformationJobObject(tree->job, JobObjectExtendedLimitInformation, &limits, sizeof limits,
                                    NULL);
    limits.BasicLimitInformation.LimitFlags &= ~(DWORD)JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    (void)SetInformationJobObject(tree->job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
  }
  (void)CloseHandle(tree->job);
  cvy_free(tree);
}
