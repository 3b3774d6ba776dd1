/* SPDX-License-Identifier: Apache-2.0 */
struct net_if;
struct net_mgmt_event_callback {
	int unused;
};
void net_mgmt_init_event_callback(struct net_mgmt_event_callback *callback,
				  void (*handler)(struct net_mgmt_event_callback *callback,
						  uint64_t event, struct net_if *iface),
				  uint64_t mask);
void net_mgmt_add_event_callback(struct net_mgmt_event_callback *callback);
