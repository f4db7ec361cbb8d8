// SPDX-License-Identifier: GPL-2.0-only
/*
 * The debugger of a guest, KVM_SET_GUEST_DEBUG: single steps and breakpoints that
 * the VMM sees and the guest does not.
 *
 * A single step is the monitor trap flag of volume 3, "Monitor Trap Flag": it
 * follows interrupts and faults into their handlers, and no flag of the guest's
 * is borrowed. What the CPU leaves to emys (CPUID, port I/O) counts as a step when
 * it has moved RIP. The debugger's breakpoints take the debug registers for
 * themselves; the guest's stay in vcpu->dr, where its MOV DR finds them.
 */
#include <linux/sched.h>
#include <asm/debugreg.h>

#include "../emys.h"
#include "internal.h"

#define VEC_DB		1
#define VEC_BP		3

#define DR6_FIXED	0xffff0ff0ull
#define DR6_BD		BIT_ULL(13)
#define DR6_BS		BIT_ULL(14)
#define DR6_BT		BIT_ULL(15)
#define DR7_FIXED	BIT_ULL(10)
#define DR7_GD		BIT_ULL(13)
#define DR7_RESERVED	0xd000ull

/* Entry of the type "other event" with vector 0: a pending MTF VM exit. */
#define INTR_MTF	(INTR_INFO_VALID_MASK | 7 << 8)

static bool own_breakpoints(const struct emys_vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP;
}

/* DR7 as it is while the guest runs: the debugger's or the guest's. */
static u64 running_dr7(const struct emys_vcpu *vcpu)
{
	return own_breakpoints(vcpu) ? vcpu->debug.dr7 : vcpu->dr.dr7;
}

u32 vmx_exceptions(const struct emys_vcpu *vcpu)
{
	return VMX_EXCEPTIONS |
	       (vcpu->debug.control & KVM_GUESTDBG_USE_SW_BP ? BIT(VEC_BP) : 0);
}

static void write_dr7(struct emys_vcpu *vcpu)
{
	u64 dr7 = running_dr7(vcpu);

	vcpu->vmx.dr_wanted = dr7 & 0xff;
	vmx_vmcs_get(vcpu);
	vmcs_writel(GUEST_DR7, dr7);
	vmx_vmcs_put(vcpu);
}

void vmx_set_dr7(struct emys_vcpu *vcpu, u64 dr7)
{
	vcpu->dr.dr7 = (dr7 & U32_MAX & ~DR7_RESERVED) | DR7_FIXED;
	write_dr7(vcpu);
}

int vmx_set_guest_debug(struct emys_vcpu *vcpu, const struct kvm_guest_debug *d)
{
	u32 control = d->control;
	bool inject = control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);

	if (!vmx_caps.mtf || (control & ~EMYS_GUESTDBG))
		return -EINVAL;
	if ((control & KVM_GUESTDBG_USE_HW_BP) && d->arch.debugreg[7] >> 32)
		return -EINVAL;
	if (inject && vcpu->ev.exception.pending)
		return -EBUSY;
	if (inject) {
		vcpu->vmx.event_insn_len = 1;
		vmx_queue_exception(vcpu, control & KVM_GUESTDBG_INJECT_DB ? VEC_DB : VEC_BP,
				    false, 0);
	}
	if (!(control & KVM_GUESTDBG_ENABLE))
		control = 0;
	memset(&vcpu->debug, 0, sizeof(vcpu->debug));
	vcpu->debug.control = control;
	if (own_breakpoints(vcpu)) {
		memcpy(vcpu->debug.db, d->arch.debugreg, sizeof(vcpu->debug.db));
		vcpu->debug.dr7 = (d->arch.debugreg[7] & ~(DR7_RESERVED | DR7_GD)) | DR7_FIXED;
		vcpu->debug.general_detect = d->arch.debugreg[7] & DR7_GD;
	}

	vmx_vmcs_get(vcpu);
	vmcs_write32(EXCEPTION_BITMAP, vmx_exceptions(vcpu) | nested_debug_changed(vcpu));
	write_dr7(vcpu);
	vmx_exec_update(vcpu, 0, CPU_BASED_MONITOR_TRAP_FLAG);
	vmx_vmcs_put(vcpu);
	/* What BLOCKIRQ held back may go on now. */
	vcpu->vmx.events_check = true;
	return 0;
}

/* Before each entry while there is a debugger; @busy: it delivers an event. The same after it. */
bool vmx_debug_before_entry(struct emys_vcpu *vcpu, bool busy)
{
	struct emys_debug *debug = &vcpu->debug;
	struct vmx_vcpu *vmx = &vcpu->vmx;

	vmx->events_check = true;
	if (!(debug->control & KVM_GUESTDBG_SINGLESTEP))
		return busy;
	if (debug->entered && (vmx->dirty & VMX_AV_RIP) && !busy)
		debug->stepped = true;
	debug->entered = true;
	if (!debug->stepped) {
		vmx_exec_update(vcpu, CPU_BASED_MONITOR_TRAP_FLAG, 0);
		return busy;
	}
	vmx_exec_update(vcpu, 0, CPU_BASED_MONITOR_TRAP_FLAG);
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, INTR_MTF);
	vmx->injected = true;
	return true;
}

