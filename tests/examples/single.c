/* single.c: an application of which one runs at a time: the first start gets the name, later ones hand their words to it and end.
 *
 *     covey_single WORD...     the first one shows its words and all that come, until one is "quit"
 *     covey_single             starts itself three times, as its user would */
#include <covey.h>

#include <stdio.h>
#include <string.h>

#define NAME "org.example.single" /* of a node: one process of a user has it */

static int failed(const char *what)
{
  const covey_failure *failure = covey_last_failure();
  fprintf(stderr, "%s: %s (%s)\n", what, covey_strerror(failure->code), failure->what);
  return 1;
}

static int first(covey_node *node, const char *word)
{
  covey_request request;
  printf("first: %s\n", word);
  fflush(stdout);
  while (covey_call_receive(node, "show", COVEY_FOREVER, &request) == 0) {
    int over = strcmp(request.data, "quit") == 0;
    printf("%lld hands over: %s\n", (long long)request.from.pid, (const char *)request.data);
    fflush(stdout);
    covey_call_reply(&request, 0, NULL, 0);
    covey_request_free(&request);
    if (over) return covey_node_close(node, 5000) < 0 ? failed("close") : 0;
  }
  return failed("receive");
}

/* The one that has the name may end at any moment: then it is asked for again. One that hangs costs the time-out. */
static int start(const char *word)
{
  for (;;) {
    covey_node *node;
    covey_reply reply;
    covey_call_options to = {.name = NAME, .function = "show", .timeout = 10000};
    int r = covey_node_open(&(covey_node_options){.name = NAME}, &node);
    if (r == 0) return first(node, word);
    if (r != COVEY_EEXIST) return failed("name");
    r = covey_call_run(NULL, &to, &(covey_buffer){word, strlen(word)}, 1, &reply);
    if (r == 0) covey_reply_free(&reply);
    if (r == 0) return covey_node_close(NULL, 5000) < 0 ? failed("close") : 0;
    if (r != COVEY_ENOPEER && r != COVEY_ENOTFOUND && r != COVEY_EPEERDIED && r != COVEY_EPEERCHANGED)
      return failed("hand over");
  }
}

static int demonstrate(void)
{
  char *self;
  covey_process *p;
  covey_line line;
  covey_exit end;
  if (covey_self_path(&self) < 0) return failed("self");
  covey_process_options one = {.argv = (const char *const[]){self, "one", NULL},
                               .out.kind = COVEY_STDIO_LINES};
  if (covey_spawn(&one, &p) < 0) return failed("spawn");
  for (int i = 0; covey_process_read_line(p, 30000, &line) == 1; i++) {
    printf("%.*s\n", (int)line.size, line.data);
    if (i > 1) continue;
    covey_process_options later = {.argv = (const char *const[]){self, i ? "quit" : "two", NULL},
                                   .timeout = 30000};
    later.flags = COVEY_PROCESS_CHECK;
    if (covey_run(&later, NULL) < 0) return failed("later");
  }
  if (covey_process_wait(p, 30000, &end) < 0) return failed("wait");
  covey_process_close(p);
  covey_free(self);
  return COVEY_EXIT_OK(&end) ? 0 : 1;
}

int main(int argc, char **argv)
{
  return argc > 1 ? start(argv[1]) : demonstrate();
}
