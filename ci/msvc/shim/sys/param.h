#error "<sys/param.h> is not available to cl.exe"
