/* SPDX-License-Identifier: Apache-2.0 */
struct net_if;
struct net_mgmt_event_static_handler {
	uint64_t event_mask;
	void (*handler)(uint64_t event, struct net_if *iface, void *info, size_t info_length,
			void *user_data);
	void *user_data;
};
#define NET_MGMT_REGISTER_EVENT_HANDLER(name, mask, func, data)                                    \
	const struct net_mgmt_event_static_handler name = {mask, func, data}
