/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations of the kernel functions that the module's C code uses: see tests/zephyr/compile. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARG_UNUSED(x) (void)(x)
#define __noinline __attribute__((noinline))
#define BIT(n) (1UL << (n))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define STRINGIFY_OF(text) #text
#define STRINGIFY(text) STRINGIFY_OF(text)
#define BUILD_ASSERT(condition, text) _Static_assert(condition, text)
#define CONTAINER_OF(part, type, field) ((type *)(void *)((char *)(part) - offsetof(type, field)))
#define CODE_UNREACHABLE __builtin_unreachable()
#define FUNC_NORETURN __attribute__((noreturn))
/* 1 for an option that is 1, 0 for one that is not defined. */
#define IS_ENABLED(option) IS_ENABLED_OF(option)
#define IS_ENABLED_OF(value) IS_ENABLED_THIRD(COMMA_IF_##value 1, 0, 0)
#define COMMA_IF_1 0,
#define IS_ENABLED_THIRD(ignored, value, ...) value
#define __ASSERT_NO_MSG(condition) (void)(condition)

typedef struct {
	int64_t ticks;
} k_timeout_t;
#define K_NO_WAIT ((k_timeout_t){0})
#define K_FOREVER ((k_timeout_t){-1})
#define K_MSEC(ms) ((k_timeout_t){(ms)})

typedef long atomic_t;
typedef long atomic_val_t;
long atomic_get(const atomic_t *target);
#define ATOMIC_BITS (sizeof(atomic_t) * 8)
long atomic_set(atomic_t *target, long value);
long atomic_or(atomic_t *target, long value);
long atomic_inc(atomic_t *target);
bool atomic_cas(atomic_t *target, long old_value, long new_value);
long atomic_clear(atomic_t *target);
#define ATOMIC_DEFINE(name, bits) atomic_t name[1 + ((bits)-1) / (8 * sizeof(atomic_t))]
void atomic_set_bit(atomic_t *target, int bit);
void atomic_clear_bit(atomic_t *target, int bit);
bool atomic_test_bit(const atomic_t *target, int bit);
bool atomic_test_and_clear_bit(atomic_t *target, int bit);
bool atomic_test_and_set_bit(atomic_t *target, int bit);

struct k_sem {
	int unused;
};
int k_sem_init(struct k_sem *sem, unsigned int initial_count, unsigned int limit);
int k_sem_take(struct k_sem *sem, k_timeout_t timeout);
void k_sem_give(struct k_sem *sem);
struct k_mutex {
	int unused;
};
#define K_MUTEX_DEFINE(name) struct k_mutex name
int k_mutex_init(struct k_mutex *mutex);
int k_mutex_lock(struct k_mutex *mutex, k_timeout_t timeout);
int k_mutex_unlock(struct k_mutex *mutex);

struct k_poll_signal {
	int unused;
};
struct k_poll_event {
	unsigned int state;
};
enum { K_POLL_TYPE_SIGNAL = 1, K_POLL_MODE_NOTIFY_ONLY = 0, K_POLL_STATE_NOT_READY = 0 };
void k_poll_signal_init(struct k_poll_signal *signal);
int k_poll_signal_raise(struct k_poll_signal *signal, int result);
void k_poll_signal_reset(struct k_poll_signal *signal);
void k_poll_event_init(struct k_poll_event *event, uint32_t type, int mode, void *object);

struct k_condvar {
	int unused;
};
int k_condvar_init(struct k_condvar *condvar);
#define K_CONDVAR_DEFINE(name) struct k_condvar name
int k_condvar_wait(struct k_condvar *condvar, struct k_mutex *mutex, k_timeout_t timeout);
int k_condvar_broadcast(struct k_condvar *condvar);

struct k_spinlock {
	int unused;
};
typedef struct {
	int key;
} k_spinlock_key_t;
k_spinlock_key_t k_spin_lock(struct k_spinlock *lock);
void k_spin_unlock(struct k_spinlock *lock, k_spinlock_key_t key);

struct k_timer {
	void (*expiry)(struct k_timer *timer);
	void (*stop)(struct k_timer *timer);
};
void k_timer_init(struct k_timer *timer, void (*expiry)(struct k_timer *timer),
		  void (*stop)(struct k_timer *timer));
void k_timer_start(struct k_timer *timer, k_timeout_t duration, k_timeout_t period);
void k_timer_stop(struct k_timer *timer);

struct k_thread {
	int unused;
};
typedef struct k_thread *k_tid_t;
typedef struct {
	char data;
} k_thread_stack_t;
#define K_KERNEL_STACK_DEFINE(name, size) k_thread_stack_t name[size]
#define K_KERNEL_STACK_ARRAY_DEFINE(name, count, size) k_thread_stack_t name[count][size]
#define K_KERNEL_STACK_SIZEOF(name) sizeof(name)
k_tid_t k_thread_create(struct k_thread *thread, k_thread_stack_t *stack, size_t size,
			void (*entry)(void *a, void *b, void *c), void *a, void *b, void *c,
			int priority, uint32_t options, k_timeout_t delay);
int k_thread_name_set(k_tid_t thread, const char *name);
int k_thread_join(k_tid_t thread, k_timeout_t timeout);
k_tid_t k_current_get(void);
int32_t k_msleep(int32_t ms);
int64_t k_uptime_get(void);
uint32_t k_uptime_get_32(void);
unsigned int irq_lock(void);
void irq_unlock(unsigned int key);
FUNC_NORETURN void k_panic(void);

struct k_work {
	void (*handler)(struct k_work *work);
};
struct k_work_q {
	int unused;
};
struct k_work_queue_config {
	const char *name;
};
void k_work_init(struct k_work *work, void (*handler)(struct k_work *work));
struct k_work_sync {
	int flushed;
};
bool k_work_flush(struct k_work *work, struct k_work_sync *sync);
void k_work_queue_init(struct k_work_q *queue);
void k_work_queue_start(struct k_work_q *queue, k_thread_stack_t *stack, size_t size, int priority,
			const struct k_work_queue_config *config);
int k_work_submit_to_queue(struct k_work_q *queue, struct k_work *work);
k_tid_t k_work_queue_thread_get(struct k_work_q *queue);

struct k_msgq {
	size_t msg_size;
};
#define K_MSGQ_DEFINE(name, size, count, align) struct k_msgq name = {.msg_size = (size)}
void k_msgq_init(struct k_msgq *queue, char *buffer, size_t size, uint32_t count);
int k_msgq_put(struct k_msgq *queue, const void *data, k_timeout_t timeout);
int k_msgq_get(struct k_msgq *queue, void *data, k_timeout_t timeout);
void k_msgq_purge(struct k_msgq *queue);

#endif
