/* Replays stored inputs through a fuzz target, where libFuzzer is not at hand, and as a test.
 *
 *   covey_fuzz_NAME [--mutate N] FILE_OR_DIRECTORY...
 *
 * With --mutate each input is also tried N times with random changes, the same ones in every run. A broken promise aborts; 1 when an
 * input cannot be read or there is none. */
#include "fuzz.h"

#include <uv.h>

static uint64_t seed = 88172645463325252u;
static unsigned long mutations;
static size_t inputs;

static uint32_t next_random(void)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 32);
}

/* Changes a copy of data, which has room for one byte more. Returns its new size. */
static size_t mutate(uint8_t *data, size_t size)
{
  static const char interesting[] = "\0\"'\\%^&|<> \n\r\t=:.$`\x7F\x80\xBF\xC2\xE2\xED\xF4\xFF";
  for (uint32_t n = 1 + next_random() % 4; n; n--) {
    size_t at = size ? next_random() % size : 0;
    uint8_t byte = next_random() % 2 ? (uint8_t)next_random()
                                     : (uint8_t)interesting[next_random() % (sizeof interesting - 1)];
    switch (size ? next_random() % 4 : 3) {
    case 0: data[at] = byte; break;
    case 1: data[at] ^= (uint8_t)(1u << next_random() % 8); break;
    case 2: memmove(data + at, data + at + 1, --size - at); break;
    default:
      if (n > 1) break; /* grows once only */
      memmove(data + at + 1, data + at, size++ - at);
      data[at] = byte;
    }
  }
  return size;
}

static void run(const uint8_t *data, size_t size)
{
  uint8_t *copy = malloc(size + 1); /* of its own size, so that a sanitizer sees every byte too far */
  FUZZ_REQUIRE(copy != NULL);
  inputs++;
  for (unsigned long i = 0; i <= mutations; i++) {
    if (size) memcpy(copy, data, size);
    size_t changed = i ? mutate(copy, size) : size;
    uint8_t *exact = malloc(changed ? changed : 1);
    FUZZ_REQUIRE(exact != NULL);
    memcpy(exact, copy, changed);
    LLVMFuzzerTestOneInput(exact, changed);
    free(exact);
  }
  free(copy);
}

static int run_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "cannot read %s\n", path);
    return 1;
  }
  size_t size = 0, capacity = 4096;
  uint8_t *data = malloc(capacity);
  FUZZ_REQUIRE(data != NULL);
  for (size_t got; (got = fread(data + size, 1, capacity - size, file)) > 0; size += got)
    if (size + got == capacity) {
      data = realloc(data, capacity *= 2);
      FUZZ_REQUIRE(data != NULL);
    }
  int r = ferror(file) != 0;
  fclose(file);
  if (r == 0) run(data, size);
  free(data);
  return r;
}

static int run_path(const char *path)
{
  uv_fs_t request;
  if (uv_fs_scandir(NULL, &request, path, 0, NULL) < 0) {
    uv_fs_req_cleanup(&request);
    return run_file(path);
  }
  int r = 0;
  uv_dirent_t entry;
  while (uv_fs_scandir_next(&request, &entry) == 0) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%s", path, entry.name);
    r |= run_file(name);
  }
  uv_fs_req_cleanup(&request);
  return r;
}

int main(int argc, char **argv)
{
  int first = 1, r = 0;
  if (argc > 2 && !strcmp(argv[1], "--mutate")) {
    mutations = strtoul(argv[2], NULL, 10);
    first = 3;
  }
  for (int i = first; i < argc; i++) r |= run_path(argv[i]);
  printf("%u inputs\n", (unsigned)inputs);
  return r || !inputs;
}
