// SPDX-License-Identifier: GPL-2.0-only
/* Exceptions, NMIs and interrupts: queued, injected, replayed when delivery was cut short. */
#include "../emys.h"
#include "internal.h"

#define VEC_DB	1
#define VEC_NMI	2
#define VEC_DF	8
#define VEC_GP	13
#define VEC_PF	14

/* Exits during which an event may have been on its way although this entry injected none. */
static bool may_cut_delivery(u32 reason)
{
	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
	case EXIT_REASON_TRIPLE_FAULT:
	case EXIT_REASON_TASK_SWITCH:
	case EXIT_REASON_APIC_ACCESS:
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG:
	case EXIT_REASON_SPP:
	case EXIT_REASON_APIC_WRITE:
	case EXIT_REASON_PML_FULL:
		return true;
	}
	return false;
}

/* "Interrupt 8—Double Fault Exception": which pairs make a double fault. */
static bool is_contributory(u8 v)
{
	return v == 0 || (v >= 10 && v <= 13);
}

void vmx_queue_exception(struct emys_vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	struct emys_events *ev = &vcpu->ev;
	u8 prev = ev->exception.nr;

	vcpu->vmx.events_check = true;
	/* What is an exit to L1 is that before it can make a double fault of another. */
	if (unlikely(vcpu->vmx.l2) && ev->exception.injected &&
	    nested_takes_exception(vcpu, vector, has_error ? error : 0)) {
		ev->exception.injected = false;
	} else if (ev->exception.pending || ev->exception.injected) {
		ev->exception.injected = false;
		if (prev == VEC_DF) {
			/* A fault while delivering #DF: shutdown. */
			ev->exception.pending = false;
			vcpu->vmx.shutdown = true;
			return;
		}
		if ((is_contributory(prev) && is_contributory(vector)) ||
		    (prev == VEC_PF && (vector == VEC_PF || is_contributory(vector)))) {
			vector = VEC_DF;
			has_error = true;
			error = 0;
		}
	}
	ev->exception.pending = true;
	ev->exception.nr = vector;
	ev->exception.has_error = has_error;
	ev->exception.error = error;
	ev->exception.has_payload = false;
}

void vmx_inject_gp(struct emys_vcpu *vcpu)
{
	vmx_queue_exception(vcpu, VEC_GP, true, 0);
}

void vmx_inject_ud(struct emys_vcpu *vcpu)
{
	vmx_queue_exception(vcpu, 6, false, 0);
}

void vmx_inject_pf(struct emys_vcpu *vcpu, u64 cr2, u32 error)
{
	struct emys_events *ev = &vcpu->ev;

	vmx_queue_exception(vcpu, VEC_PF, true, error);
	/* A double fault leaves CR2 to the second page fault as well. */
	if (ev->exception.nr != VEC_PF) {
		vcpu->cr2 = cr2;
		return;
	}
	ev->exception.has_payload = true;
	ev->exception.payload = cr2;
}

/* What it leaves in a register, now that no VM exit takes its place. */
static void deliver_payload(struct emys_vcpu *vcpu)
{
	struct emys_events *ev = &vcpu->ev;

	if (!ev->exception.has_payload)
		return;
	ev->exception.has_payload = false;
	if (ev->exception.nr == VEC_PF)
		vcpu->cr2 = ev->exception.payload;
	else if (ev->exception.nr == VEC_DB)
		vmx_debug_report(vcpu, ev->exception.payload);
}

void vmx_events_settle(struct emys_vcpu *vcpu)
{
	if (!READ_ONCE(vcpu->vm->exception_payload) && vcpu->ev.exception.pending)
		deliver_payload(vcpu);
}

