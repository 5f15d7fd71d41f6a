#error "<dlfcn.h> is not available to cl.exe"
