/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* What /dev/emys has beyond the KVM ABI. All of it is optional: a VMM need not know it. */

#ifndef _UAPI_LINUX_EMYS_H
#define _UAPI_LINUX_EMYS_H

/*
 * Whether a VM's guest may be a hypervisor. KVM_CHECK_EXTENSION: 1 it may, if its CPUID has VMX; 0
 * it may not, or emys does not know the capability. KVM_ENABLE_CAP of a VM, before its first vCPU:
 * args[0] is 0 to refuse and 1 to allow, which is the default; the others are 0. Errors: EINVAL
 * flags or other arguments, EBUSY there is a vCPU, EOPNOTSUPP 1 where the module was loaded
 * without nested=1.
 */
#define EMYS_CAP_NESTED	0x656d0001

#endif /* _UAPI_LINUX_EMYS_H */