/* Forget what was injected; what the CPU did not finish delivering comes back. */
void vmx_events_after_exit(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	struct emys_events *ev = &vcpu->ev;
	u32 info;

	if (!vmx->injected && likely(!may_cut_delivery(vmx->exit.reason))) {
		vmx->exit.idt_info = 0;
		return;
	}
	vmx->injected = false;
	ev->exception.injected = false;
	ev->interrupt.injected = false;
	ev->nmi_injected = false;
	info = vmcs_read32(IDT_VECTORING_INFO_FIELD);
	vmx->exit.idt_info = info;
	if (likely(!(info & VECTORING_INFO_VALID_MASK)))
		return;

	vmx->events_check = true;
	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		ev->nmi_injected = true;
		/* Injecting it again needs the blocking that its first delivery set to be off. */
		vmx_need(vcpu, VMX_AV_INTR);
		vmx->intr_shadow &= ~GUEST_INTR_STATE_NMI;
		vmx->dirty |= VMX_AV_INTR;
		break;
	case INTR_TYPE_SOFT_EXCEPTION:
	case INTR_TYPE_PRIV_SW_EXCEPTION:
		vmx->event_insn_len = vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
		fallthrough;
	case INTR_TYPE_HARD_EXCEPTION:
		ev->exception.injected = true;
		ev->exception.pending = false;
		ev->exception.nr = info & VECTORING_INFO_VECTOR_MASK;
		ev->exception.has_error = info & VECTORING_INFO_DELIVER_CODE_MASK;
		ev->exception.error = ev->exception.has_error ?
				      vmcs_read32(IDT_VECTORING_ERROR_CODE) : 0;
		vmx->exit.idt_error = ev->exception.error;
		break;
	case INTR_TYPE_SOFT_INTR:
		vmx->event_insn_len = vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
		fallthrough;
	case INTR_TYPE_EXT_INTR:
		ev->interrupt.injected = true;
		ev->interrupt.soft = (info & VECTORING_INFO_TYPE_MASK) == INTR_TYPE_SOFT_INTR;
		ev->interrupt.nr = info & VECTORING_INFO_VECTOR_MASK;
		break;
	}
}

/*
 * "NMI unblocking due to IRET". The bit means nothing without virtual NMIs, nor when
 * an event was being delivered. A fault that is handed to the guest leaves NMIs unblocked,
 * as an IRET that faults does.
 */
void vmx_events_runs_again(struct emys_vcpu *vcpu, u64 info)
{
	if (likely(!(info & INTR_INFO_UNBLOCK_NMI)) || !vmx_caps.vnmi ||
	    (vcpu->vmx.exit.idt_info & VECTORING_INFO_VALID_MASK))
		return;
	vmx_need(vcpu, VMX_AV_INTR);
	vcpu->vmx.intr_shadow |= GUEST_INTR_STATE_NMI;
	vcpu->vmx.dirty |= VMX_AV_INTR;
}

static void write_exception(struct emys_vcpu *vcpu)
{
	struct emys_events *ev = &vcpu->ev;
	u32 info = ev->exception.nr | INTR_INFO_VALID_MASK;
	bool real_mode = !(vmx_get_cr0(vcpu) & X86_CR0_PE);

	/* "VM-Entry Interruption-Information Field": no error code in real mode. */
	if (ev->exception.has_error && !real_mode) {
		vmcs_write32(VM_ENTRY_EXCEPTION_ERROR_CODE, ev->exception.error & 0xffff);
		info |= INTR_INFO_DELIVER_CODE_MASK;
	}
	if (ev->exception.nr == 3 || ev->exception.nr == 4) {
		vmcs_write32(VM_ENTRY_INSTRUCTION_LEN, vcpu->vmx.event_insn_len ?: 1);
		info |= INTR_TYPE_SOFT_EXCEPTION;
	} else {
		info |= INTR_TYPE_HARD_EXCEPTION;
	}
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, info);
	vcpu->vmx.injected = true;
	vcpu->stats.injected_exceptions++;
}

static void write_interrupt(struct emys_vcpu *vcpu)
{
	u32 info = vcpu->ev.interrupt.nr | INTR_INFO_VALID_MASK;

	if (vcpu->ev.interrupt.soft) {
		vmcs_write32(VM_ENTRY_INSTRUCTION_LEN, vcpu->vmx.event_insn_len ?: 2);
		info |= INTR_TYPE_SOFT_INTR;
	} else {
		info |= INTR_TYPE_EXT_INTR;
	}
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, info);
	vcpu->vmx.injected = true;
	vcpu->stats.injected_irqs++;
}

static void write_nmi(struct emys_vcpu *vcpu)
{
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD,
		     VEC_NMI | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK);
	vcpu->vmx.injected = true;
	vcpu->stats.injected_nmis++;
}

static bool nmi_allowed(struct emys_vcpu *vcpu)
{
	vmx_need(vcpu, VMX_AV_INTR);
	return !(vcpu->vmx.intr_shadow & (GUEST_INTR_STATE_NMI | GUEST_INTR_STATE_MOV_SS |
					  GUEST_INTR_STATE_STI));
}

