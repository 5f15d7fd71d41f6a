#error "<sys/uio.h> is not available to cl.exe"
