# SPDX-License-Identifier: GPL-2.0-only
# Memory management differences; uses the functions of probe.mk
ccflags-y += $(call emys-has,vm_flags_set,$(emys-inc)/mm.h,HAVE_VM_FLAGS_SET)
