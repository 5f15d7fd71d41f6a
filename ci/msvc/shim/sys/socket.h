#error "<sys/socket.h> is not available to cl.exe"
