/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's access macros, as far as the pure files use them */
#ifndef _EMYS_SHIM_COMPILER_H
#define _EMYS_SHIM_COMPILER_H

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define fallthrough		__attribute__((__fallthrough__))

#endif
