# SPDX-License-Identifier: GPL-2.0-only
# Memory management differences; uses the functions of probe.mk
ccflags-y += $(call emys-has,vm_flags_set,$(emys-inc)/mm.h,HAVE_VM_FLAGS_SET)
ccflags-y += $(call emys-has,create. .struct mnt_idmap,$(emys-inc)/fs.h,HAVE_MNT_IDMAP)
ccflags-y += $(call emys-has,d_make_persistent,$(emys-inc)/dcache.h,HAVE_D_MAKE_PERSISTENT)
ccflags-y += $(call emys-has,shrinker_alloc,$(emys-inc)/shrinker.h,HAVE_SHRINKER_ALLOC)
