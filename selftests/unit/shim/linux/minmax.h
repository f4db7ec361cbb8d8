/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's min and max for pure files built in userspace */
#ifndef _EMYS_SHIM_MINMAX_H
#define _EMYS_SHIM_MINMAX_H

#define min_t(type, a, b) ({						\
	type __a = (a);							\
	type __b = (b);							\
	__a < __b ? __a : __b;						\
})
#define max_t(type, a, b) ({						\
	type __a = (a);							\
	type __b = (b);							\
	__a > __b ? __a : __b;						\
})
#define min(a, b)	min_t(__typeof__(a), a, b)
#define max(a, b)	max_t(__typeof__(a), a, b)

#endif
