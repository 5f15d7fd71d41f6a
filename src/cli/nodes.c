#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 256 };

typedef struct nodes {
  cli_where where;
  int64_t timeout;
  bool json;
  size_t met, missed;
} nodes;

static const char *const kinds[] = {"group", "function", "endpoint"};

static void print_flags(const covey_peer_description *d, bool json)
{
  static const struct {
    uint32_t flag;
    const char *name;
  } names[] = {
      {COVEY_ID_SAME_USER, "same_user"}, {COVEY_ID_PINNED, "pinned"}, {COVEY_ID_ELEVATED, "elevated"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    bool set = (d->identity.flags & names[i].flag) != 0;
    if (json)
      printf(", \"%s\": %s", names[i].name, set ? "true" : "false");
    else if (i && set)
      printf("  %s", names[i].name);
  }
}

static void json_node(const covey_peer_description *d, const covey_peer_group *g, size_t count)
{
  printf("{\"pid\": %" PRId64 ", \"start\": %" PRIu64 ", \"name\": ", d->identity.pid, d->identity.start);
  cli_json(stdout, d->name);
  if (d->identity.sid[0]) {
    printf(", \"sid\": ");
    cli_json(stdout, d->identity.sid);
  } else {
    printf(", \"uid\": %" PRId64 ", \"gid\": %" PRId64, d->identity.uid, d->identity.gid);
  }
  print_flags(d, true);
  printf(", \"instance\": \"");
  for (size_t i = 0; i < sizeof d->identity.instance; i++) printf("%02x", d->identity.instance[i]);
  printf("\", \"max_message\": %" PRIu64 ", \"groups\": [", d->max_message);
  for (size_t i = 0; i < count; i++) {
    printf("%s{\"name\": ", i ? ", " : "");
    cli_json(stdout, g[i].name);
    printf(", \"kind\": \"%s\", \"window\": %" PRIu64 ", \"waiting\": %" PRIu64
           ", \"waiting_bytes\": %" PRIu64 "}",
           kinds[g[i].kind], g[i].window, g[i].waiting, g[i].waiting_bytes);
  }
  printf("]}\n");
}

static void print_node(const covey_peer_description *d, const covey_peer_group *g, size_t count)
{
  printf("%7" PRId64 "  %s", d->identity.pid, d->name[0] ? d->name : "-");
  if (d->identity.sid[0])
    printf("  %s", d->identity.sid);
  else
    printf("  user %" PRId64, d->identity.uid);
  print_flags(d, false);
  printf("\n");
  for (size_t i = 0; i < count; i++) {
    printf("         %s ", kinds[g[i].kind]);
    cli_print(stdout, g[i].name);
    if (g[i].waiting) printf(": %" PRIu64 " waiting, %" PRIu64 " bytes", g[i].waiting, g[i].waiting_bytes);
    printf("\n");
  }
}

static int by_name(const void *a, const void *b)
{
  const covey_peer_group *left = a, *right = b;
  int order = left->kind - right->kind;
  return order ? order : strcmp(left->name, right->name);
}

/* Waits only for who is there: what the dead have left is seen at once. */
static int meet(const nodes *n, covey_node *node, const covey_node_entry *e, covey_peer **ret_peer)
{
  covey_peer_options options = {.pid = e->pid, .name = e->pid ? NULL : e->name, .flags = COVEY_PEER_TRY};
  int r = covey_peer_open(node, &options, ret_peer);
  if (r != COVEY_EAGAIN) return r;
  options.flags = 0;
  options.timeout = n->timeout;
  return covey_peer_open(node, &options, ret_peer);
}

/* Asks one node; what was left by a process that has ended is passed over. */
static void show(nodes *n, covey_node *node, const covey_node_entry *e)
{
  covey_peer *peer;
  covey_peer_description d;
  covey_peer_group *groups = calloc(GROUPS, sizeof *groups);
  int count = 0, r = groups ? meet(n, node, e, &peer) : COVEY_ENOMEM;
  if (r == 0) {
    count = r = covey_peer_groups(peer, n->timeout, NULL, groups, GROUPS);
    covey_peer_describe(peer, &d);
    covey_peer_close(peer);
  }
  if (r >= 0) {
    if (count > GROUPS) count = GROUPS;
    qsort(groups, (size_t)count, sizeof *groups, by_name);
    (n->json ? json_node : print_node)(&d, groups, (size_t)count);
    n->met++;
  } else if (r != COVEY_ENOPEER && r != COVEY_EPEERDIED && r != COVEY_EPEERCHANGED) {
    cli_failed("nodes");
    n->missed++;
  }
  free(groups);
}

static int show_all(nodes *n)
{
  covey_node_options options = {
      .app = n->where.app, .directory = n->where.directory, .flags = COVEY_NODE_NO_LISTEN};
  covey_node_entry *entries = NULL;
  covey_node *node;
  int room = 0, count;
  while ((count = covey_node_list(n->where.app, n->where.directory, entries, (size_t)room)) > room) {
    free(entries);
    room = count + 16;
    entries = calloc((size_t)room, sizeof *entries);
    if (!entries) room = 0;
    if (!entries) break;
  }
  if (count > room) fprintf(stderr, "covey nodes: out of memory\n");
  if (count < 0 || count > room || covey_node_open(&options, &node) < 0) {
    free(entries);
    return count > room ? CLI_FAILED : cli_failed("nodes");
  }
  for (int i = 0; i < count; i++) show(n, node, &entries[i]);
  covey_node_close(node, n->timeout);
  free(entries);
  if (!n->met && !n->missed) fprintf(stderr, "covey nodes: there is none\n");
  return n->met && !n->missed ? CLI_OK : CLI_FAILED;
}

const cli_option cli_nodes_options[] = {
    CLI_WHERE(offsetof(nodes, where)),
    {"--timeout", "MS", "for each node; default 2000", CLI_NUMBER, .at = offsetof(nodes, timeout), 1},
    {"--json", NULL, "one object a line", CLI_FLAG, .at = offsetof(nodes, json)},
    CLI_NO_MORE};

int cli_nodes(int argc, char **argv)
{
  cli_options o = {.argc = argc, .argv = argv, .at = 1};
  nodes n = {.timeout = 2000};
  if (cli_parse(&o, cli_nodes_options, &n)) return CLI_USAGE;
  if (o.at < argc) {
    fprintf(stderr, "covey nodes: \"%s\" is no option, and nothing else is taken\n", argv[o.at]);
    return CLI_USAGE;
  }
  return show_all(&n);
}
