// SPDX-License-Identifier: GPL-2.0-only
/* What each exit means: a table for the run section, a table for after it. */
#include <linux/kvm_para.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include <linux/mm.h>
#include <asm/io.h>
#include <asm/trapnr.h>

#include "../compat/mce.h"
#include "../compat/splitlock.h"
#include "../emys.h"
#include "internal.h"

typedef int (*exit_fn)(struct emys_vcpu *vcpu);

int vmx_internal_error(struct emys_vcpu *vcpu, u32 suberror)
{
	struct kvm_run *run = vcpu->run;

	if (unlikely(vcpu->vmx.l2) && nested_access_exits(vcpu))
		return EMYS_RESUME;
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = 4;
	run->internal.data[0] = vcpu->vmx.exit.reason;
	run->internal.data[1] = vcpu->vmx.exit.qual;
	run->internal.data[2] = vcpu->vmx.exit.gpa;
	run->internal.data[3] = vmx_rip(vcpu);
	return EMYS_USER;
}

/* -- in the section: interrupts off, VMCS current ------------------------- */

/* Does the guest itself have alignment checked? "Interrupt 17—Alignment Check Exception". */
static bool checks_alignment(struct emys_vcpu *vcpu)
{
	return vmx_get_cpl(vcpu) == 3 && (vmx_get_cr0(vcpu) & X86_CR0_AM) &&
	       (vmx_rflags(vcpu) & X86_EFLAGS_AC);
}

static int fast_exception_nmi(struct emys_vcpu *vcpu)
{
	u32 info = vmcs_read32(VM_EXIT_INTR_INFO), vector = info & INTR_INFO_VECTOR_MASK;
	u64 qual;

	vcpu->vmx.exit.intr_info = info;
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR) {
		/* NMIs stay blocked until the handler's IRET, as if taken directly. */
		asm volatile("int $2");
		return EMYS_RESUME;
	}
	switch (vector) {
	case 18:
		compat_machine_check();
		vmx_events_runs_again(vcpu, info);
		return EMYS_RESUME;
	case 1:
		/* The exit leaves DR6 alone and reports what it would have got. */
		qual = vmcs_readl(EXIT_QUALIFICATION);
		if (vcpu->debug.control && vmx_debug_takes_db(vcpu, qual)) {
			vmx_events_runs_again(vcpu, info);
			return VMX_EXIT_PENDING;
		}
		vmx_debug_report(vcpu, qual);
		/* INT1 is a trap: what it pushes is the next instruction. */
		if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
			vmx_set_rip(vcpu, vmx_rip(vcpu) + vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
		vmx_queue_exception(vcpu, 1, false, 0);
		return EMYS_RESUME;
	case X86_TRAP_AC:
		/*
		 * Else it is the host that has split locks raise it; an IRET locks the
		 * descriptors that it marks as accessed.
		 */
		if (!checks_alignment(vcpu)) {
			vmx_events_runs_again(vcpu, info);
			return VMX_EXIT_PENDING;
		}
		vmx_queue_exception(vcpu, X86_TRAP_AC, true, 0);
		return EMYS_RESUME;
	}
	return VMX_EXIT_PENDING;
}

static int fast_external_interrupt(struct emys_vcpu *vcpu)
{
	/* Not acknowledged: the host takes it when interrupts go on. */
	return VMX_EXIT_HOST_IRQ;
}

static int fast_window(struct emys_vcpu *vcpu)
{
	vcpu->vmx.events_check = true;
	/* Without an APIC the VMM may have asked to be told. */
	return vcpu->lapic ? EMYS_RESUME : VMX_EXIT_LEAVE;
}

