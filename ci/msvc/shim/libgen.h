#error "<libgen.h> is not available to cl.exe"
