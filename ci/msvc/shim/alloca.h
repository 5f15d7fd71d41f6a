#error "<alloca.h> is not available to cl.exe"
