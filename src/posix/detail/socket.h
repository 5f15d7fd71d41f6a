/* posix/detail/socket.h: stream sockets as all of ours are: close-on-exec, non-blocking, no SIGPIPE, 3 or more. For stream.c, which dials,
 * listener.c and acceptor.c. */
#ifndef COVEY_POSIX_SOCKET_H
#define COVEY_POSIX_SOCKET_H

int cvos_socket_new(int *ret);

/* Two that are connected. */
int cvos_socket_pair(int *ret_one, int *ret_other);

/* Accepts one connection from a listening socket. COVEY_EAGAIN: none is waiting (also when it went away again); else as os/stream.h says. */
int cvos_accept(int listener, int *ret);

#endif
