/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the Rust library of a C application needs besides the port. */
#include <errno.h>

#include <zephyr/kernel.h>

/* The numbers of errno.h, in the order of `Errno` in sys_wss/src/error.rs: C libraries differ. */
static const uint8_t errnos[] = {
	EAGAIN, EMSGSIZE, ENOTCONN, ECONNABORTED, EBADMSG, EINVAL, ENOENT, EBUSY, EIO, EPIPE, EADDRINUSE, ENOTSUP,
};

int wss_port_errno(uint8_t which);

int wss_port_errno(uint8_t which)
{
	return which < ARRAY_SIZE(errnos) ? errnos[which] : EIO;
}

FUNC_NORETURN void wss_port_panic(void);

void wss_port_panic(void)
{
	k_panic();
	CODE_UNREACHABLE;
}
