/* SPDX-License-Identifier: Apache-2.0 */
typedef struct {
	void *next;
} sys_snode_t;
typedef struct {
	sys_snode_t *head;
} sys_slist_t;
#define SYS_SLIST_STATIC_INIT(list) {NULL}
void sys_slist_append(sys_slist_t *list, sys_snode_t *node);
void *next_of(sys_slist_t *list, void *before);
#define SYS_SLIST_FOR_EACH_CONTAINER(list, entry, field)                                           \
	for ((entry) = next_of(list, NULL); (entry) != NULL; (entry) = next_of(list, entry))
