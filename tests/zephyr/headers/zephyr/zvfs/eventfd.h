/* SPDX-License-Identifier: Apache-2.0 */
#define ZVFS_EFD_NONBLOCK 0x4000
typedef uint64_t zvfs_eventfd_t;
int zvfs_eventfd(unsigned int value, int flags);
int zvfs_eventfd_read(int fd, zvfs_eventfd_t *value);
int zvfs_eventfd_write(int fd, zvfs_eventfd_t value);
