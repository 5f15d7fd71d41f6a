/* win32/detail/windows.h: the Windows headers, included one way by every file of this backend. */
#ifndef COVEY_WIN32_WINDOWS_H
#define COVEY_WIN32_WINDOWS_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#include <winsock2.h>
#include <windows.h>

#endif
