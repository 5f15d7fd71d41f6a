#error "<stdatomic.h> is not available to cl.exe"
