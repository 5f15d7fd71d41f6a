/* talk.c: a program that starts itself as a child; the child tells the time every second, the parent prints what it receives.
 *
 *     covey_talk [COUNT]       messages until the child is asked to stop; 5 without COUNT */
#include <covey/message.h>
#include <covey/process.h>
#include <covey/self.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int child(void)
{
  do {
    char text[32];
    time_t now = time(NULL);
    size_t size = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime(&now));
    if (covey_send(NULL, covey_self_parent(), NULL, text, size, 5000) < 0) return 1;
  } while (covey_self_wait_stop(1000) == COVEY_ETIMEDOUT);
  return 0;
}

static int failed(const char *what)
{
  const covey_failure *failure = covey_last_failure();
  fprintf(stderr, "%s: %s (%s)\n", what, covey_strerror(failure->code), failure->what);
  return 1;
}

static int parent(const char *program, int count)
{
  covey_process_options options = {.argv = (const char *const[]){program, NULL}};
  covey_process *process;
  covey_message message;
  covey_exit end;
  if (covey_node_spawn(NULL, &options, &process) < 0) return failed("spawn");
  for (int i = 0; i < count; i++) {
    if (covey_receive(NULL, NULL, 30000, &message) < 0) return failed("receive");
    printf("receive from %lld, data: %s\n", (long long)message.from.pid, (const char *)message.data);
    fflush(stdout);
    covey_message_free(&message);
  }
  if (covey_process_stop(process, 10000, &end) < 0) return failed("stop");
  covey_process_close(process);
  printf("stopped: exit code %u\n", (unsigned)end.code);
  return covey_node_close(NULL, 5000) == 0 && end.how == COVEY_HOW_EXITED && end.code == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
  return covey_self_is_child() ? child() : parent(argv[0], argc > 1 ? atoi(argv[1]) : 5);
}
