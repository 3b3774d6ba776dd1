/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the page as a service of the network (DNS-SD, RFC 6763): its instance has the name of the device. */
#include <zephyr/net/dns_sd.h>

#if defined(CONFIG_WSS_TLS)
#define SERVICE "_https"
#else
#define SERVICE "_http"
#endif

DNS_SD_REGISTER_TCP_SERVICE(device_page, CONFIG_NET_HOSTNAME, SERVICE, "local", DNS_SD_EMPTY_TXT,
			    CONFIG_WSS_PORT);
