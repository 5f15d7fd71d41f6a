#include "cli/cli.h"

#include <inttypes.h>

static const char *how_name(int how)
{
  return how == COVEY_HOW_EXITED ? "exited" : how == COVEY_HOW_SIGNALLED ? "signalled" : "lost";
}

static const char *why_name(int why)
{
  switch (why) {
  case COVEY_WHY_STOP: return "stop";
  case COVEY_WHY_KILL: return "kill";
  case COVEY_WHY_TIMEOUT: return "timeout";
  case COVEY_WHY_IDLE: return "idle";
  case COVEY_WHY_OUTPUT: return "output";
  case COVEY_WHY_CANCEL: return "cancel";
  default: return "self";
  }
}

/* A number that the system may not have: -1. */
static void known(FILE *to, const char *name, int64_t value)
{
  if (value < 0)
    fprintf(to, ", \"%s\": null", name);
  else
    fprintf(to, ", \"%s\": %" PRId64, name, value);
}

static void stream(FILE *to, const char *name, const char *data, size_t size, uint64_t dropped, size_t gap)
{
  fprintf(to, ", \"%s_size\": %llu, \"%s_dropped\": %llu, \"%s_gap\": %llu, \"%s\": ", name,
          (unsigned long long)size, name, (unsigned long long)dropped, name, (unsigned long long)gap, name);
  cli_json_bytes(to, data, size);
}

void cli_outcome(FILE *to, const covey_result *result)
{
  const covey_exit *e = &result->exit;
  fprintf(to,
          "{\"how\": \"%s\", \"why\": \"%s\", \"code\": %lu, \"signal\": %d, \"core\": %s, \"pipe_held\": %s",
          how_name(e->how), why_name(e->why), (unsigned long)e->code, e->system_signal,
          e->core ? "true" : "false", e->pipe_held ? "true" : "false");
  fprintf(to, ", \"started\": %" PRId64 ", \"ended\": %" PRId64, e->started, e->ended);
  known(to, "user_us", e->user_time);
  known(to, "system_us", e->system_time);
  known(to, "peak_bytes", e->peak_memory);
  stream(to, "out", result->out, result->out_size, result->out_dropped, result->out_gap);
  stream(to, "err", result->err, result->err_size, result->err_dropped, result->err_gap);
  fputs("}\n", to);
}
