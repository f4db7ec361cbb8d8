/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's atomics, as far as the pure files use them */
#ifndef _EMYS_SHIM_ATOMIC_H
#define _EMYS_SHIM_ATOMIC_H

#include <linux/types.h>

typedef struct {
	s64 counter;
} atomic64_t;

/* Called just before an exchange: a test can widen the window for a race */
extern void (*shim_race_point)(void);

#define cmpxchg(ptr, old, new) ({					\
	__typeof__(*(ptr)) __old = (old);				\
	if (shim_race_point)						\
		shim_race_point();					\
	__atomic_compare_exchange_n(ptr, &__old, new, 0,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);\
	__old;								\
})
#define xchg(ptr, new) __atomic_exchange_n(ptr, new, __ATOMIC_SEQ_CST)

static inline s64 atomic64_read(const atomic64_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic64_set(atomic64_t *v, s64 i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline s64 atomic64_add_return(s64 i, atomic64_t *v)
{
	return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST);
}

#define atomic64_add(i, v)	((void)atomic64_add_return(i, v))
#define atomic64_sub(i, v)	((void)atomic64_add_return(-(i), v))
#define atomic64_inc(v)		((void)atomic64_add_return(1, v))
#define atomic64_dec(v)		((void)atomic64_add_return(-1, v))
#define atomic64_inc_return(v)	atomic64_add_return(1, v)

#endif