void vmx_debug_report(struct emys_vcpu *vcpu, u64 bits)
{
	if (vcpu->vmx.dr_loaded)
		get_debugreg(vcpu->dr.dr6, 6);
	vcpu->dr.dr6 = (vcpu->dr.dr6 & ~0xfull) | (bits & (0xf | DR6_BD | DR6_BS | DR6_BT));
	if (vcpu->vmx.dr_loaded)
		set_debugreg(vcpu->dr.dr6, 6);
	vmx_vmcs_get(vcpu);
	vmcs_writel(GUEST_DR7, vmcs_readl(GUEST_DR7) & ~DR7_GD);
	vmx_vmcs_put(vcpu);
}

bool vmx_debug_takes_db(struct emys_vcpu *vcpu, u64 qual)
{
	if (!own_breakpoints(vcpu) || !(qual & 0xf))
		return false;
	/* The guest stepped itself over the same instruction. */
	if (qual & DR6_BS) {
		vcpu->dr.dr6 |= DR6_BS;
		vmx_queue_exception(vcpu, VEC_DB, false, 0);
	}
	return true;
}

/* run->debug.arch.dr6 is set. */
static int tell_debugger(struct emys_vcpu *vcpu, u32 vector)
{
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;

	vmx_need(vcpu, VMX_AV_CS);
	d->exception = vector;
	d->pad = 0;
	d->pc = vmx_rip(vcpu) + (vmx_is_64bit(vcpu) ? 0 : vcpu->vmx.cs_base);
	d->dr7 = running_dr7(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	return EMYS_USER;
}

int vmx_handle_debug(struct emys_vcpu *vcpu)
{
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;
	const struct vmx_exit *e = &vcpu->vmx.exit;
	u32 vector = e->intr_info & INTR_INFO_VECTOR_MASK;

	vcpu->debug.entered = false;
	vcpu->debug.stepped = false;
	if (e->reason == EXIT_REASON_MONITOR_TRAP_FLAG) {
		vector = VEC_DB;
		d->dr6 = DR6_FIXED | DR6_BS;
	} else if (vector == VEC_DB) {
		d->dr6 = DR6_FIXED | (e->qual & 0xf);
	} else if (vector == VEC_BP) {
		/* For the VMM that gives it back by KVM_SET_VCPU_EVENTS. */
		vcpu->vmx.event_insn_len = e->insn_len;
		d->dr6 = DR6_FIXED;
	} else {
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON);
	}
	return tell_debugger(vcpu, vector);
}

static u64 *guest_dr(struct emys_vcpu *vcpu, unsigned int n)
{
	return n < 4 ? &vcpu->dr.db[n] : n == 6 ? &vcpu->dr.dr6 : &vcpu->dr.dr7;
}

/* "Exit Qualification for MOV DR", while the debug registers are the debugger's. */
int vmx_debug_mov_dr(struct emys_vcpu *vcpu)
{
	u64 qual = vmcs_readl(EXIT_QUALIFICATION), val;
	unsigned int n = qual & 7, reg = qual >> 8 & 15;

	if (n == 4 || n == 5) {
		if (vmx_get_cr4(vcpu) & X86_CR4_DE) {
			vmx_inject_ud(vcpu);
			return EMYS_RESUME;
		}
		n += 2;
	}
	if (vmx_get_cpl(vcpu)) {
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	if (vcpu->debug.general_detect) {
		vcpu->run->debug.arch.dr6 = DR6_FIXED | DR6_BD;
		return tell_debugger(vcpu, VEC_DB);
	}
	if (vcpu->dr.dr7 & DR7_GD) {
		vcpu->dr.dr6 |= DR6_BD;
		vmx_set_dr7(vcpu, vcpu->dr.dr7 & ~DR7_GD);
		vmx_queue_exception(vcpu, VEC_DB, false, 0);
		return EMYS_RESUME;
	}
	if (qual & BIT(4)) {
		val = *guest_dr(vcpu, n);
		vmx_set_gpr(vcpu, reg, vmx_is_64bit(vcpu) ? val : (u32)val);
	} else {
		val = vmx_gpr(vcpu, reg);
		if (!vmx_is_64bit(vcpu))
			val = (u32)val;
		if (n >= 6 && val >> 32) {
			vmx_inject_gp(vcpu);
			return EMYS_RESUME;
		}
		if (n == 7)
			vmx_set_dr7(vcpu, val);
		else
			*guest_dr(vcpu, n) = n < 4 ? val : (val | DR6_FIXED) & ~BIT_ULL(12);
	}
	vmx_skip(vcpu);
	return EMYS_RESUME;
}
