#error "<semaphore.h> is not available to cl.exe"
