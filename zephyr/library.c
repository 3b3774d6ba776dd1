/* SPDX-License-Identifier: Apache-2.0 */
/* What the Rust library of a C application needs beside the port. */
#include <zephyr/kernel.h>

FUNC_NORETURN void wss_port_panic(void);

void wss_port_panic(void)
{
	k_panic();
	CODE_UNREACHABLE;
}
