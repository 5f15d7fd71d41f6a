#include "support/address.h"
#include "support/test.h"

#include "os/handle.h"

#include <uv.h>

static uv_fs_t fs;

const char *address_in_temp(const char *name)
{
  return test_format("%s/%s", test_temp_dir(), name);
}

const char *address_folder(const char *name)
{
  const char *path = address_in_temp(name);
  REQUIRE(uv_fs_mkdir(NULL, &fs, path, 0700, NULL) == 0);
  return path;
}

cvos_address address_at(const char *directory, const char *name)
{
  return (cvos_address){.directory = directory, .app = "test", .name = name};
}

int address_open(const cvos_address *a, cvos_listener **ret)
{
  int64_t end = test_now() + ADDRESS_PATIENCE;
  int r;
  while ((r = cvos_listener_open(a, ret)) == COVEY_EAGAIN && test_now() < end) test_pause(1);
  return r;
}

int address_dial(const cvos_address *a)
{
  cvos_handle stream;
  int r = cvos_stream_dial(a, &stream);
  if (r == 0) cvos_handle_close(stream);
  return r;
}

int address_entries(const char *path)
{
  int n = uv_fs_scandir(NULL, &fs, path, 0, NULL);
  uv_fs_req_cleanup(&fs);
  return n;
}
