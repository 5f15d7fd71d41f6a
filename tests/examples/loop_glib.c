/* loop_glib.c: covey on the main loop of GLib (GTK's too): one descriptor as a source, and callbacks come as every other event of the program. */
#include "ticks.h"

#include <glib-unix.h>

static GMainLoop *gloop;

static void quit(void)
{
  g_main_loop_quit(gloop);
}

static gboolean on_covey(gint fd, GIOCondition condition, gpointer data)
{
  (void)fd, (void)condition, (void)data;
  must(covey_loop_dispatch(NULL), "dispatch");
  return G_SOURCE_CONTINUE;
}

static gboolean on_timer(gpointer data)
{
  (void)data;
  ticks.own++;
  return G_SOURCE_CONTINUE;
}

int main(void)
{
  covey_native handle;
  if (covey_self_is_child()) return ticks_child();
  must(covey_loop_handle(NULL, &handle), "handle");
  gloop = g_main_loop_new(NULL, FALSE);
  g_unix_fd_add(handle, G_IO_IN, on_covey, NULL);
  g_timeout_add(5, on_timer, NULL);
  ticks_start(NULL, quit);
  g_main_loop_run(gloop); /* the program's own life */
  g_main_loop_unref(gloop);
  return covey_node_close(ticks.node, 5000) == 0 && ticks.good ? 0 : 1;
}
