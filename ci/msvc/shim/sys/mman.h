#error "<sys/mman.h> is not available to cl.exe"
