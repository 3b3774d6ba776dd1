/* SPDX-License-Identifier: Apache-2.0 */
struct k_mem_slab;
struct net_buf_pool {
	atomic_t avail_count;
};
void net_pkt_get_info(struct k_mem_slab **rx, struct k_mem_slab **tx, struct net_buf_pool **rx_data,
		      struct net_buf_pool **tx_data);
uint32_t k_mem_slab_num_free_get(struct k_mem_slab *slab);
