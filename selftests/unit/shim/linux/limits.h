/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's limits, as far as the pure files use them */
#ifndef _EMYS_SHIM_LIMITS_H
#define _EMYS_SHIM_LIMITS_H

#define U64_MAX		(~0ULL)

#endif
