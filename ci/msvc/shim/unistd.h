#error "<unistd.h> is not available to cl.exe"
