#include "core/regex.h"
#include "core/error.h"
#include "core/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

struct cvy_regex {
  pcre2_code *code;
  pcre2_match_context *limits;
  pcre2_general_context *memory;
  size_t groups;
};

static void *take(PCRE2_SIZE size, void *user)
{
  (void)user;
  return cvy_alloc(size);
}

static void give(void *p, void *user)
{
  (void)user;
  cvy_free(p);
}

static uint32_t pcre2_options(uint32_t options)
{
  uint32_t r = PCRE2_NEVER_BACKSLASH_C;
  r |= options & CVY_REGEX_UTF ? PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF : PCRE2_NEVER_UTF;
  if (options & CVY_REGEX_CASELESS) r |= PCRE2_CASELESS;
  if (options & CVY_REGEX_MULTILINE) r |= PCRE2_MULTILINE;
  if (options & CVY_REGEX_DOTALL) r |= PCRE2_DOTALL;
  if (options & CVY_REGEX_ANCHORED) r |= PCRE2_ANCHORED;
  if (options & CVY_REGEX_LITERAL) /* PCRE2 takes few options beside it */
    r = (r & (PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_CASELESS | PCRE2_ANCHORED)) | PCRE2_LITERAL;
  return r;
}

static int fail_compile(int error, size_t offset)
{
  int code = error < 0 ? COVEY_EENCODING : COVEY_EINVAL;
  if (error == PCRE2_ERROR_HEAP_FAILED) code = COVEY_ENOMEM;
  if (error == PCRE2_ERROR_PATTERN_TOO_LARGE || error == PCRE2_ERROR_PATTERN_STRING_TOO_LONG)
    code = COVEY_ETOOBIG;
  PCRE2_UCHAR text[160] = "";
  pcre2_get_error_message(error, text, sizeof text);
  return cvy_fail_at(code, COVEY_STAGE_ARGUMENTS, -1, (int64_t)offset, "pattern: %s", (const char *)text);
}

static int compile(cvy_regex *regex, const char *pattern, size_t size, uint32_t options)
{
  regex->memory = pcre2_general_context_create(take, give, NULL);
  if (regex->memory) regex->limits = pcre2_match_context_create(regex->memory);
  pcre2_compile_context *context = regex->limits ? pcre2_compile_context_create(regex->memory) : NULL;
  if (!context) return fail_compile(PCRE2_ERROR_HEAP_FAILED, 0);
  pcre2_set_max_pattern_length(context, CVY_REGEX_PATTERN_SIZE);
  pcre2_set_match_limit(regex->limits, CVY_REGEX_MATCH_LIMIT);
  pcre2_set_depth_limit(regex->limits, CVY_REGEX_DEPTH_LIMIT);
  pcre2_set_heap_limit(regex->limits, CVY_REGEX_HEAP_LIMIT);

  int error;
  PCRE2_SIZE offset = 0;
  uint32_t groups = 0;
  regex->code = pcre2_compile((PCRE2_SPTR)pattern, size, pcre2_options(options), &error, &offset, context);
  pcre2_compile_context_free(context);
  if (!regex->code) return fail_compile(error, offset);
  pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  regex->groups = (size_t)groups + 1;
  return 0;
}

int cvy_regex_new(const char *pattern, size_t size, uint32_t options, cvy_regex **ret_regex)
{
  if (!pattern || !ret_regex || options > 2 * CVY_REGEX_ANCHORED - 1)
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "pattern");
  cvy_regex *regex = cvy_alloc_zero(1, sizeof *regex);
  if (!regex) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "pattern");
  int r = compile(regex, pattern, size == SIZE_MAX ? strlen(pattern) : size, options);
  if (r == 0)
    *ret_regex = regex;
  else
    cvy_regex_free(regex);
  return r;
}

size_t cvy_regex_groups(const cvy_regex *regex)
{
  return regex->groups;
}

int cvy_regex_group(const cvy_regex *regex, const char *name)
{
  int number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)name);
  return number > 0 ? number : COVEY_ENOTFOUND;
}

static int fail_match(int error)
{
  PCRE2_UCHAR message[160] = "";
  switch (error) {
  case PCRE2_ERROR_MATCHLIMIT:
  case PCRE2_ERROR_DEPTHLIMIT:
  case PCRE2_ERROR_HEAPLIMIT:
    return cvy_fail(COVEY_ELIMIT, COVEY_STAGE_NONE, "the pattern backtracks too much on this text");
  case PCRE2_ERROR_BADOFFSET:
    return cvy_fail(COVEY_EINVAL, COVEY_STAGE_ARGUMENTS, "a start behind the end of the text");
  case PCRE2_ERROR_NOMEMORY: return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "match");
  default: pcre2_get_error_message(error, message, sizeof message);
  }
  return cvy_fail(COVEY_EINVAL, COVEY_STAGE_NONE, "pattern: %s", (const char *)message);
}

int cvy_regex_match(const cvy_regex *regex, const char *text, size_t size, size_t from, cvy_span *ret_spans,
                    size_t capacity)
{
  pcre2_match_data *data = pcre2_match_data_create_from_pattern(regex->code, regex->memory);
  if (!data) return cvy_fail(COVEY_ENOMEM, COVEY_STAGE_NONE, "match");
  int r = pcre2_match(regex->code, (PCRE2_SPTR)(text ? text : ""), size, from, 0, data, regex->limits);
  if (r > 0) {
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
    for (size_t i = 0; i < capacity && i < regex->groups; i++) {
      bool unset = ends[2 * i] == PCRE2_UNSET;
      /* \K in a lookaround can put a start behind its end */
      bool turned = !unset && ends[2 * i] > ends[2 * i + 1];
      ret_spans[i].start = unset ? SIZE_MAX : ends[2 * i + turned];
      ret_spans[i].size = unset || turned ? 0 : ends[2 * i + 1] - ends[2 * i];
    }
    r = (int)regex->groups;
  } else {
    r = r == PCRE2_ERROR_NOMATCH ? 0 : fail_match(r);
  }
  pcre2_match_data_free(data);
  return r;
}

void cvy_regex_free(cvy_regex *regex)
{
  if (!regex) return;
  pcre2_code_free(regex->code);
  pcre2_match_context_free(regex->limits);
  pcre2_general_context_free(regex->memory);
  cvy_free(regex);
}
