#include "helper.h"

int helper_guard(const char *what, const char *arg)
{
  (void)what;
  (void)arg;
  return -1;
}

bool helper_tree_of_another(struct cvos_tree *tree)
{
  (void)tree;
  return false;
}

int helper_permute(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_files_are(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_hostile_signals(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}

int helper_trace(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  helper_print(1, "no tracing\n");
  return HELPER_NOT_HERE;
}

int helper_exhaust(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return HELPER_NOT_HERE;
}
