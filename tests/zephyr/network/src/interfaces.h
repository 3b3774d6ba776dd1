/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INTERFACES_H
#define INTERFACES_H

#include <stdint.h>

/* Connects a client to an address, and checks that it is echoed. Its descriptor. */
int connects(const char *address);
/* Checks that a client is echoed. */
void echoes(int fd);
/* Connects a client, which is served, and closes it. */
void serves(const char *address);
/* accept_errors of the service. */
uint32_t accept_errors(void);
/* Each message is sent back. */
void echo_on(void);

#endif
