# SPDX-License-Identifier: GPL-2.0-only
# What this kernel has, by looking at its headers and exported symbols, never at its version.
emys-inc := $(srctree)/include/linux
emys-x86 := $(srctree)/arch/x86/include/asm
emys-symvers := $(objtree)/Module.symvers
# $(call emys-has,REGEX,FILE,NAME): -DNAME when FILE matches
emys-has = $(shell grep -Eqs '$(1)' $(2) && echo -D$(3))
# $(call emys-exports,SYMBOL,NAME): -DNAME when SYMBOL is exported without a namespace
emys-exports = $(shell awk -F'\t' '$$2=="$(1)" && $$5=="" {f=1} END{exit !f}' $(emys-symvers) && echo -D$(2))

ccflags-y += $(call emys-has,define rdmsrq,$(emys-x86)/msr.h,HAVE_RDMSRQ)
ccflags-y += $(call emys-has,hrtimer_setup,$(emys-inc)/hrtimer.h,HAVE_HRTIMER_SETUP)
ccflags-y += $(call emys-exports,cpu_emergency_register_virt_callback,HAVE_EMERGENCY_CALLBACK)
ccflags-y += $(call emys-exports,cr4_update_irqsoff,HAVE_CR4_HELPERS)
ccflags-y += $(call emys-has,register_syscore.struct syscore ,$(emys-inc)/syscore_ops.h,HAVE_SYSCORE)
ccflags-y += $(call emys-exports,l1tf_vmx_mitigation,HAVE_L1TF_VMX)
ccflags-y += $(call emys-exports,handle_guest_split_lock,HAVE_GUEST_SPLIT_LOCK)
ccflags-y += $(call emys-has,eventfd_signal\(struct eventfd_ctx .ctx\),$(emys-inc)/eventfd.h,HAVE_EVENTFD_SIGNAL_1ARG)
ccflags-y += $(call emys-has,define SECONDARY_EXEC_ENABLE_XSAVES,$(emys-x86)/vmx.h,HAVE_EXEC_ENABLE_XSAVES)
ccflags-y += $(call emys-has,HINT_UNSAFE_IN_KVM.immediate_exit,$(srctree)/include/uapi/linux/kvm.h,HAVE_IMMEDIATE_EXIT_UNSAFE)
ccflags-y += $(call emys-has,trace_ipi_send_cpu,$(emys-inc)/smp.h,HAVE_TRACE_IPI_SEND)
-include $(src)/kmod/compat/probe-mm.mk
