/* SPDX-License-Identifier: Apache-2.0 */
struct net_if;
struct net_if_addr;
struct net_if_addr *net_if_ipv4_addr_lookup(const struct in_addr *addr, struct net_if **iface);
struct net_if_addr *net_if_ipv6_addr_lookup(const struct in6_addr *addr, struct net_if **iface);
struct net_if *net_if_ipv4_select_src_iface(const struct in_addr *destination);
struct net_if *net_if_ipv6_select_src_iface(const struct in6_addr *destination);
int net_if_get_by_iface(struct net_if *iface);
enum net_addr_state {
	NET_ADDR_PREFERRED = 1,
};
struct in_addr *net_if_ipv4_get_global_addr(struct net_if *iface, enum net_addr_state state);
struct in6_addr *net_if_ipv6_get_global_addr(enum net_addr_state state, struct net_if **iface);
bool net_if_is_up(struct net_if *iface);
