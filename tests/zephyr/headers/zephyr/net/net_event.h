/* SPDX-License-Identifier: Apache-2.0 */
#define NET_EVENT_IF_UP 1
#define NET_EVENT_IF_DOWN 2
#define NET_EVENT_IPV4_ADDR_ADD 4
#define NET_EVENT_IPV6_ADDR_ADD 8
