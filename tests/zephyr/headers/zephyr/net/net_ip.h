/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#define NET_IPV4_ADDR_LEN 16
#define NET_IPV6_ADDR_LEN 46
