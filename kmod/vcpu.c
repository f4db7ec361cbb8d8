// SPDX-License-Identifier: GPL-2.0-only
/* The vCPU: its life, and the loop of KVM_RUN that asks the mechanisms in turn. */
#include <linux/mm.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/ipi.h"
#include "compat/resched.h"
#include "emys.h"

struct emys_vcpu *emys_vcpu_create(struct emys_vm *vm, u32 id)
{
	struct emys_vcpu *vcpu, *other;
	unsigned int i;
	int r;

	lockdep_assert_held(&vm->lock);
	if (id >= (vm->max_vcpu_id ?: EMYS_MAX_VCPU_ID) || vm->nr_vcpus >= EMYS_MAX_VCPUS)
		return ERR_PTR(-EINVAL);
	emys_for_each_vcpu(i, other, vm)
		if (other->id == id)
			return ERR_PTR(-EEXIST);

	vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->idx = vm->nr_vcpus;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	vcpu->mp_state = vm->irqchip && id != vm->bsp_id ? KVM_MP_STATE_UNINITIALIZED :
							   KVM_MP_STATE_RUNNABLE;
	r = -ENOMEM;
	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run || !vcpu->pio_data)
		goto err_pages;
	r = fpu_init(vcpu);
	if (r)
		goto err_pages;
	r = vmx_mmio_init(vcpu);
	if (r)
		goto err_fpu;
	if (vm->irqchip) {
		r = lapic_create(vcpu);
		if (r)
			goto err_mmio;
	}
	r = vmx_vcpu_init(vcpu);
	if (r)
		goto err_lapic;
	r = nested_vcpu_init(vcpu);
	if (r)
		goto err_vmx;
	cpuid_update(vcpu);
	msr_reset(vcpu, false);
	emys_vcpu_reset(vcpu, false);

	r = xa_err(xa_store(&vm->vcpus, vcpu->idx, vcpu, GFP_KERNEL_ACCOUNT));
	if (r)
		goto err_nested;
	/* Whoever sees the number finds the vCPU. */
	smp_store_release(&vm->nr_vcpus, vm->nr_vcpus + 1);
	return vcpu;

err_nested:
	nested_vcpu_destroy(vcpu);
err_vmx:
	vmx_vcpu_destroy(vcpu);
err_lapic:
	lapic_destroy(vcpu);
err_mmio:
	vmx_mmio_destroy(vcpu);
err_fpu:
	fpu_destroy(vcpu);
err_pages:
	free_page((unsigned long)vcpu->pio_data);
	free_page((unsigned long)vcpu->run);
	kfree(vcpu);
	return ERR_PTR(r);
}

void emys_vcpu_destroy(struct emys_vcpu *vcpu)
{
	lapic_destroy(vcpu);
	vmx_vcpu_destroy(vcpu);
	vmx_mmio_destroy(vcpu);
	fpu_destroy(vcpu);
	mem_vcpu_destroy(vcpu);
	kvfree(vcpu->cpuid);
	put_pid(rcu_dereference_protected(vcpu->pid, true));
	free_page((unsigned long)vcpu->pio_data);
	free_page((unsigned long)vcpu->run);
	kfree(vcpu);
}

void emys_vcpu_reset(struct emys_vcpu *vcpu, bool init)
{
	nested_leave(vcpu);
	vmx_vcpu_reset(vcpu, init);
	if (vcpu->lapic)
		lapic_reset(vcpu, init);
	if (!init)
		fpu_reset(vcpu);
	cpuid_update(vcpu);
}

void emys_vcpu_kick(struct emys_vcpu *vcpu)
{
	int me;

	rcuwait_wake_up(&vcpu->wait);
	me = get_cpu();
	/*
	 * On this CPU it is in its own section, before an entry: it looks by itself, and
	 * stays IN_GUEST, or who kicks it later would take the IPI for sent.
	 */
	if (smp_load_acquire(&vcpu->mode) == EMYS_IN_GUEST && READ_ONCE(vcpu->cpu) != me &&
	    cmpxchg(&vcpu->mode, EMYS_IN_GUEST, EMYS_EXITING) == EMYS_IN_GUEST)
		smp_send_reschedule(READ_ONCE(vcpu->cpu));
	put_cpu();
}

