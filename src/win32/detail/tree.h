/* win32/detail/tree.h: a tree as a job. */
#ifndef COVEY_WIN32_DETAIL_TREE_H
#define COVEY_WIN32_DETAIL_TREE_H

#include "os/tree.h"
#include "win32/detail/windows.h"

struct cvos_tree {
  HANDLE job;
  DWORD leader;
  bool group; /* the leader's pid is the number of a console group */
  bool tied;  /* the job ends its processes when its last handle is closed */
};

enum { CVOS_KILLED_CODE = 137 }; /* 128 + 9 */

/* The class of the hidden window of a program that hears of its session (interrupt.c): WM_CLOSE asks it to end. */
#define CVOS_SESSION_CLASS L"covey.session"

/* Posts WM_CLOSE to the windows of these processes that a user can see and close, where a dialog goes with its owner, and to those by which a program of covey
 * hears requests. Returns how many. */
int cvos_windows_close(const ULONG_PTR *pids, DWORD count);

/* Sends CTRL_BREAK to the console group of pid, if that process leads it (leads) and has our console. 0 or a GetLastError number. For one that leads none the
 * console would send it to everybody, ourselves included (microsoft/terminal issue 335). */
DWORD cvos_console_break(DWORD pid, bool leads);

/* The same for the console group of pid in a console that is not ours, by the tool: covey.exe, beside the program or beside the library. Does not
 * wait for it. 0, or a GetLastError number: no tool, or a program with windows alone. */
DWORD cvos_console_ask(DWORD pid);

/* Whether that tool is there. */
bool cvos_console_tool(void);

/* TERM to the program of pid: CTRL_BREAK, if it leads a console group (leads), else WM_CLOSE to the hidden window by which it hears its session. 0 or a
 * GetLastError number. */
DWORD cvos_process_ask(DWORD pid, bool leads);

/* Ends (CVOS_SIGNAL_KILL), stops or continues a process. 0 or a COVEY_E code, with GetLastError set. */
int cvos_process_signal(HANDLE process, int signal);

#endif
