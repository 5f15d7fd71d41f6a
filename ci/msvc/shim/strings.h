#error "<strings.h> is not available to cl.exe"
