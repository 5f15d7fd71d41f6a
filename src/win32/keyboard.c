#include "win32/detail/windows.h"

#include "os/keyboard.h"

#include <limits.h>

enum {
  PAUSE = 20,   /* milliseconds between two looks at a pipe, which nobody can wait for */
  RECORDS = 64, /* events taken at a time */
  UNIT_MOST = 4 /* bytes of UTF-8 that one unit may bring, a surrogate from before included */
};

static struct {
  HANDLE in, out;
  DWORD type; /* of in */
  bool terminal, raw;
  DWORD in_mode, out_mode;
  UINT out_page;
  COORD size;
  WCHAR high; /* a first surrogate whose second has not come */
} keyboard;

bool cvos_keyboard_open(void)
{
  keyboard.in = GetStdHandle(STD_INPUT_HANDLE);
  keyboard.out = GetStdHandle(STD_OUTPUT_HANDLE);
  keyboard.type = GetFileType(keyboard.in);
  keyboard.terminal = GetConsoleMode(keyboard.in, &keyboard.in_mode) != 0;
  return keyboard.terminal;
}

static bool look_at_size(COORD *ret)
{
  CONSOLE_SCREEN_BUFFER_INFO info;
  if (!GetConsoleScreenBufferInfo(keyboard.out, &info)) return false;
  ret->Y = (SHORT)(info.srWindow.Bottom - info.srWindow.Top + 1);
  ret->X = (SHORT)(info.srWindow.Right - info.srWindow.Left + 1);
  return ret->X > 0 && ret->Y > 0;
}

bool cvos_keyboard_size(int *ret_rows, int *ret_columns)
{
  if (!look_at_size(&keyboard.size)) return false;
  *ret_rows = keyboard.size.Y;
  *ret_columns = keyboard.size.X;
  return true;
}

void cvos_keyboard_raw(void)
{
  if (!keyboard.terminal || keyboard.raw) return;
  DWORD mode = keyboard.in_mode & ~(DWORD)(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT | ENABLE_PROCESSED_INPUT);
  keyboard.raw = true;
  if (!SetConsoleMode(keyboard.in, mode | ENABLE_VIRTUAL_TERMINAL_INPUT))
    (void)SetConsoleMode(keyboard.in, mode); /* before Windows 10 1511 keys without a character are lost */
  keyboard.out_page = GetConsoleOutputCP();
  (void)SetConsoleOutputCP(CP_UTF8);
  if (!GetConsoleMode(keyboard.out, &keyboard.out_mode)) {
    keyboard.out = CVOS_NONE;
    return;
  }
  mode = keyboard.out_mode | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
  if (!SetConsoleMode(keyboard.out, mode | DISABLE_NEWLINE_AUTO_RETURN))
    (void)SetConsoleMode(keyboard.out, mode);
}

/* One unit of UTF-16 behind those before. Returns the bytes that it brings. */
static int add_unit(WCHAR unit, char *ret)
{
  WCHAR units[2] = {keyboard.high, unit};
  bool second = unit >= 0xDC00 && unit < 0xE000 && keyboard.high;
  keyboard.high = 0;
  if (unit >= 0xD800 && unit < 0xDC00) {
    keyboard.high = unit;
    return 0;
  }
  return WideCharToMultiByte(CP_UTF8, 0, second ? units : units + 1, second ? 2 : 1, ret, UNIT_MOST, NULL,
                             NULL);
}

/* A key that went down, or the character of alt and a number when alt goes up; ctrl-@ and ctrl-blank have a character of 0. */
static bool is_typed(const KEY_EVENT_RECORD *key)
{
  bool control = (key->dwControlKeyState & (LEFT_CTRL_PRESSED | RIGHT_CTRL_PRESSED)) != 0;
  if (!key->bKeyDown) return key->wVirtualKeyCode == VK_MENU && key->uChar.UnicodeChar;
  return key->uChar.UnicodeChar ||
         (control && (key->wVirtualKeyCode == VK_SPACE || key->wVirtualKeyCode == '2'));
}

static int take_keys(char *ret, size_t capacity)
{
  INPUT_RECORD records[RECORDS];
  DWORD count = 0, most = RECORDS;
  int size = 0;
  while (most > 1 && most * UNIT_MOST > capacity) most /= 2;
  if (!GetNumberOfConsoleInputEvents(keyboard.in, &count) || !count) return 0;
  if (!ReadConsoleInputW(keyboard.in, records, most, &count)) return -1;
  for (DWORD i = 0; i < count; i++) {
    const KEY_EVENT_RECORD *key = &records[i].Event.KeyEvent;
    if (records[i].EventType != KEY_EVENT || !is_typed(key)) continue;
    /* a key that is held repeats; capacity bounds it */
    for (WORD n = key->wRepeatCount ? key->wRepeatCount : 1;
         n > 0 && (size_t)size + (count - i) * UNIT_MOST <= capacity; n--)
      size += add_unit(key->uChar.UnicodeChar, ret + size);
  }
  return size;
}

static int take_bytes(char *ret, size_t capacity)
{
  DWORD n = 0;
  if (keyboard.type == FILE_TYPE_PIPE && !PeekNamedPipe(keyboard.in, NULL, 0, NULL, &n, NULL)) return -1;
  if (keyboard.type == FILE_TYPE_PIPE && !n) return 0;
  if (!ReadFile(keyboard.in, ret, (DWORD)(capacity < INT_MAX ? capacity : INT_MAX), &n, NULL)) return -1;
  return n ? (int)n : -1;
}

int cvos_keyboard_read(cvos_handle other, bool keys, char *ret, size_t capacity)
{
  HANDLE both[] = {other, keyboard.in};
  for (;;) {
    COORD now = keyboard.size;
    int n = !keys ? 0 : keyboard.terminal ? take_keys(ret, capacity) : take_bytes(ret, capacity);
    if (n || (look_at_size(&now) && (now.X != keyboard.size.X || now.Y != keyboard.size.Y))) return n;
    DWORD pause = keys && !keyboard.terminal ? PAUSE : 10 * PAUSE; /* no event tells that a window grows */
    if (WaitForMultipleObjects(keys && keyboard.terminal ? 2 : 1, both, FALSE, pause) == WAIT_OBJECT_0)
      return 0;
  }
}

void cvos_keyboard_close(void)
{
  if (!keyboard.raw) return;
  (void)SetConsoleMode(keyboard.in, keyboard.in_mode);
  (void)SetConsoleOutputCP(keyboard.out_page);
  if (keyboard.out != CVOS_NONE) (void)SetConsoleMode(keyboard.out, keyboard.out_mode);
  keyboard.raw = false;
}
