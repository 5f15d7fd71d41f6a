#error "<complex.h> is not available to cl.exe"
