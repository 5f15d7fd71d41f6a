#error "<getopt.h> is not available to cl.exe"
