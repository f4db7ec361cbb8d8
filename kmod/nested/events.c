// SPDX-License-Identifier: GPL-2.0-only
/* Events that are a VM exit from L2 to L1: interrupts, NMIs, exceptions of emys's making. */
#include <asm/trapnr.h>

#include "../compat/ipi.h"
#include "../emys.h"
#include "internal.h"

/* "Pending Debug Exceptions" */
#define PENDING_BREAKPOINT	BIT(12)
#define PENDING_STEP		BIT(14)

bool nested_interrupt_exits(const struct emys_vcpu *vcpu)
{
	return n12_pin(vcpu->nested->v12, PIN_BASED_EXT_INTR_MASK);
}

bool nested_nmi_exits(const struct emys_vcpu *vcpu)
{
	return n12_pin(vcpu->nested->v12, PIN_BASED_NMI_EXITING);
}

bool nested_takes_exception(const struct emys_vcpu *vcpu, u8 vector, u32 error)
{
	return nested_exception_exits(vcpu->nested->v12, vector, error);
}

static bool interrupt_waits(struct emys_vcpu *vcpu)
{
	int vector;

	if (!vcpu->lapic)
		return vcpu->vmx.user_irq_valid || vcpu->ev.interrupt.waiting;
	if (vcpu->ev.interrupt.waiting || (lapic_accepts_pic(vcpu) && pic_pending(vcpu->vm)))
		return true;
	vector = lapic_poll(vcpu, NULL);
	return vector >= 0 && !nested_is_notification(vcpu, vector);
}

/* Take it from its source, as the CPU's acknowledge cycle. -1: it is none any more. */
static int take_interrupt(struct emys_vcpu *vcpu)
{
	int vector;

	if (vcpu->ev.interrupt.waiting) {
		vcpu->ev.interrupt.waiting = false;
		return vcpu->ev.interrupt.waiting_nr;
	}
	if (!vcpu->lapic) {
		vcpu->vmx.user_irq_valid = false;
		return vcpu->vmx.user_irq;
	}
	if (lapic_accepts_pic(vcpu) && pic_pending(vcpu->vm))
		return pic_ack(vcpu->vm);
	vector = lapic_poll(vcpu, NULL);
	if (vector < 0 || nested_is_notification(vcpu, vector))
		return -1;
	lapic_ack(vcpu, vector);
	return vector;
}

static bool nmi_waits(struct emys_vcpu *vcpu)
{
	return vcpu->ev.nmi_pending || atomic_read(&vcpu->nmi_queued);
}

/* An exception of emys's making for L2, which L1 wants to see. */
static bool exception_waits(struct emys_vcpu *vcpu)
{
	const struct emys_events *ev = &vcpu->ev;

	return ev->exception.pending &&
	       nested_exception_exits(vcpu->nested->v12, ev->exception.nr,
				      ev->exception.has_error ? ev->exception.error : 0);
}

static bool init_waits(const struct emys_vcpu *vcpu)
{
	return vcpu->lapic && READ_ONCE(vcpu->lapic->events);
}

/* Is something here that is a VM exit to L1? */
static bool exit_waits(struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	return init_waits(vcpu) || exception_waits(vcpu) || vcpu->nested->mtf_due ||
	       (nmi_waits(vcpu) && n12_pin(v, PIN_BASED_NMI_EXITING)) ||
	       (n12_pin(v, PIN_BASED_EXT_INTR_MASK) && interrupt_waits(vcpu));
}

/* Something has been delivered in part: it comes first. */
static bool delivery_open(const struct emys_vcpu *vcpu)
{
	const struct emys_events *ev = &vcpu->ev;

	return vcpu->nested->entry_pending || ev->exception.injected || ev->interrupt.injected ||
	       ev->nmi_injected;
}

/* A trap of the last instruction's, which the CPU delivers: MOV to SS and POP SS put it off. */
static bool debug_trap_waits(struct emys_vcpu *vcpu)
{
	u64 pending;

	vmx_vmcs_get(vcpu);
	pending = vmcs_readl(GUEST_PENDING_DBG_EXCEPTIONS);
	vmx_vmcs_put(vcpu);
	return (pending & (PENDING_BREAKPOINT | PENDING_STEP)) &&
	       !(vmx_intr_shadow(vcpu) & GUEST_INTR_STATE_MOV_SS);
}

/*
 * Is there what L2 has to see before interrupts, NMIs and the timer are looked at? Debug traps come
 * after the monitor trap flag, and stay pending for L1 to see.
 */
