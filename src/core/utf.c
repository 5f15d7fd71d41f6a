#include "core/utf.h"
#include "core/mem.h"

static bool is_tail(const unsigned char *p)
{
  return (*p & 0xC0) == 0x80;
}
static bool is_high(uint32_t c)
{
  return c >= 0xD800 && c <= 0xDBFF;
}
static bool is_low(uint32_t c)
{
  return c >= 0xDC00 && c <= 0xDFFF;
}

/* Decodes the sequence at p, of which left > 0 bytes remain. Returns its length, 0 when it is bad; surrogates count as good. */
static size_t decode(const unsigned char *p, size_t left, uint32_t *ret_point)
{
  uint32_t lead = p[0];
  if (lead < 0x80) {
    *ret_point = lead;
    return 1;
  }
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) {
    if (left < 2 || !is_tail(p + 1)) return 0;
    *ret_point = (lead & 0x1F) << 6 | (p[1] & 0x3Fu);
    return 2;
  }
  if (lead < 0xF0) {
    if (left < 3 || !is_tail(p + 1) || !is_tail(p + 2)) return 0;
    uint32_t point = (lead & 0x0F) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    if (point < 0x800) return 0;
    *ret_point = point;
    return 3;
  }
  if (left < 4 || !is_tail(p + 1) || !is_tail(p + 2) || !is_tail(p + 3)) return 0;
  uint32_t point = (lead & 0x07) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
  if (point < 0x10000 || point > 0x10FFFF) return 0;
  *ret_point = point;
  return 4;
}

/* The one walk: counts units, stores them when out is not NULL, gives the offset of the first bad sequence. */
static bool walk(const char *text, size_t size, uint16_t *out, size_t *ret_units, size_t *ret_bad)
{
  const unsigned char *p = (const unsigned char *)text;
  size_t units = 0;
  bool after_high = false;
  for (size_t at = 0; at < size;) {
    uint32_t point;
    size_t length = decode(p + at, size - at, &point);
    if (!length || (after_high && is_low(point))) {
      *ret_bad = length ? at - 3 : at;
      return false;
    }
    after_high = is_high(point);
    if (point >= 0x10000) {
      if (out) {
        out[units] = (uint16_t)(0xD800 + ((point - 0x10000) >> 10));
        out[units + 1] = (uint16_t)(0xDC00 + (point & 0x3FF));
      }
      units += 2;
    } else {
      if (out) out[units] = (uint16_t)point;
      units++;
    }
    at += length;
  }
  *ret_units = units;
  return true;
}

int64_t cvy_utf8_check(const char *text, size_t size)
{
  size_t units, bad;
  return walk(text, size, NULL, &units, &bad) ? -1 : (int64_t)bad;
}

int64_t cvy_utf16_length(const char *text, size_t size)
{
  size_t units, bad;
  return walk(text, size, NULL, &units, &bad) ? (int64_t)units : -1;
}

int64_t cvy_utf8_to_16(const char *text, size_t size, uint16_t *out)
{
  size_t units, bad;
  return walk(text, size, out, &units, &bad) ? (int64_t)units : -1;
}

static bool pair_at(const uint16_t *units, size_t count, size_t i)
{
  return is_high(units[i]) && i + 1 < count && is_low(units[i + 1]);
}

size_t cvy_utf8_length(const uint16_t *units, size_t count)
{
  size_t size = 0;
  for (size_t i = 0; i < count; i++) {
    if (units[i] < 0x80) {
      size += 1;
    } else if (units[i] < 0x800) {
      size += 2;
    } else if (pair_at(units, count, i)) {
      size += 4;
      i++;
    } else {
      size += 3;
    }
  }
  return size;
}

size_t cvy_utf16_to_8(const uint16_t *units, size_t count, char *out)
{
  size_t size = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t c = units[i];
    if (c < 0x80) {
      out[size++] = (char)c;
    } else if (c < 0x800) {
      out[size++] = (char)(0xC0 | c >> 6);
      out[size++] = (char)(0x80 | (c & 0x3F));
    } else if (pair_at(units, count, i)) {
      c = 0x10000 + ((c - 0xD800) << 10) + (units[++i] - 0xDC00u);
      out[size++] = (char)(0xF0 | c >> 18);
      out[size++] = (char)(0x80 | (c >> 12 & 0x3F));
      out[size++] = (char)(0x80 | (c >> 6 & 0x3F));
      out[size++] = (char)(0x80 | (c & 0x3F));
    } else {
      out[size++] = (char)(0xE0 | c >> 12);
      out[size++] = (char)(0x80 | (c >> 6 & 0x3F));
      out[size++] = (char)(0x80 | (c & 0x3F));
    }
  }
  return size;
}

int cvy_utf8_dup16(const char *text, size_t size, uint16_t **ret_units, size_t *ret_count)
{
  int64_t count = cvy_utf16_length(text, size);
  if (count < 0) return COVEY_EENCODING;
  uint16_t *units = cvy_realloc_array(NULL, (size_t)count + 1, sizeof *units);
  if (!units) return COVEY_ENOMEM;
  cvy_utf8_to_16(text, size, units);
  units[count] = 0;
  *ret_units = units;
  if (ret_count) *ret_count = (size_t)count;
  return 0;
}

int cvy_utf16_dup8(const uint16_t *units, size_t count, char **ret_text, size_t *ret_size)
{
  if (count > (SIZE_MAX - 1) / 3) return COVEY_ENOMEM;
  size_t size = cvy_utf8_length(units, count);
  char *text = cvy_alloc(size + 1);
  if (!text) return COVEY_ENOMEM;
  cvy_utf16_to_8(units, count, text);
  text[size] = '\0';
  *ret_text = text;
  if (ret_size) *ret_size = size;
  return 0;
}
