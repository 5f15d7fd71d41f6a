#error "<pthread.h> is not available to cl.exe"
