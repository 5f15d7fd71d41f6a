#include "win32/detail/attributes.h"

#include "os/fault.h"
#include "os/thread.h"

#include <string.h>

/* JOBOBJECT_CPU_RATE_CONTROL_INFORMATION (Windows 8), which not every header has. */
typedef struct cpu_rate {
  DWORD flags, rate; /* hundredths of a percent of all processors */
} cpu_rate;
#define CPU_RATE_CLASS ((JOBOBJECTINFOCLASS)15)
enum { CPU_RATE_ENABLE = 1, CPU_RATE_HARD_CAP = 4, CPU_RATE_WHOLE = 10000 };

const char *cvos_attributes_unknown(const covey_launch *l)
{
  if (!l) return NULL;
  if (l->user) return "launch.user";
  if (l->group) return "launch.group";
  if (l->groups) return "launch.groups";
  if (l->flags & COVEY_LAUNCH_UMASK) return "launch.umask";
  if (l->flags & COVEY_LAUNCH_NO_NEW_PRIVILEGES) return "launch.flags NO_NEW_PRIVILEGES";
  if (l->limit_count) return "launch.limits";
  for (size_t i = 0; i < l->affinity_count; i++) {
    if ((uint64_t)(i ? 0 : (DWORD_PTR)l->affinity[i]) != l->affinity[i]) return "launch.affinity";
  }
  return NULL;
}

DWORD cvos_attributes_flags(const covey_launch *l)
{
  return l && (l->affinity || l->priority) ? CREATE_SUSPENDED : 0;
}

/* Whether the system keeps what was set. */
static bool is_kept(HANDLE job, const JOBOBJECT_EXTENDED_LIMIT_INFORMATION *wanted, DWORD flag)
{
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION now;
  memset(&now, 0, sizeof now);
  if (!QueryInformationJobObject(job, JobObjectExtendedLimitInformation, &now, sizeof now, NULL))
    return false;
  if (!(now.BasicLimitInformation.LimitFlags & flag)) return false;
  if (flag == JOB_OBJECT_LIMIT_ACTIVE_PROCESS)
    return now.BasicLimitInformation.ActiveProcessLimit == wanted->BasicLimitInformation.ActiveProcessLimit;
  return now.JobMemoryLimit != 0 && now.JobMemoryLimit <= wanted->JobMemoryLimit;
}

static DWORD set_cpu(HANDLE job, uint32_t thousandths)
{
  cpu_rate rate = {CPU_RATE_ENABLE | CPU_RATE_HARD_CAP, 0}, now = {0, 0};
  uint64_t share = (uint64_t)thousandths * (CPU_RATE_WHOLE / 1000) / (uint64_t)cvos_cpu_count();
  rate.rate = (DWORD)(share < 1 ? 1 : share > CPU_RATE_WHOLE ? CPU_RATE_WHOLE : share);
  if (!CVOS_CALL(JOB, SetInformationJobObject(job, CPU_RATE_CLASS, &rate, sizeof rate), FALSE)) {
    DWORD error = GetLastError();
    return error == ERROR_INVALID_PARAMETER ? ERROR_NOT_SUPPORTED : error;
  }
  if (!QueryInformationJobObject(job, CPU_RATE_CLASS, &now, sizeof now, NULL) || now.rate != rate.rate)
    return ERROR_NOT_SUPPORTED;
  return 0;
}

DWORD cvos_attributes_job(const covey_launch *l, HANDLE job, JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits,
                          const char **ret_field)
{
  *ret_field = NULL;
  if (l && l->tree_memory) {
    limits->BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
    limits->JobMemoryLimit = l->tree_memory > SIZE_MAX ? SIZE_MAX : (SIZE_T)l->tree_memory;
  }
  if (l && l->tree_processes) {
    limits->BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
    limits->BasicLimitInformation.ActiveProcessLimit = l->tree_processes;
  }
  if (limits->BasicLimitInformation.LimitFlags &&
      !CVOS_CALL(JOB, SetInformationJobObject(job, JobObjectExtendedLimitInformation, limits, sizeof *limits),
                 FALSE))
    return GetLastError();
  if (!l) return 0;
  *ret_field = "launch.tree_memory";
  if (l->tree_memory && !is_kept(job, limits, JOB_OBJECT_LIMIT_JOB_MEMORY)) return ERROR_NOT_SUPPORTED;
  *ret_field = "launch.tree_processes";
  if (l->tree_processes && !is_kept(job, limits, JOB_OBJECT_LIMIT_ACTIVE_PROCESS)) return ERROR_NOT_SUPPORTED;
  *ret_field = "launch.tree_cpu";
  return l->tree_cpu ? set_cpu(job, l->tree_cpu) : 0;
}

/* Not by a flag of CreateProcess, which wine does not follow. */
static BOOL set_priority(const covey_launch *l, HANDLE process)
{
  static const DWORD classes[] = {0,
                                  IDLE_PRIORITY_CLASS,
                                  BELOW_NORMAL_PRIORITY_CLASS,
                                  NORMAL_PRIORITY_CLASS,
                                  ABOVE_NORMAL_PRIORITY_CLASS,
                                  HIGH_PRIORITY_CLASS};
  return CVOS_CALL(PRIORITY, SetPriorityClass(process, classes[l->priority]), FALSE);
}

static BOOL set_processors(const covey_launch *l, HANDLE process)
{
  DWORD_PTR all, ours;
  if (!GetProcessAffinityMask(process, &ours, &all)) return FALSE;
  /* as on Linux: those that are not there are left out */
  return CVOS_CALL(AFFINITY, SetProcessAffinityMask(process, (DWORD_PTR)l->affinity[0] & all), FALSE);
}

DWORD cvos_attributes_give(const covey_launch *l, HANDLE process, const char **ret_field)
{
  if (!l) return 0;
  *ret_field = "launch.priority";
  if (l->priority && !set_priority(l, process)) return GetLastError();
  *ret_field = "launch.affinity";
  return l->affinity && !set_processors(l, process) ? GetLastError() : 0;
}

uint32_t cvos_attributes_caps(void)
{
  static const covey_launch tried[] = {
      {.tree_memory = (uint64_t)1 << 30}, {.tree_processes = 10}, {.tree_cpu = 1000}};
  static const uint32_t caps[] = {COVEY_CAP_LIMIT_MEMORY, COVEY_CAP_LIMIT_PROCESSES, COVEY_CAP_LIMIT_CPU};
  DWORD saved = GetLastError();
  uint32_t found = 0;
  for (int i = 0; i < 3; i++) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    const char *field;
    HANDLE job = CreateJobObjectW(NULL, NULL);
    memset(&limits, 0, sizeof limits);
    if (job && cvos_attributes_job(&tried[i], job, &limits, &field) == 0) found |= caps[i];
    if (job) (void)CloseHandle(job);
  }
  SetLastError(saved);
  return found;
}