static bool l2_comes_first(struct emys_vcpu *vcpu)
{
	if (delivery_open(vcpu))
		return true;
	if (exception_waits(vcpu))
		return false;
	return vcpu->ev.exception.pending || (!vcpu->nested->mtf_due && debug_trap_waits(vcpu));
}

/* The windows are the CPU's business but in HLT, where it never is. 0: none opens. */
static u32 window_in_halt(struct emys_vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested->v12;

	if (vcpu->mp_state != KVM_MP_STATE_HALTED)
		return 0;
	if (n12_proc(v, CPU_BASED_NMI_WINDOW_EXITING) &&
	    !(vmx_intr_shadow(vcpu) & GUEST_INTR_STATE_NMI))
		return EXIT_REASON_NMI_WINDOW;
	if (n12_proc(v, CPU_BASED_INTR_WINDOW_EXITING) && vmx_interrupt_allowed(vcpu))
		return EXIT_REASON_INTERRUPT_WINDOW;
	return 0;
}

bool nested_halt_exits(struct emys_vcpu *vcpu)
{
	return vcpu->nested->mtf_due || window_in_halt(vcpu);
}

void nested_trap(struct emys_vcpu *vcpu)
{
	vcpu->nested->mtf_due = true;
	vcpu->vmx.events_check = true;
}

static void exit_for_exception(struct emys_vcpu *vcpu)
{
	const struct emys_events *ev = &vcpu->ev;
	u32 info = ev->exception.nr | INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION;
	u64 qual = 0;

	if (ev->exception.nr == X86_TRAP_BP || ev->exception.nr == X86_TRAP_OF)
		info = (info & ~INTR_INFO_INTR_TYPE_MASK) | INTR_TYPE_SOFT_EXCEPTION;
	if (ev->exception.has_error)
		info |= INTR_INFO_DELIVER_CODE_MASK;
	/* "IDT-Vectoring Information": a double fault is not told what it came of. */
	if (ev->exception.nr == X86_TRAP_DF)
		vcpu->vmx.exit.idt_info = 0;
	/* L1 is told, and L2's registers stay as they were. */
	if (ev->exception.has_payload)
		qual = ev->exception.payload;
	else if (ev->exception.nr == X86_TRAP_PF)
		qual = vcpu->cr2;
	else if (ev->exception.nr == X86_TRAP_DB)
		qual = vcpu->dr.dr6 & (0xf | BIT(13) | BIT(14));
	nested_exit(vcpu, EXIT_REASON_EXCEPTION_NMI, qual, info,
		    ev->exception.has_error ? (u16)ev->exception.error : 0);
}

static void exit_for_nmi(struct emys_vcpu *vcpu)
{
	struct emys_events *ev = &vcpu->ev;

	ev->nmi_pending = min_t(u32, 2, ev->nmi_pending + atomic_xchg(&vcpu->nmi_queued, 0));
	ev->nmi_pending--;
	nested_exit(vcpu, EXIT_REASON_EXCEPTION_NMI, 0,
		    X86_TRAP_NMI | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK, 0);
}

static void exit_for_interrupt(struct emys_vcpu *vcpu)
{
	u32 info = 0;
	int vector;

	if (vcpu->nested->v12->vm_exit_controls & VM_EXIT_ACK_INTR_ON_EXIT) {
		vector = take_interrupt(vcpu);
		if (vector < 0)
			return;
		info = vector | INTR_TYPE_EXT_INTR | INTR_INFO_VALID_MASK;
	}
	nested_exit(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT, 0, info, 0);
}

/* The exits that no instruction of L2 makes have nothing of one. */
static void forget_exit(struct emys_vcpu *vcpu)
{
	memset(&vcpu->vmx.exit, 0, sizeof(vcpu->vmx.exit));
}

/* An exit that has no more to say than its reason */
static void exit_plain(struct emys_vcpu *vcpu, u32 reason)
{
	forget_exit(vcpu);
	nested_exit(vcpu, reason, 0, 0, 0);
}

void nested_triple_fault(struct emys_vcpu *vcpu)
{
	exit_plain(vcpu, EXIT_REASON_TRIPLE_FAULT);
}