bool emys_vcpu_runnable(struct emys_vcpu *vcpu)
{
	struct emys_events *ev = &vcpu->ev;

	/* Until its SIPI an AP wakes for nothing else: what comes meanwhile waits. */
	if (vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED ||
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED)
		return vcpu->lapic && READ_ONCE(vcpu->lapic->events);
	if (atomic_read(&vcpu->nmi_queued) || ev->nmi_pending)
		return true;
	if (ev->exception.pending || ev->exception.injected)
		return true;
	if (unlikely(vcpu->vmx.l2) &&
	    (nested_timer_expired(vcpu) || nested_virtual_interrupt(vcpu) ||
	     nested_halt_exits(vcpu)))
		return true;
	if (!vcpu->lapic)
		return false;
	if (READ_ONCE(vcpu->lapic->events) && !nested_init_blocked(vcpu))
		return true;
	if (!(vcpu->vmx.l2 && nested_interrupt_exits(vcpu)) && !vmx_interrupt_allowed(vcpu))
		return false;
	if (ev->interrupt.waiting)
		return true;
	if (lapic_accepts_pic(vcpu) && pic_pending(vcpu->vm))
		return true;
	return lapic_has_work(vcpu);
}

void emys_vcpu_accept_events(struct emys_vcpu *vcpu)
{
	if (!vcpu->lapic || !READ_ONCE(vcpu->lapic->events))
		return;
	if (unlikely(nested_on(vcpu)))
		nested_accept_events(vcpu);
	else
		lapic_accept_events(vcpu);
}

/* Asleep until an event, a signal or a request that must be seen to. */
static void vcpu_block(struct emys_vcpu *vcpu)
{
	/* Read lazily from the VMCS, which a sleeper cannot: have it now. */
	vmx_interrupt_allowed(vcpu);
	if (unlikely(vcpu->vmx.l2)) {
		nested_before_halt(vcpu);
		nested_sleep_begins(vcpu);
	}
	rcuwait_wait_event(&vcpu->wait,
			   emys_vcpu_runnable(vcpu) || signal_pending(current) ||
			   (READ_ONCE(vcpu->requests) & ~BIT(EMYS_REQ_EVENT)),
			   TASK_INTERRUPTIBLE);
	if (unlikely(vcpu->vmx.l2))
		nested_sleep_ends(vcpu);
}

/* Not running: HLT, or an AP before its SIPI. EMYS_RESUME: look again. */
static void vcpu_idle(struct emys_vcpu *vcpu)
{
	emys_vcpu_accept_events(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_RUNNABLE)
		return;
	vcpu_block(vcpu);
	emys_vcpu_accept_events(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && emys_vcpu_runnable(vcpu)) {
		if (unlikely(vcpu->vmx.l2) && !nested_halt_ends(vcpu))
			return;
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		vcpu->stats.halt_wakeups++;
		emys_vcpu_request(vcpu, EMYS_REQ_EVENT);
	}
}

/* Requests that need more than the section can do. -EIO: the VM is dead. */
static int vcpu_requests(struct emys_vcpu *vcpu)
{
	if (!(READ_ONCE(vcpu->requests) & ~BIT(EMYS_REQ_EVENT)))
		return 0;
	if (test_bit(EMYS_REQ_DEAD, &vcpu->requests))
		return -EIO;
	emys_vcpu_take(vcpu, EMYS_REQ_KICK);
	if (emys_vcpu_take(vcpu, EMYS_REQ_TLB))
		vcpu->vmx.cur->tlb_cpu = -1;
	if (emys_vcpu_take(vcpu, EMYS_REQ_CLOCK))
		clock_update(vcpu);
	if (emys_vcpu_take(vcpu, EMYS_REQ_WALL_CLOCK))
		clock_write_wall(vcpu);
	if (emys_vcpu_take(vcpu, EMYS_REQ_EOIMAP))
		vmx_eoi_map_changed(vcpu);
	if (emys_vcpu_take(vcpu, EMYS_REQ_APICV) && vcpu->lapic) {
		vmx_apic_access_update(vcpu);
		vmx_apic_mode_changed(vcpu);
	}
	if (emys_vcpu_take(vcpu, EMYS_REQ_MSRS)) {
		vmx_pass_msrs(vcpu);
		nested_msrs_changed(vcpu);
	}
	if (emys_vcpu_take(vcpu, EMYS_REQ_NMI))
		vcpu->vmx.events_check = true;
	return 0;
}

static bool irq_window_open(struct emys_vcpu *vcpu)
{
	return !vcpu->vmx.user_irq_valid && !vcpu->ev.interrupt.injected &&
	       !vcpu->ev.interrupt.waiting && !vcpu->ev.exception.pending &&
	       !vcpu->ev.exception.injected && vmx_interrupt_allowed(vcpu);
}

/* What every return to the VMM tells beside the reason. */
static void publish(struct emys_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(vmx_get_rflags(vcpu) & X86_EFLAGS_IF);
	run->flags = 0;
	run->cr8 = vcpu->lapic ? lapic_get_cr8(vcpu) : vcpu->cr8;
	run->apic_base = vcpu->lapic ? vcpu->lapic->base : vcpu->msrs.apic_base;
	run->ready_for_interrupt_injection = vcpu->lapic || irq_window_open(vcpu);
}

