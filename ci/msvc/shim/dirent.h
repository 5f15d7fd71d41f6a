#error "<dirent.h> is not available to cl.exe"