static int fast_cpuid(struct emys_vcpu *vcpu)
{
	/* SDM volume 3, "CPUID faulting" */
	if (unlikely(vcpu->msrs.misc_features) && vmx_get_cpl(vcpu)) {
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	cpuid_emulate(vcpu);
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static int fast_hlt(struct emys_vcpu *vcpu)
{
	bool l2 = vcpu->vmx.l2;

	vmx_skip(vcpu);
	if (unlikely(l2)) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		if (nested_halt_exits(vcpu))
			return VMX_EXIT_LEAVE;
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	}
	if (!vcpu->lapic)
		return l2 && nested_virtual_interrupt(vcpu) ? EMYS_RESUME : VMX_EXIT_PENDING;
	vcpu->stats.halts++;
	if ((!l2 || nested_take_posted(vcpu)) && emys_vcpu_runnable(vcpu)) {
		vcpu->vmx.events_check = true;
		return EMYS_RESUME;
	}
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	return VMX_EXIT_LEAVE;
}

static int fast_vmcall(struct emys_vcpu *vcpu)
{
	u64 nr = vcpu->regs[0];
	long ret = -KVM_ENOSYS;

	if (vmx_get_cpl(vcpu))
		ret = -KVM_EPERM;
	else if (nr == KVM_HC_VAPIC_POLL_IRQ)
		ret = 0;
	vcpu->regs[0] = vmx_is_64bit(vcpu) ? (u64)ret : (u32)ret;
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static int fast_skip(struct emys_vcpu *vcpu)
{
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static int fast_gp(struct emys_vcpu *vcpu)
{
	vmx_inject_gp(vcpu);
	return EMYS_RESUME;
}

static int fast_ud(struct emys_vcpu *vcpu)
{
	vmx_inject_ud(vcpu);
	return EMYS_RESUME;
}

/* Nothing is waited for: what was to be seen may have been written already. */
static int fast_mwait(struct emys_vcpu *vcpu)
{
	if (!vcpu->feat.has_mwait && !emys_quirk(vcpu->vm, KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS))
		return fast_ud(vcpu);
	return fast_skip(vcpu);
}

static int fast_pause(struct emys_vcpu *vcpu)
{
	/* PAUSE-loop exiting: somebody else should run. The exit is before the instruction. */
	vmx_skip(vcpu);
	return VMX_EXIT_PENDING;
}

static int fast_xsetbv(struct emys_vcpu *vcpu)
{
	u64 val = (u32)vcpu->regs[0] | vcpu->regs[2] << 32;

	if (vmx_get_cpl(vcpu) || fpu_set_xcr(vcpu, (u32)vcpu->regs[1], val)) {
		vmx_inject_gp(vcpu);
		return EMYS_RESUME;
	}
	vmx_skip(vcpu);
	/* The section loaded the old XCR0. */
	return VMX_EXIT_LEAVE;
}

static int fast_cr(struct emys_vcpu *vcpu)
{
	/* Only PAE paging reads guest memory here, which sleeps. */
	if (!(vcpu->msrs.efer & EFER_LMA))
		return VMX_EXIT_PENDING;
	vcpu->vmx.exit.qual = vmcs_readl(EXIT_QUALIFICATION);
	return vmx_handle_cr(vcpu) == EMYS_RESUME ? EMYS_RESUME : VMX_EXIT_PENDING;
}

static int fast_tpr(struct emys_vcpu *vcpu)
{
	vcpu->vmx.events_check = true;
	return EMYS_RESUME;
}

static int fast_apic_write(struct emys_vcpu *vcpu)
{
	/* Trap-like: the page has the value and RIP is past the instruction. */
	lapic_written(vcpu, vmcs_readl(EXIT_QUALIFICATION) & 0xff0);
	return EMYS_RESUME;
}

static int fast_eoi(struct emys_vcpu *vcpu)
{
	lapic_eoi_exit(vcpu, vmcs_readl(EXIT_QUALIFICATION) & 0xff);
	return EMYS_RESUME;
}

static int fast_apic_access(struct emys_vcpu *vcpu)
{
	u64 qual = vmcs_readl(EXIT_QUALIFICATION);

	/* EOI: whatever is written, so the instruction need not be read. */
	if ((qual & 0xffff) != (0x1000 | 0xb0) || (vcpu->vmx.exit.idt_info & BIT(31)))
		return VMX_EXIT_PENDING;
	lapic_write(vcpu, 0xb0, 0);
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static const exit_fn fast_exits[] = {
	[EXIT_REASON_EXCEPTION_NMI] = fast_exception_nmi,
	[EXIT_REASON_EXTERNAL_INTERRUPT] = fast_external_interrupt,
	[EXIT_REASON_INTERRUPT_WINDOW] = fast_window,
	[EXIT_REASON_NMI_WINDOW] = fast_window,
	[EXIT_REASON_CPUID] = fast_cpuid,
	[EXIT_REASON_HLT] = fast_hlt,
	[EXIT_REASON_INVD] = fast_skip,
	[EXIT_REASON_RDPMC] = fast_gp,
	[EXIT_REASON_VMCALL] = fast_vmcall,
	[EXIT_REASON_VMCLEAR] = nested_fast_insn,
	[EXIT_REASON_VMLAUNCH] = nested_fast_insn,
	[EXIT_REASON_VMPTRLD] = nested_fast_insn,
	[EXIT_REASON_VMPTRST] = nested_fast_insn,
	[EXIT_REASON_VMREAD] = nested_fast_insn,
	[EXIT_REASON_VMRESUME] = nested_fast_insn,
	[EXIT_REASON_VMWRITE] = nested_fast_insn,
	[EXIT_REASON_VMOFF] = nested_fast_insn,
	[EXIT_REASON_VMON] = nested_fast_insn,
	[EXIT_REASON_CR_ACCESS] = fast_cr,
	[EXIT_REASON_DR_ACCESS] = vmx_handle_dr,
	[EXIT_REASON_IO_INSTRUCTION] = vmx_fast_io,
	[EXIT_REASON_MSR_READ] = vmx_fast_rdmsr,
	[EXIT_REASON_MSR_WRITE] = vmx_fast_wrmsr,
	[EXIT_REASON_MWAIT_INSTRUCTION] = fast_mwait,
	[EXIT_REASON_MONITOR_INSTRUCTION] = fast_mwait,
	[EXIT_REASON_PAUSE_INSTRUCTION] = fast_pause,
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = fast_tpr,
	[EXIT_REASON_APIC_ACCESS] = fast_apic_access,
	[EXIT_REASON_EOI_INDUCED] = fast_eoi,
	[EXIT_REASON_WBINVD] = fast_skip,
	[EXIT_REASON_XSETBV] = fast_xsetbv,
	[EXIT_REASON_APIC_WRITE] = fast_apic_write,
	[EXIT_REASON_INVEPT] = nested_fast_insn,
	[EXIT_REASON_INVVPID] = nested_fast_insn,
	[EXIT_REASON_INVPCID] = fast_ud,
	[EXIT_REASON_RDTSCP] = fast_ud,
	[EXIT_REASON_VMFUNC] = fast_ud,
	[EXIT_REASON_ENCLS] = fast_ud,
	[EXIT_REASON_XSAVES] = fast_ud,
	[EXIT_REASON_XRSTORS] = fast_ud,
};

#define C(n) EMYS_EXIT_##n
const u8 vmx_exit_classes[VMX_EXIT_CLASSES] = {
	[EXIT_REASON_EXCEPTION_NMI] = C(exception),
	[EXIT_REASON_EXTERNAL_INTERRUPT] = C(external_interrupt),
	[EXIT_REASON_TRIPLE_FAULT] = C(triple_fault),
	[EXIT_REASON_INIT_SIGNAL] = C(init),
	[EXIT_REASON_SIPI_SIGNAL] = C(sipi),
	[EXIT_REASON_INTERRUPT_WINDOW] = C(interrupt_window),
	[EXIT_REASON_NMI_WINDOW] = C(nmi_window),
	[EXIT_REASON_TASK_SWITCH] = C(task_switch),
	[EXIT_REASON_CPUID] = C(cpuid),
	[EXIT_REASON_HLT] = C(hlt),
	[EXIT_REASON_INVD] = C(invd),
	[EXIT_REASON_INVLPG] = C(invlpg),
	[EXIT_REASON_RDPMC] = C(rdpmc),
	[EXIT_REASON_RDTSC] = C(rdtsc),
	[EXIT_REASON_VMCALL] = C(vmcall),
	[EXIT_REASON_VMCLEAR] = C(vmclear),
	[EXIT_REASON_VMLAUNCH] = C(vmlaunch),
	[EXIT_REASON_VMPTRLD] = C(vmptrld),
	[EXIT_REASON_VMPTRST] = C(vmptrst),
	[EXIT_REASON_VMREAD] = C(vmread),
	[EXIT_REASON_VMRESUME] = C(vmresume),
	[EXIT_REASON_VMWRITE] = C(vmwrite),
	[EXIT_REASON_VMOFF] = C(vmxoff),
	[EXIT_REASON_VMON] = C(vmxon),
	[EXIT_REASON_CR_ACCESS] = C(cr),
	[EXIT_REASON_DR_ACCESS] = C(dr),
	[EXIT_REASON_IO_INSTRUCTION] = C(io),
	[EXIT_REASON_MSR_READ] = C(rdmsr),
	[EXIT_REASON_MSR_WRITE] = C(wrmsr),
	[EXIT_REASON_INVALID_STATE] = C(entry_failure),
	[EXIT_REASON_MSR_LOAD_FAIL] = C(entry_failure),
	[EXIT_REASON_MWAIT_INSTRUCTION] = C(mwait),
	[EXIT_REASON_MONITOR_TRAP_FLAG] = C(monitor_trap),
	[EXIT_REASON_MONITOR_INSTRUCTION] = C(monitor),
	[EXIT_REASON_PAUSE_INSTRUCTION] = C(pause),
	[EXIT_REASON_MCE_DURING_VMENTRY] = C(entry_failure),
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = C(tpr),
	[EXIT_REASON_APIC_ACCESS] = C(apic_access),
	[EXIT_REASON_EOI_INDUCED] = C(eoi),
	[EXIT_REASON_GDTR_IDTR] = C(descriptor),
	[EXIT_REASON_LDTR_TR] = C(descriptor),
	[EXIT_REASON_EPT_VIOLATION] = C(ept_violation),
	[EXIT_REASON_EPT_MISCONFIG] = C(ept_misconfig),
	[EXIT_REASON_INVEPT] = C(invept),
	[EXIT_REASON_RDTSCP] = C(rdtscp),
	[EXIT_REASON_PREEMPTION_TIMER] = C(preemption_timer),
	[EXIT_REASON_INVVPID] = C(invvpid),
	[EXIT_REASON_WBINVD] = C(wbinvd),
	[EXIT_REASON_XSETBV] = C(xsetbv),
	[EXIT_REASON_APIC_WRITE] = C(apic_write),
	[EXIT_REASON_RDRAND] = C(random),
	[EXIT_REASON_INVPCID] = C(invpcid),
	[EXIT_REASON_VMFUNC] = C(vmfunc),
	[EXIT_REASON_RDSEED] = C(random),
	[EXIT_REASON_PML_FULL] = C(pml_full),
	[EXIT_REASON_XSAVES] = C(xsaves),
	[EXIT_REASON_XRSTORS] = C(xsaves),
};

#undef C

static int fast_exit(struct emys_vcpu *vcpu, u32 reason)
{
	int next;

	if (unlikely(reason >= ARRAY_SIZE(fast_exits)) || !fast_exits[reason])
		return VMX_EXIT_PENDING;
	next = fast_exits[reason](vcpu);
	if (unlikely(vcpu->vmx.shutdown))
		return VMX_EXIT_LEAVE;
	return next;
}

/* An exit of L2. One that is not finished is counted by who finishes it. */
static int fast_nested_exit(struct emys_vcpu *vcpu, u32 reason)
{
	int next = nested_fast_exit(vcpu, reason);

	if (next != NESTED_L0)
		return unlikely(vcpu->vmx.shutdown) ? VMX_EXIT_LEAVE : next;
	next = fast_exit(vcpu, reason);
	if (next == EMYS_RESUME)
		vmx_count_exit(&vcpu->stats.nested_fast_other, reason);
	else if (next != VMX_EXIT_PENDING)
		vmx_count_exit(&vcpu->stats.nested_slow_other, reason);
	return next;
}

int vmx_fast_exit(struct emys_vcpu *vcpu, u32 reason)
{
	if (unlikely(vcpu->vmx.l2))
		return fast_nested_exit(vcpu, reason);
	vmx_count_exit(&vcpu->stats.exit_other, reason);
	return fast_exit(vcpu, reason);
}

/* -- after the section: may sleep ----------------------------------------- */

static int handle_triple_fault(struct emys_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return EMYS_USER;
}

static int handle_hlt(struct emys_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return EMYS_USER;
}

static int handle_exception(struct emys_vcpu *vcpu)
{
	if ((vcpu->vmx.exit.intr_info & INTR_INFO_VECTOR_MASK) != X86_TRAP_AC)
		return vmx_handle_debug(vcpu);
	if (compat_guest_split_lock(vmx_rip(vcpu)))
		return EMYS_RESUME;
	vcpu->run->exit_reason = KVM_EXIT_EXCEPTION;
	vcpu->run->ex.exception = X86_TRAP_AC;
	vcpu->run->ex.error_code = 0;
	return EMYS_USER;
}

/* Let the thread of @vcpu have the CPU, if it waits for one. */
static bool hand_over(struct emys_vcpu *vcpu)
{
	struct task_struct *task;
	bool done;

	rcu_read_lock();
	task = get_pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	rcu_read_unlock();
	if (!task)
		return false;
	done = yield_to(task, true) > 0;
	put_task_struct(task);
	return done;
}

/*
 * The guest spins, most likely for a vCPU that was preempted with a lock held.
 * cond_resched() would do nothing before the time slice is over, and a yield
 * to nobody in particular may be answered by another spinner: offer the CPU to
 * the vCPUs that want to run and do not, the next one first, so that spinners
 * pass it on in a circle.
 */
static int handle_pause(struct emys_vcpu *vcpu)
{
	struct emys_vm *vm = vcpu->vm;
	unsigned int i, nr = emys_nr_vcpus(vm);
	struct emys_vcpu *other;

	for (i = 1; i < nr; i++) {
		other = xa_load(&vm->vcpus, (vcpu->idx + i) % nr);
		if (READ_ONCE(other->mode) == EMYS_OUTSIDE &&
		    READ_ONCE(other->mp_state) == KVM_MP_STATE_RUNNABLE && hand_over(other))
			break;
	}
	return EMYS_RESUME;
}

static int handle_cr(struct emys_vcpu *vcpu)
{
	int next = EMYS_USER;

	/* MOV to CR8 without an APIC: the section did it and the VMM wants to know. */
	if (!vcpu->vmx.tpr_exit)
		next = vmx_handle_cr(vcpu);
	vcpu->vmx.tpr_exit = false;
	return next;
}

/*
 * The page that the CPU watches for APIC accesses has to be mapped for that. 0: it is;
 * 1: it must not be.
 */
static int map_apic_access(struct emys_vcpu *vcpu)
{
	struct emys_mem *mem = &vcpu->vm->mem;
	struct ept_cache cache = { };
	int r;

	r = ept_cache_fill(&cache, EPT_CACHE_MAP);
	if (r)
		return r;
	read_lock(&mem->mmu_lock);
	if (vcpu->vm->vmx.apic_access_off)
		r = 1;
	else
		r = ept_map(&mem->ept, &cache, LAPIC_DEFAULT_BASE,
			    page_to_phys(vcpu->vm->vmx.apic_access), 1, EPT_R | EPT_W, EPT_MT_WB,
			    EPT_MAP_IPAT | EPT_MAP_ACCESSED | EPT_MAP_DIRTY);
	read_unlock(&mem->mmu_lock);
	ept_cache_drain(&cache);
	/* Busy: a slot came there meanwhile. */
	return r == -EEXIST || r == -EAGAIN || r == -EBUSY ? 0 : r;
}

static int handle_ept_violation(struct emys_vcpu *vcpu)
{
	struct vmx_exit *e = &vcpu->vmx.exit;
	u32 access = 0;
	int r;

	vmx_events_runs_again(vcpu, e->qual);
	if (e->qual & EPT_VIOLATION_ACC_READ)
		access |= MEM_FAULT_READ;
	if (e->qual & EPT_VIOLATION_ACC_WRITE)
		access |= MEM_FAULT_WRITE;
	if (e->qual & EPT_VIOLATION_ACC_INSTR)
		access |= MEM_FAULT_EXEC;
	r = mem_fault(vcpu, e->gpa, access);
	if (likely(r == MEM_MAPPED))
		return EMYS_RESUME;
	if (r != MEM_MMIO)
		return r;
	if ((e->gpa & PAGE_MASK) == LAPIC_DEFAULT_BASE &&
	    (vcpu->vmx.cur->exec2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)) {
		r = map_apic_access(vcpu);
		if (r != 1)
			return r ? r : EMYS_RESUME;
	}
	return vmx_handle_mmio(vcpu, e->gpa);
}

static int handle_apic_access(struct emys_vcpu *vcpu)
{
	return vmx_handle_mmio(vcpu, LAPIC_DEFAULT_BASE | (vcpu->vmx.exit.qual & 0xfff));
}

static int handle_ept_misconfig(struct emys_vcpu *vcpu)
{
	emys_vm_broken(vcpu->vm, "EPT misconfiguration at guest-physical 0x%llx",
		       vcpu->vmx.exit.gpa);
	return -EIO;
}

/* Every page that asks for the table has an entry there: it is ours, and broken. */
static int handle_spp(struct emys_vcpu *vcpu)
{
	emys_vm_broken(vcpu->vm, "SPP %s at guest-physical 0x%llx",
		       vcpu->vmx.exit.qual & BIT(11) ? "miss" : "misconfiguration",
		       vcpu->vmx.exit.gpa);
	return -EIO;
}

static const exit_fn slow_exits[] = {
	[EXIT_REASON_EXCEPTION_NMI] = handle_exception,
	[EXIT_REASON_TRIPLE_FAULT] = handle_triple_fault,
	[EXIT_REASON_TASK_SWITCH] = vmx_handle_task_switch,
	[EXIT_REASON_HLT] = handle_hlt,
	[EXIT_REASON_CR_ACCESS] = handle_cr,
	[EXIT_REASON_IO_INSTRUCTION] = vmx_handle_io,
	[EXIT_REASON_MSR_READ] = vmx_handle_msr,
	[EXIT_REASON_MSR_WRITE] = vmx_handle_msr,
	[EXIT_REASON_MONITOR_TRAP_FLAG] = vmx_handle_debug,
	[EXIT_REASON_PAUSE_INSTRUCTION] = handle_pause,
	[EXIT_REASON_VMCLEAR] = nested_slow_insn,
	[EXIT_REASON_VMLAUNCH] = nested_slow_insn,
	[EXIT_REASON_VMPTRLD] = nested_slow_insn,
	[EXIT_REASON_VMPTRST] = nested_slow_insn,
	[EXIT_REASON_VMREAD] = nested_slow_insn,
	[EXIT_REASON_VMRESUME] = nested_slow_insn,
	[EXIT_REASON_VMWRITE] = nested_slow_insn,
	[EXIT_REASON_VMOFF] = nested_slow_insn,
	[EXIT_REASON_VMON] = nested_slow_insn,
	[EXIT_REASON_INVEPT] = nested_slow_insn,
	[EXIT_REASON_INVVPID] = nested_slow_insn,
	[EXIT_REASON_APIC_ACCESS] = handle_apic_access,
	[EXIT_REASON_EPT_VIOLATION] = handle_ept_violation,
	[EXIT_REASON_EPT_MISCONFIG] = handle_ept_misconfig,
	[EXIT_REASON_SPP] = handle_spp,
};

static int handle_entry_failure(struct emys_vcpu *vcpu)
{
	u32 reason = vcpu->vmx.exit.reason;

	vcpu->stats.exit_entry_failure++;
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason =
		(u16)reason == 0xffff ? vcpu->vmx.exit.qual : reason;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return EMYS_USER;
}

int vmx_handle_exit(struct emys_vcpu *vcpu)
{
	u32 reason = vcpu->vmx.exit.reason;
	int next;

	if (unlikely(vcpu->vmx.l2)) {
		next = nested_slow_exit(vcpu);
		if (next != NESTED_L0)
			return next;
	}
	if (unlikely(reason & EMYS_EXIT_REASON_FAILED))
		return handle_entry_failure(vcpu);
	if (likely(reason < ARRAY_SIZE(slow_exits)) && slow_exits[reason])
		return slow_exits[reason](vcpu);
	return vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON);
}
