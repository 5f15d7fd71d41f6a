#error "<poll.h> is not available to cl.exe"
