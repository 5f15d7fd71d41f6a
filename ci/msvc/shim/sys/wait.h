#error "<sys/wait.h> is not available to cl.exe"
