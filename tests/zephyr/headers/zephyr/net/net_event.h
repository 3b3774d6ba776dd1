/* SPDX-License-Identifier: Apache-2.0 */
#define NET_EVENT_IF_UP 1
#define NET_EVENT_IF_DOWN 2