/* Virtual-interrupt delivery: the CPU takes the highest IRR itself, told by RVI. */
static void write_rvi(struct emys_vcpu *vcpu, int max_irr)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	u16 status = vmcs_read16(GUEST_INTR_STATUS);
	u8 rvi = max_irr < 0 ? 0 : max_irr;

	if (vmx->svi_dirty) {
		int isr = lapic_highest_isr(vcpu);

		status = (isr < 0 ? 0 : isr) << 8;
		vmx->svi_dirty = false;
		vmcs_write16(GUEST_INTR_STATUS, status | rvi);
	} else if ((status & 0xff) != rvi) {
		vmcs_write16(GUEST_INTR_STATUS, (status & 0xff00) | rvi);
	}
}

/* The vector to inject as an external interrupt, or -1; *window: one waits but not now. */
static int next_interrupt(struct emys_vcpu *vcpu, bool can, bool *window)
{
	struct emys_lapic *apic = vcpu->lapic;
	int vector, max_irr, ext = -1;

	if (!apic) {
		if (!vcpu->vmx.user_irq_valid)
			return -1;
		if (!can) {
			*window = true;
			return -1;
		}
		vcpu->vmx.user_irq_valid = false;
		return vcpu->vmx.user_irq;
	}
	/* Those that are an exit to L1 are no interrupts of L2's. */
	if (unlikely(vcpu->vmx.l2) && nested_interrupt_exits(vcpu))
		return -1;
	if (lapic_accepts_pic(vcpu) && pic_pending(vcpu->vm)) {
		if (can)
			ext = pic_ack(vcpu->vm);
		else
			*window = true;
	}
	vector = lapic_poll(vcpu, &max_irr);
	if (apic->apicv && !vcpu->vmx.l2) {
		write_rvi(vcpu, max_irr);
		return ext;
	}
	if (vmx_caps.tpr_shadow && !vcpu->vmx.l2) {
		u32 tpr = lapic_get_cr8(vcpu), threshold = 0;

		/* Exit when the guest lowers TPR below what holds an interrupt back. */
		if (max_irr >= 0 && max_irr >> 4 <= tpr)
			threshold = max_irr >> 4;
		vmcs_write32(TPR_THRESHOLD, threshold);
	}
	if (vector < 0 || ext >= 0)
		return ext;
	if (!can) {
		*window = true;
		return -1;
	}
	lapic_ack(vcpu, vector);
	return vector;
}

/*
 * An exception was caused by the instruction before, so it goes first. What it takes
 * the place of has left its source already and would be lost; a software interrupt
 * is executed again.
 */
static void put_off(struct emys_events *ev)
{
	if (ev->nmi_injected) {
		ev->nmi_injected = false;
		ev->nmi_pending = min_t(u32, 2, ev->nmi_pending + 1);
	}
	if (ev->interrupt.injected && !ev->interrupt.soft) {
		ev->interrupt.waiting = true;
		ev->interrupt.waiting_nr = ev->interrupt.nr;
	}
	ev->interrupt.injected = false;
}

static void inject_interrupt(struct emys_vcpu *vcpu, u8 vector)
{
	vcpu->ev.interrupt.injected = true;
	vcpu->ev.interrupt.soft = false;
	vcpu->ev.interrupt.nr = vector;
	write_interrupt(vcpu);
}

/* The debugger wants none now: they stay pending, and no window opens. */
static void hold_interrupts(struct emys_vcpu *vcpu)
{
	/* While L2 runs, L1's APIC is not the CPU's. */
	if (!vcpu->lapic || vcpu->vmx.l2)
		;
	else if (vcpu->lapic->apicv)
		write_rvi(vcpu, -1);
	else if (vmx_caps.tpr_shadow)
		vmcs_write32(TPR_THRESHOLD, 0);
	vmx_exec_update(vcpu, 0, CPU_BASED_INTR_WINDOW_EXITING |
			(vmx_caps.vnmi ? CPU_BASED_NMI_WINDOW_EXITING : 0));
}

/*
 * Decide what the next entry delivers. Order: exceptions, what was cut short, then
 * a new NMI, interrupt; what has to wait opens its window.
 */
