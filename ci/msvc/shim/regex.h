#error "<regex.h> is not available to cl.exe"