static int vcpu_loop(struct emys_vcpu *vcpu)
{
	int next;

	for (;;) {
		next = vcpu_requests(vcpu);
		if (next)
			return next;
		if (unlikely(vcpu->vmx.shutdown)) {
			vcpu->vmx.shutdown = false;
			if (!vcpu->vmx.l2) {
				vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
				return 0;
			}
			nested_triple_fault(vcpu);
		}
		if (signal_pending(current)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			vcpu->stats.signal_exits++;
			return -EINTR;
		}
		emys_vcpu_accept_events(vcpu);
		if (unlikely(vcpu->mp_state != KVM_MP_STATE_RUNNABLE)) {
			vcpu_idle(vcpu);
			continue;
		}
		if (!vcpu->lapic && vcpu->run->request_interrupt_window && irq_window_open(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			return 0;
		}
		compat_resched();

		if (unlikely(vcpu->vmx.l2)) {
			next = nested_before_section(vcpu);
			if (next != EMYS_RESUME)
				return next;
		}
		/* An exit to L1 on the way was an abort. */
		if (unlikely(vcpu->vmx.shutdown))
			continue;
		next = vmx_run(vcpu);
		if (next == VMX_EXIT_PENDING)
			next = vmx_handle_exit(vcpu);
		if (next != EMYS_RESUME)
			return next;
	}
}

/* The thread may change: KVM_CAP users ask for its pid through debugfs and tracepoints. */
static void remember_thread(struct emys_vcpu *vcpu)
{
	struct pid *old = rcu_dereference_protected(vcpu->pid, lockdep_is_held(&vcpu->mutex));

	if (likely(old == task_pid(current)))
		return;
	rcu_assign_pointer(vcpu->pid, get_task_pid(current, PIDTYPE_PID));
	if (old) {
		synchronize_rcu();
		put_pid(old);
	}
}

/* KVM_CAP_SYNC_REGS. The VMM may write struct kvm_run meanwhile: what is checked is a copy. */
static int take_regs(struct emys_vcpu *vcpu, u64 dirty)
{
	struct kvm_sync_regs *sync = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int r;

	if (dirty & KVM_SYNC_X86_REGS) {
		memcpy(&regs, &sync->regs, sizeof(regs));
		vmx_set_regs(vcpu, &regs);
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		memcpy(&sregs, &sync->sregs, sizeof(sregs));
		r = vmx_set_sregs(vcpu, &sregs);
		if (r)
			return r;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		memcpy(&events, &sync->events, sizeof(events));
		r = vmx_set_events(vcpu, &events);
		if (r)
			return r;
	}
	vcpu->run->kvm_dirty_regs = 0;
	return 0;
}

static void give_regs(struct emys_vcpu *vcpu, u64 valid)
{
	struct kvm_sync_regs *sync = &vcpu->run->s.regs;

	if (valid & KVM_SYNC_X86_REGS)
		vmx_get_regs(vcpu, &sync->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		vmx_get_sregs(vcpu, &sync->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		vmx_get_events(vcpu, &sync->events);
}

int emys_vcpu_run(struct emys_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 valid = READ_ONCE(run->kvm_valid_regs), dirty = READ_ONCE(run->kvm_dirty_regs);
	sigset_t saved;
	int r;

	lockdep_assert_held(&vcpu->mutex);
	if (unlikely((valid | dirty) & ~(u64)KVM_SYNC_X86_VALID_FIELDS))
		return -EINVAL;
	if (unlikely(dirty)) {
		r = take_regs(vcpu, dirty);
		if (r)
			return r;
	}
	remember_thread(vcpu);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &saved);
	if (!vcpu->lapic) {
		vcpu->cr8 = READ_ONCE(run->cr8) & 15;
		vcpu->vmx.events_check = true;
	}

	r = EMYS_RESUME;
	if (vcpu->io.complete) {
		int (*complete)(struct emys_vcpu *vcpu) = vcpu->io.complete;

		vcpu->io.complete = NULL;
		r = complete(vcpu);
	}
	if (r == EMYS_RESUME) {
		if (READ_ONCE(run->immediate_exit)) {
			/* exit_reason stays: a VMM may look at the access it has completed */
			r = -EINTR;
		} else {
			run->exit_reason = KVM_EXIT_UNKNOWN;
			r = vcpu_loop(vcpu);
		}
	}
	if (!r)
		vcpu->stats.user_exits++;
	publish(vcpu);
	if (unlikely(valid))
		give_regs(vcpu, valid);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &saved, NULL);
	return r;
}
