/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's bit operations, as far as the pure files use them */
#ifndef _EMYS_SHIM_BITOPS_H
#define _EMYS_SHIM_BITOPS_H

#define hweight8(x)	((unsigned int)__builtin_popcount((x) & 0xff))

#endif