void vmx_events_before_entry(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	struct emys_events *ev = &vcpu->ev;
	bool busy = true, can, irq_window = false, nmi_window = false;
	u32 set = 0;
	int vector;

	vmx->events_check = false;
	/* However many: one that is handled and one that waits. */
	if (atomic_read(&vcpu->nmi_queued))
		ev->nmi_pending = min_t(u32, 2, ev->nmi_pending +
					atomic_xchg(&vcpu->nmi_queued, 0));

	if (unlikely(vmx->inject_raw)) {
		/* What vmcs12 has to be injected is in the VMCS. */
	} else if (ev->exception.injected) {
		put_off(ev);
		write_exception(vcpu);
	} else if (ev->exception.pending) {
		put_off(ev);
		/* A fault sets RF in the image it pushes; #DB and the traps #BP and #OF do not. */
		if (ev->exception.nr != VEC_DB && ev->exception.nr != 3 && ev->exception.nr != 4)
			vmx_set_rflags(vcpu, vmx_rflags(vcpu) | X86_EFLAGS_RF);
		deliver_payload(vcpu);
		ev->exception.pending = false;
		ev->exception.injected = true;
		write_exception(vcpu);
	} else if (ev->nmi_injected) {
		write_nmi(vcpu);
	} else if (ev->interrupt.injected) {
		write_interrupt(vcpu);
	} else {
		busy = false;
	}

	if (unlikely(vcpu->debug.control)) {
		busy = vmx_debug_before_entry(vcpu, busy);
		if (vcpu->debug.control & KVM_GUESTDBG_BLOCKIRQ) {
			hold_interrupts(vcpu);
			return;
		}
	}
	if (ev->nmi_pending && !(unlikely(vmx->l2) && nested_nmi_exits(vcpu))) {
		if (!busy && nmi_allowed(vcpu)) {
			ev->nmi_pending--;
			ev->nmi_injected = true;
			write_nmi(vcpu);
			busy = true;
		}
		nmi_window = ev->nmi_pending;
	}

	can = !busy && vmx_interrupt_allowed(vcpu);
	if (unlikely(ev->interrupt.waiting) && !(vmx->l2 && nested_interrupt_exits(vcpu))) {
		if (can) {
			ev->interrupt.waiting = false;
			inject_interrupt(vcpu, ev->interrupt.waiting_nr);
			can = false;
		} else {
			irq_window = true;
		}
	}
	vector = next_interrupt(vcpu, can, &irq_window);
	if (vector >= 0) {
		inject_interrupt(vcpu, vector);
		/* Another may be waiting behind it. */
		if (vcpu->lapic)
			irq_window = lapic_has_work(vcpu);
	}
	if (vcpu->run->request_interrupt_window && !vcpu->lapic)
		irq_window = true;

	if (irq_window)
		set |= CPU_BASED_INTR_WINDOW_EXITING;
	/* Without virtual NMIs there is no NMI window: the interrupt window is close enough. */
	if (nmi_window)
		set |= vmx_caps.vnmi ? CPU_BASED_NMI_WINDOW_EXITING : CPU_BASED_INTR_WINDOW_EXITING;
	vmx_exec_update(vcpu, set, (CPU_BASED_INTR_WINDOW_EXITING |
				    (vmx_caps.vnmi ? CPU_BASED_NMI_WINDOW_EXITING : 0)) & ~set);
}

int vmx_queue_interrupt(struct emys_vcpu *vcpu, u32 vector)
{
	if (vector > 255)
		return -EINVAL;
	if (vcpu->vm->irqchip)
		return -ENXIO;
	if (vcpu->vmx.user_irq_valid)
		return -EEXIST;
	vcpu->vmx.user_irq = vector;
	vcpu->vmx.user_irq_valid = true;
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	return 0;
}

void vmx_queue_nmi(struct emys_vcpu *vcpu)
{
	atomic_inc(&vcpu->nmi_queued);
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	emys_vcpu_kick(vcpu);
}

void vmx_get_events(struct emys_vcpu *vcpu, struct kvm_vcpu_events *e)
{
	struct emys_events *ev = &vcpu->ev;

	memset(e, 0, sizeof(*e));
	vmx_need(vcpu, VMX_AV_INTR);
	/* Without KVM_CAP_EXCEPTION_PAYLOAD the ABI knows one kind of exception: injected. */
	vmx_events_settle(vcpu);
	e->exception.injected = ev->exception.injected;
	if (!READ_ONCE(vcpu->vm->exception_payload)) {
		e->exception.injected |= ev->exception.pending;
	} else {
		e->exception.pending = ev->exception.pending;
		e->exception_has_payload = ev->exception.pending && ev->exception.has_payload;
		if (e->exception_has_payload)
			e->exception_payload = ev->exception.payload;
		e->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	}
	if (READ_ONCE(vcpu->vm->triple_fault_event)) {
		e->triple_fault.pending = vcpu->vmx.shutdown;
		e->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	}
	e->exception.nr = ev->exception.nr;
	e->exception.has_error_code = ev->exception.has_error;
	e->exception.error_code = ev->exception.error;
	e->interrupt.injected = ev->interrupt.injected;
	e->interrupt.nr = ev->interrupt.nr;
	e->interrupt.soft = ev->interrupt.soft;
	if (ev->interrupt.waiting || vcpu->vmx.user_irq_valid) {
		e->interrupt.injected = true;
		e->interrupt.nr = ev->interrupt.waiting ? ev->interrupt.waiting_nr :
							  vcpu->vmx.user_irq;
		e->interrupt.soft = false;
	}
	if (vcpu->vmx.intr_shadow & GUEST_INTR_STATE_STI)
		e->interrupt.shadow |= KVM_X86_SHADOW_INT_STI;
	if (vcpu->vmx.intr_shadow & GUEST_INTR_STATE_MOV_SS)
		e->interrupt.shadow |= KVM_X86_SHADOW_INT_MOV_SS;
	e->nmi.injected = ev->nmi_injected;
	e->nmi.pending = ev->nmi_pending || atomic_read(&vcpu->nmi_queued);
	e->nmi.masked = !!(vcpu->vmx.intr_shadow & GUEST_INTR_STATE_NMI);
	e->flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	if (vcpu->lapic) {
		e->sipi_vector = vcpu->lapic->sipi_vector;
		e->smi.latched_init = test_bit(LAPIC_EV_INIT, &vcpu->lapic->events);
		e->flags |= KVM_VCPUEVENT_VALID_SMM;
	}
}

