#error "<sched.h> is not available to cl.exe"
