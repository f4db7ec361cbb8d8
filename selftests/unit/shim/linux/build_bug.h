/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's compile-time assertions for pure files built in userspace */
#ifndef _EMYS_SHIM_BUILD_BUG_H
#define _EMYS_SHIM_BUILD_BUG_H

#undef static_assert
#define static_assert(e)	_Static_assert(e, #e)

#define BUILD_BUG_ON_ZERO(e)	((int)sizeof(char[1 - 2 * !!(e)]) - 1)

#endif
