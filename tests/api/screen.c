#include "screen.h"

void screen_needed(void)
{
  if (!(covey_caps() & COVEY_CAP_PTY)) TEST_SKIP("this system has no pseudo-terminals");
}

covey_process *screen_spawn(const char *const *argv, covey_pty pty)
{
  covey_process *p = NULL;

  REQUIRE_OK(covey_spawn(&(covey_process_options){.argv = argv, .flags = COVEY_PROCESS_PTY, .pty = pty}, &p));
  return p;
}

void screen_show(screen *s, const char *data, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)data[i];

    if (s->escape == 1)
      s->escape = c == '[' ? 2 : c == ']' ? 3 : 0;
    else if (s->escape == 2)
      s->escape = c >= 0x40 && c <= 0x7E ? 0 : 2;
    else if (s->escape == 3)
      s->escape = c == 7 ? 0 : c == 0x1B ? 1 : 3;
    else if (c == 0x1B)
      s->escape = 1;
    else if (c != '\r' && s->size + 1 < sizeof s->text)
      s->text[s->size++] = (char)c;
  }
  s->text[s->size] = '\0';
}

/* Reads until text is on the screen, or the end. */
bool screen_waits_for(covey_process *p, screen *s, const char *text)
{
  char data[4096];
  int n = 1;

  while (!strstr(s->text, text) && n > 0)
    if ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, sizeof data)) > 0)
      screen_show(s, data, (size_t)n);
  if (strstr(s->text, text)) return true;
  TEST_FAIL("%s is not in %s", text, s->text);
  return false;
}

void screen_reads_to_end(covey_process *p, screen *s)
{
  char data[4096];
  int n;

  while ((n = covey_process_read(p, COVEY_STDOUT, TEST_SOON, data, sizeof data)) > 0)
    screen_show(s, data, (size_t)n);
  CHECK_INT(n, 0);
}

void screen_ends_cleanly(covey_process *p)
{
  covey_exit e;

  CHECK_OK(covey_process_wait(p, TEST_SOON, &e));
  CHECK(COVEY_EXIT_OK(&e));
  CHECK(!e.pipe_held);
  covey_process_close(p);
}
