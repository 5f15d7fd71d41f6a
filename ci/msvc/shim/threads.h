#error "<threads.h> is not available to cl.exe"
