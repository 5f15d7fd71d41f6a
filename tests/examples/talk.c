/* talk.c: a program that starts itself as a child; the child tells the time every second, the parent prints what it receives.
 *
 *     covey_talk [COUNT]       messages until the child is asked to stop; 5 without COUNT */
#include <covey.h>

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

static int parent(int count)
{
  char *self;
  covey_manager *manager;
  covey_message message;
  covey_member member;
  if (covey_self_path(&self) < 0) return failed("self");
  if (covey_manager_new(NULL, &manager) < 0) return failed("manager");
  covey_process_options options = {.argv = (const char *const[]){self, NULL}};
  if (covey_manager_spawn(manager, &options, NULL) < 0) return failed("spawn");
  for (int i = 0; i < count; i++) {
    if (covey_receive(NULL, NULL, 30000, &message) < 0) return failed("receive");
    printf("receive from %lld, data: %s\n", (long long)message.from.pid, (const char *)message.data);
    fflush(stdout);
    covey_message_free(&message);
  }
  if (covey_manager_stop_all(manager, 10000, &member, 1) != 0) return failed("stop");
  printf("stopped: exit code %u\n", (unsigned)member.exit.code);
  covey_manager_free(manager);
  covey_free(self);
  return covey_node_close(NULL, 5000) == 0 && member.exit.why == COVEY_WHY_STOP && member.exit.code == 0 ? 0
                                                                                                         : 1;
}

int main(int argc, char **argv)
{
  return covey_self_is_child() ? child() : parent(argc > 1 ? atoi(argv[1]) : 5);
}
