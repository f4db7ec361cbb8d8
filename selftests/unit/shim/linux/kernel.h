/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's general macros, as far as the pure files use them */
#ifndef _EMYS_SHIM_KERNEL_H
#define _EMYS_SHIM_KERNEL_H

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#endif
