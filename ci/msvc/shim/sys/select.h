#error "<sys/select.h> is not available to cl.exe"
