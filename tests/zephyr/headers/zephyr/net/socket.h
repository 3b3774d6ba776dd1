/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define zsock_pollfd pollfd
#define ZSOCK_POLLIN POLLIN
#define ZSOCK_POLLOUT POLLOUT
#define ZSOCK_MSG_DONTWAIT MSG_DONTWAIT

int zsock_socket(int family, int type, int protocol);
int zsock_bind(int fd, const struct sockaddr *addr, socklen_t len);
int zsock_listen(int fd, int backlog);
int zsock_accept(int fd, struct sockaddr *addr, socklen_t *len);
ssize_t zsock_recv(int fd, void *data, size_t len, int flags);
ssize_t zsock_send(int fd, const void *data, size_t len, int flags);
ssize_t zsock_sendmsg(int fd, const struct msghdr *message, int flags);
int zsock_close(int fd);
int zsock_fcntl(int fd, int command, int argument);
int zsock_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int zsock_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
const char *zsock_inet_ntop(sa_family_t family, const void *src, char *dst, size_t size);
int zsock_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int zsock_inet_pton(int family, const char *text, void *addr);
int zsock_poll(struct zsock_pollfd *fds, int count, int timeout);
