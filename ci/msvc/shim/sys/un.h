#error "<sys/un.h> is not available to cl.exe"
