/* SPDX-License-Identifier: GPL-2.0-only */
/* fred.h - is flexible return and event delivery on? Kernels before 6.9 do not know it. */
#ifndef _EMYS_COMPAT_FRED_H
#define _EMYS_COMPAT_FRED_H

#include <asm/cpufeature.h>

static inline bool compat_fred_on(void)
{
#ifdef X86_FEATURE_FRED
	return boot_cpu_has(X86_FEATURE_FRED);
#else
	return false;
#endif
}

#endif