/* In the order of "Priority Among Simultaneous Events". True: L1 runs now. */
static bool take_exit(struct emys_vcpu *vcpu)
{
	struct vmcs12 *v = vcpu->nested->v12;

	if (exception_waits(vcpu)) {
		exit_for_exception(vcpu);
	} else if (vcpu->nested->mtf_due) {
		exit_plain(vcpu, EXIT_REASON_MONITOR_TRAP_FLAG);
	} else if (nested_timer_expired(vcpu)) {
		exit_plain(vcpu, EXIT_REASON_PREEMPTION_TIMER);
	} else if (nmi_waits(vcpu) && n12_pin(v, PIN_BASED_NMI_EXITING)) {
		forget_exit(vcpu);
		exit_for_nmi(vcpu);
	} else if (window_in_halt(vcpu)) {
		exit_plain(vcpu, window_in_halt(vcpu));
	} else if (n12_pin(v, PIN_BASED_EXT_INTR_MASK) && interrupt_waits(vcpu)) {
		forget_exit(vcpu);
		exit_for_interrupt(vcpu);
	}
	return !vcpu->vmx.l2;
}

/* SDM volume 3, "Other Causes of VM Exits": INIT signals, start-up IPIs. */
void nested_accept_events(struct emys_vcpu *vcpu)
{
	bool waits = vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED;
	struct emys_lapic *l = vcpu->lapic;

	if (!vcpu->vmx.l2) {
		clear_bit(LAPIC_EV_SIPI, &l->events);
		return;
	}
	if (delivery_open(vcpu) || vcpu->ev.exception.pending)
		return;
	/* One that waits for a SIPI is where an INIT would bring it. */
	if (test_and_clear_bit(LAPIC_EV_INIT, &l->events) && !waits) {
		exit_plain(vcpu, EXIT_REASON_INIT_SIGNAL);
		return;
	}
	if (test_and_clear_bit(LAPIC_EV_SIPI, &l->events) && waits) {
		smp_rmb();	/* pairs with accept() */
		forget_exit(vcpu);
		nested_exit(vcpu, EXIT_REASON_SIPI_SIGNAL, READ_ONCE(l->sipi_vector), 0, 0);
	}
}

/* As nested_pages_get(), where it is needed. */
static int renew_pages(struct emys_vcpu *vcpu)
{
	int r;

	if (nested_pages_valid(vcpu))
		return 0;
	r = nested_pages_get(vcpu);
	if (r)
		return r;
	vmx_vmcs_get(vcpu);
	nested_pages_load(vcpu);
	vmx_vmcs_put(vcpu);
	return 0;
}

void nested_before_halt(struct emys_vcpu *vcpu)
{
	/* What cannot be had is told when L2 is to run. */
	renew_pages(vcpu);
	/* Read from the VMCS, which a sleeper cannot. */
	nested_virtual_interrupt(vcpu);
}

bool nested_halt_ends(struct emys_vcpu *vcpu)
{
	int r;

	if (delivery_open(vcpu))
		return true;
	r = renew_pages(vcpu);
	if (r)
		return r != -EAGAIN;
	nested_take_posted(vcpu);
	return take_exit(vcpu) || emys_vcpu_runnable(vcpu);
}

int nested_before_section(struct emys_vcpu *vcpu)
{
	int r;

	/* What was refused before is over, by the VMM's KVM_TRANSLATE say. */
	vcpu->nested->refused.reason = 0;
	if ((exit_waits(vcpu) || nested_timer_expired(vcpu)) && !l2_comes_first(vcpu) &&
	    take_exit(vcpu))
		return EMYS_RESUME;
	r = renew_pages(vcpu);
	/* Memory that L1 gave the CPU is gone: there is no going on with it. */
	if (r == -EFAULT || r == -ENXIO)
		return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
	/* The host is busy with a page: no entry, and the next round asks again. */
	if (r == -EAGAIN)
		return EMYS_RESUME;
	return r ? r : EMYS_RESUME;
}

bool nested_before_entry(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	if (!nested_pages_valid(vcpu))
		return false;
	nested_timer_load(vcpu);
	if (!vcpu->vmx.events_check)
		return true;
	nested_take_posted(vcpu);
	if (!exit_waits(vcpu))
		return true;
	if (!l2_comes_first(vcpu))
		return false;
	/* After the delivery, before L2's next instruction: an interrupt of the host's is there. */
	n->exit_put_off = true;
	smp_send_reschedule(smp_processor_id());
	return true;
}

void nested_entered(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	n->entry_pending = false;
	n->mtf_due = false;
	n->status_read = false;
	vcpu->vmx.inject_raw = false;
	if (n->exit_put_off) {
		n->exit_put_off = false;
		vcpu->vmx.events_check = true;
	}
}