int vmx_set_events(struct emys_vcpu *vcpu, const struct kvm_vcpu_events *e)
{
	const bool payload = e->flags & KVM_VCPUEVENT_VALID_PAYLOAD;
	const bool pending = payload && e->exception.pending;
	struct emys_events *ev = &vcpu->ev;
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (e->flags & ~(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
			 KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM |
			 KVM_VCPUEVENT_VALID_PAYLOAD | KVM_VCPUEVENT_VALID_TRIPLE_FAULT))
		return -EINVAL;
	if (payload && !READ_ONCE(vcpu->vm->exception_payload))
		return -EINVAL;
	if ((e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) &&
	    !READ_ONCE(vcpu->vm->triple_fault_event))
		return -EINVAL;
	if ((e->exception.injected || pending) &&
	    (e->exception.nr > 31 || e->exception.nr == VEC_NMI))
		return -EINVAL;
	/* There is no SMM: a vCPU cannot be put into it. */
	if ((e->flags & KVM_VCPUEVENT_VALID_SMM) && (e->smi.smm || e->smi.pending))
		return -EINVAL;

	vmx_need(vcpu, VMX_AV_INTR);
	ev->exception.injected = e->exception.injected && !pending;
	ev->exception.pending = pending;
	ev->exception.has_payload = pending && e->exception_has_payload;
	ev->exception.payload = e->exception_payload;
	ev->exception.nr = e->exception.nr;
	ev->exception.has_error = e->exception.has_error_code;
	ev->exception.error = e->exception.error_code;
	/* Whether the guest can take it is looked at again: the VMM may have set RFLAGS too. */
	ev->interrupt.injected = e->interrupt.injected && e->interrupt.soft;
	ev->interrupt.nr = e->interrupt.nr;
	ev->interrupt.soft = e->interrupt.soft;
	ev->interrupt.waiting = e->interrupt.injected && !e->interrupt.soft;
	ev->interrupt.waiting_nr = e->interrupt.nr;
	vmx->user_irq_valid = false;
	ev->nmi_injected = e->nmi.injected;
	if (e->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		atomic_set(&vcpu->nmi_queued, 0);
		ev->nmi_pending = e->nmi.pending ? 1 : 0;
	}
	if (e->flags & KVM_VCPUEVENT_VALID_SHADOW) {
		vmx->intr_shadow &= ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);
		if (e->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS)
			vmx->intr_shadow |= GUEST_INTR_STATE_MOV_SS;
		else if (e->interrupt.shadow & KVM_X86_SHADOW_INT_STI)
			vmx->intr_shadow |= GUEST_INTR_STATE_STI;
	}
	if (e->nmi.masked)
		vmx->intr_shadow |= GUEST_INTR_STATE_NMI;
	else
		vmx->intr_shadow &= ~GUEST_INTR_STATE_NMI;
	vmx->dirty |= VMX_AV_INTR;
	if ((e->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR) && vcpu->lapic)
		vcpu->lapic->sipi_vector = e->sipi_vector;
	if ((e->flags & KVM_VCPUEVENT_VALID_SMM) && vcpu->lapic)
		assign_bit(LAPIC_EV_INIT, &vcpu->lapic->events, e->smi.latched_init);
	if (e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		vmx->shutdown = e->triple_fault.pending;
	vmx->events_check = true;
	emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	return 0;
}
