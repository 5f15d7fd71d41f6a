#error "<utime.h> is not available to cl.exe"
