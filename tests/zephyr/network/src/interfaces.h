/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INTERFACES_H
#define INTERFACES_H

#include <stdint.h>

/* Connects a client to an address, and checks its echo. Returns its descriptor. */
int connects(const char *address);
/* Checks the echo of a client. */
void echoes(int fd);
/* Connects a client, checks its echo, and closes it. */
void serves(const char *address);
/* Returns accept_errors of the service. */
uint32_t accept_errors(void);
/* Sends each message back. */
void echo_on(void);

#endif
