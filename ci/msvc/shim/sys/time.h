#error "<sys/time.h> is not available to cl.exe"
