/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

struct fd_op_vtable {
	int (*close)(void *object);
	int (*ioctl)(void *object, unsigned int request, va_list args);
};

#define ZFD_IOCTL_POLL_PREPARE 1
#define ZFD_IOCTL_POLL_UPDATE  2

int zvfs_reserve_fd(void);
void zvfs_finalize_fd(int fd, void *object, const struct fd_op_vtable *vtable);
void zvfs_free_fd(int fd);
