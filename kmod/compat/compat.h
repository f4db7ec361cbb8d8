/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - differences between the kernels emys builds on, found by probing
 * (kmod/compat/probe*.mk define HAVE_*), force-included into every file.
 */
#ifndef _EMYS_COMPAT_H
#define _EMYS_COMPAT_H

/* Every message of the module starts the same. Before any header that defines it. */
#define pr_fmt(fmt) "emys: " fmt

#include <linux/version.h>
#if KERNEL_VERSION(6, 1, 0) > LINUX_VERSION_CODE
#error "emys needs Linux 6.1 or newer"
#endif

#include <asm/msr.h>

/* 6.16 renamed the 64-bit MSR accessors. */
#ifndef HAVE_RDMSRQ
#define rdmsrq		rdmsrl
#define rdmsrq_safe	rdmsrl_safe
#define wrmsrq		wrmsrl
#define wrmsrq_safe	wrmsrl_safe
#endif

/* 6.8 renamed the VMX control, and says in the field's name that userspace may change it. */
#ifdef HAVE_EXEC_ENABLE_XSAVES
#define SECONDARY_EXEC_XSAVES	SECONDARY_EXEC_ENABLE_XSAVES
#endif
#ifdef HAVE_IMMEDIATE_EXIT_UNSAFE
#define immediate_exit		immediate_exit__unsafe
#endif

#endif
