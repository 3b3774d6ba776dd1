/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TCP_ECHO_H
#define TCP_ECHO_H

#define TCP_ECHO_PORT 18007
#define WEBSOCKET_PORT 18080

/** Echoes what TCP clients send, TCP_CLIENTS at a time; comes back only if it cannot listen. */
void tcp_echo(void);

#endif
