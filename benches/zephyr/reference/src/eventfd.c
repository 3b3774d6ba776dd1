/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On native_sim with the host's C library, Zephyr leaves its eventfd() out, and the server would get the
 * host's, whose descriptors mean something else to Zephyr. The other way out is POSIX_API with
 * picolibc, which was no faster.
 */
#include <zephyr/posix/sys/eventfd.h>
#include <zephyr/zvfs/eventfd.h>

int eventfd(unsigned int initval, int flags)
{
	return zvfs_eventfd(initval, flags);
}

int eventfd_read(int fd, eventfd_t *value)
{
	return zvfs_eventfd_read(fd, value);
}

int eventfd_write(int fd, eventfd_t value)
{
	return zvfs_eventfd_write(fd, value);
}
