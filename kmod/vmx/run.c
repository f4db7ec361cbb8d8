// SPDX-License-Identifier: GPL-2.0-only
/* The run section: FPU, VMX operation, host state, entry, and the exits that end here. */
#include <linux/sched/signal.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/mmu_context.h>
#include <asm/nospec-branch.h>
#include <asm/tlbflush.h>

#include "../compat/mce.h"
#include "../compat/mitigations.h"
#include "../compat/resched.h"
#include "../emys.h"
#include "entry.h"
#include "internal.h"
#include "own.h"
#include "rawmsr.h"
#include "usermsr.h"

/* What a section has to put back that the CPU does not do by itself. */
struct section {
	struct vmx_enter_args args;
	unsigned int enter_flags;
	u16 ds, es, fs, gs, ldt;
	bool spec_passed;	/* the guest wrote SPEC_CTRL by itself */
	u64 host_kernel_gs;
	u64 debugctl;
	u64 xcr0;			/* now in the CPU */
	u64 perf, pebs;			/* the host's, 0 = left alone */
};

/* The vCPU that ran last on this CPU, for IBPB; only compared, never followed. */
static DEFINE_PER_CPU(const void *, last_vcpu);

void vmx_forget_vcpu(const struct emys_vcpu *vcpu)
{
	int cpu;

	for_each_possible_cpu(cpu)
		cmpxchg(per_cpu_ptr(&last_vcpu, cpu), (const void *)vcpu, NULL);
}

static u32 host_spec_ctrl(void)
{
	return this_cpu_read(x86_spec_ctrl_current);
}

/* Host state of the current VMCS: what belongs to this CPU, then what belongs to this task. */
static void host_state(struct emys_vcpu *vcpu)
{
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;
	int cpu = smp_processor_id();
	unsigned long val;

	if (vmcs->cpu != cpu) {
		struct desc_ptr idt;
		u64 msr;

		store_idt(&idt);
		vmcs_writel(HOST_IDTR_BASE, idt.address);
		vmcs_writel(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
		vmcs_write16(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
		vmcs_writel(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
		rdmsrq(MSR_GS_BASE, msr);
		vmcs_writel(HOST_GS_BASE, msr);
		rdmsrq(MSR_IA32_SYSENTER_CS, msr);
		vmcs_write32(HOST_IA32_SYSENTER_CS, msr);
		rdmsrq(MSR_IA32_SYSENTER_ESP, msr);
		vmcs_writel(HOST_IA32_SYSENTER_ESP, msr);
		rdmsrq(MSR_IA32_SYSENTER_EIP, msr);
		vmcs_writel(HOST_IA32_SYSENTER_EIP, msr);
		rdmsrq(MSR_EFER, msr);
		vmcs_write64(HOST_IA32_EFER, msr);
		if (vmx_caps.exit & VM_EXIT_LOAD_IA32_PAT) {
			rdmsrq(MSR_IA32_CR_PAT, msr);
			vmcs_write64(HOST_IA32_PAT, msr);
		}
		vmcs_writel(HOST_CR0, read_cr0() & ~X86_CR0_TS);
		vmcs->cpu = cpu;
	}
	val = __read_cr3();
	if (val != vmcs->host_cr3) {
		vmcs_writel(HOST_CR3, val);
		vmcs->host_cr3 = val;
	}
	val = __read_cr4();
	if (val != vmcs->host_cr4) {
		vmcs_writel(HOST_CR4, val);
		vmcs->host_cr4 = val;
	}
	val = raw_rdmsr(MSR_FS_BASE);
	if (val != vmcs->host_fs_base) {
		vmcs_writel(HOST_FS_BASE, val);
		vmcs->host_fs_base = val;
	}
}

static void host_segments(struct section *s)
{
	savesegment(ds, s->ds);
	savesegment(es, s->es);
	savesegment(fs, s->fs);
	savesegment(gs, s->gs);
	store_ldt(s->ldt);
}

static void flush_ept(struct emys_vcpu *vcpu, u64 eptp)
{
	unsigned long type = vmx_caps.invept_context ? VMX_EPT_EXTENT_CONTEXT :
						       VMX_EPT_EXTENT_GLOBAL;

	if (vmx_insn_invept(type, eptp))
		emys_vm_broken(vcpu->vm, "INVEPT failed");
	vcpu->stats.tlb_flushes++;
}

/* The TLB holds nothing of this vCPU that the page tables no longer say. */
static void flush_tlb(struct emys_vcpu *vcpu)
{
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;
	int cpu = smp_processor_id();

	if (unlikely(vmcs->derived)) {
		if (mem_derived_behind(vmcs->derived))
			flush_ept(vcpu, mem_derived_eptp(vmcs->derived));
	} else {
		u64 *seen = this_cpu_ptr(vcpu->vm->vmx.seen_gen);
		u64 gen = ept_gen(&vcpu->vm->mem.ept);

		if (unlikely(*seen != gen)) {
			*seen = gen;
			flush_ept(vcpu, vmx_eptp(vcpu));
		}
	}
	/* Another CPU may have run this vCPU since: INVLPGs done there were not done here. */
	if (unlikely(vmcs->tlb_cpu != cpu)) {
		if (vmcs->vpid && vmx_insn_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vmcs->vpid, 0))
			emys_vm_broken(vcpu->vm, "INVVPID failed");
		vmcs->tlb_cpu = cpu;
	}
}

static void perf_host(struct vmx_vmcs *vmcs, u64 val)
{
	if (val == vmcs->host_perf)
		return;
	vmcs_write64(HOST_IA32_PERF_GLOBAL_CTRL, val);
	vmcs->host_perf = val;
}

/*
 * The host's performance counters stand still while the guest runs: they would count
 * what is not the host's, interrupt it, and write records (PEBS) to linear addresses that
 * are the guest's. Nobody else changes the MSR before the section is over.
 */
static void perf_off(struct emys_vcpu *vcpu, struct section *s)
{
	struct vmx_vmcs *vmcs = vcpu->vmx.cur;
	u64 val;

	s->perf = 0;
	s->pebs = 0;
	if (!vmx_caps.perf_global)
		return;
	val = raw_rdmsr(MSR_CORE_PERF_GLOBAL_CTRL);
	if (!vmx_caps.perf_load) {
		s->perf = val;
		if (val)
			raw_wrmsr(MSR_CORE_PERF_GLOBAL_CTRL, 0);
	} else {
		perf_host(vmcs, val);
	}
	/* Some CPUs go on with a record that had begun. */
	if (val && vmx_caps.pebs) {
		s->pebs = raw_rdmsr(MSR_IA32_PEBS_ENABLE);
		if (s->pebs)
			raw_wrmsr(MSR_IA32_PEBS_ENABLE, 0);
	}
}

static void perf_on(const struct section *s)
{
	if (unlikely(s->pebs))
		raw_wrmsr(MSR_IA32_PEBS_ENABLE, s->pebs);
	if (unlikely(s->perf))
		raw_wrmsr(MSR_CORE_PERF_GLOBAL_CTRL, s->perf);
}

static void mitigate_entry(struct emys_vcpu *vcpu, struct section *s)
{
	s->args.regs = vcpu->regs;
	s->args.spec_swap = false;
	s->spec_passed = vcpu->vmx.spec_ctrl_passed;
	s->enter_flags = 0;
	if (boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL)) {
		s->args.spec_host = host_spec_ctrl();
		s->args.spec_guest = vcpu->msrs.spec_ctrl;
		/* A guest that never wrote SPEC_CTRL runs with 0. */
		s->args.spec_swap = vcpu->vmx.spec_ctrl_passed || s->args.spec_host;
		if (s->args.spec_swap)
			s->enter_flags |= VMX_ENTER_SPEC_CTRL;
	}
	if (boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF) || boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF_VM))
		s->enter_flags |= VMX_ENTER_VERW;
	if (this_cpu_read(last_vcpu) != vcpu) {
		this_cpu_write(last_vcpu, vcpu);
		if (boot_cpu_has(X86_FEATURE_USE_IBPB))
			raw_wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	}
	/* Once per section: between entries of one section the host runs only emys. */
	if (boot_cpu_has_bug(X86_BUG_L1TF) && boot_cpu_has(X86_FEATURE_FLUSH_L1D) &&
	    compat_l1tf_flush_wanted())
		raw_wrmsr(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
}

static int section_enter(struct emys_vcpu *vcpu, struct section *s)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	int r;

	r = vmx_own_enter(vmx->cur->pa);
	vmx_own_set_vcpu(vcpu);
	if (unlikely(r)) {
		vmx_own_set_vcpu(NULL);
		vmx_own_leave(vmx->cur->pa);
		return r;
	}
	vmx->nest = 1;
	vmx->in_section = true;
	vmx->cur->launched = false;
	usermsr_enter(vcpu, vmx_own_resident());
	host_state(vcpu);
	host_segments(s);
	perf_off(vcpu, s);
	mitigate_entry(vcpu, s);
	s->host_kernel_gs = raw_rdmsr(MSR_KERNEL_GS_BASE);
	raw_wrmsr(MSR_KERNEL_GS_BASE, vcpu->msrs.kernel_gs_base);
	s->debugctl = raw_rdmsr(MSR_IA32_DEBUGCTLMSR);
	s->xcr0 = vmx_caps.host_xcr0 ? vcpu->fpu.xcr0 : 0;
	if (s->xcr0 != vmx_caps.host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, s->xcr0);
	if (vmx_caps.host_xss)
		raw_wrmsr(MSR_IA32_XSS, vcpu->msrs.xss);
	if (vmx->dr_wanted)
		vmx_dr_load(vcpu);
	vcpu->stats.sections++;
	return 0;
}

/* What every handler of an exit wants, and what its kind wants, while the VMCS is still current. */
static void exit_complete(struct emys_vcpu *vcpu)
{
	struct vmx_exit *e = &vcpu->vmx.exit;

	e->qual = vmcs_readl(EXIT_QUALIFICATION);
	e->insn_len = vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
	vmx_rip(vcpu);
	vmx_rflags(vcpu);
	vmx_intr_shadow(vcpu);
	/* IN and OUT of a register need no more; a string's bit of the qualification says so. */
	if (e->reason == EXIT_REASON_HLT ||
	    (e->reason == EXIT_REASON_IO_INSTRUCTION && !(e->qual & BIT(4))))
		return;
	e->insn_info = vmcs_read32(VMX_INSTRUCTION_INFO);
	e->gla = vmcs_readl(GUEST_LINEAR_ADDRESS);
	e->gpa = vmcs_read64(GUEST_PHYSICAL_ADDRESS);
	/* An EPT violation is most often a page to map, with no look at the registers. */
	if (e->reason == EXIT_REASON_EPT_VIOLATION || e->reason == EXIT_REASON_SPP)
		return;
	vmx_need(vcpu, VMX_AV_RSP | VMX_AV_CR0 | VMX_AV_CR3 | VMX_AV_CR4 | VMX_AV_CS | VMX_AV_SS);
}

static void section_leave(struct emys_vcpu *vcpu, struct section *s, bool complete)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	int cpu = smp_processor_id();

	if (complete)
		exit_complete(vcpu);
	if (vmx->dr_loaded)
		vmx_dr_save(vcpu);
	/* By what was loaded: the guest may have set another one since. */
	if (s->xcr0 != vmx_caps.host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vmx_caps.host_xcr0);
	if (vmx_caps.host_xss)
		raw_wrmsr(MSR_IA32_XSS, vmx_caps.host_xss);
	vcpu->msrs.kernel_gs_base = raw_rdmsr(MSR_KERNEL_GS_BASE);
	raw_wrmsr(MSR_KERNEL_GS_BASE, s->host_kernel_gs);
	if (s->spec_passed)
		vcpu->msrs.spec_ctrl = s->args.spec_guest;
	if (s->debugctl)
		raw_wrmsr(MSR_IA32_DEBUGCTLMSR, s->debugctl);
	perf_on(s);
	usermsr_leave();
	vmx->in_section = false;
	vmx->nest = 0;
	vmx_own_set_vcpu(NULL);
	if (unlikely(vmx->vmcs01.shadow_pa))
		vmx_insn_vmclear(vmx->vmcs01.shadow_pa);
	if (unlikely(vmx->other)) {
		vmx_insn_vmclear(vmx->other->pa);
		vmx->other = NULL;
	}
	vmx_own_leave(vmx->cur->pa);

	/* The exit left GDTR and TR with fixed limits, LDTR and the data segments empty. */
	load_fixmap_gdt(cpu);
	invalidate_tss_limit();
	if (unlikely(s->ldt))
		asm volatile("lldt %0" : : "m" (s->ldt));
	if (unlikely(s->ds | s->es)) {
		loadsegment(ds, s->ds);
		loadsegment(es, s->es);
	}
	if (unlikely(s->fs)) {
		loadsegment(fs, s->fs);
		raw_wrmsr(MSR_FS_BASE, vmx->cur->host_fs_base);
	}
	if (unlikely(s->gs)) {
		load_gs_index(s->gs);
		raw_wrmsr(MSR_KERNEL_GS_BASE, s->host_kernel_gs);
	}
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
}

static void write_dirty(struct emys_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (vmx->dirty & VMX_AV_RIP)
		vmcs_writel(GUEST_RIP, vmx->rip);
	if (vmx->dirty & VMX_AV_RSP)
		vmcs_writel(GUEST_RSP, vcpu->regs[4]);
	if (vmx->dirty & VMX_AV_RFLAGS)
		vmcs_writel(GUEST_RFLAGS, vmx->rflags);
	if (vmx->dirty & VMX_AV_INTR)
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, vmx->intr_shadow);
	vmx->dirty = 0;
}

void vmx_switch(struct emys_vcpu *vcpu, struct vmx_vmcs *to)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;

	if (vmx->dirty) {
		vmx_vmcs_get(vcpu);
		write_dirty(vcpu);
		vmx_vmcs_put(vcpu);
	}
	vmx->avail = 0;
	if (vmx->in_section) {
		if (vmx->other != to)
			to->launched = false;
		vmx->other = vmx->cur;
		vmx->cur = to;
		if (unlikely(vmx_insn_vmptrld(to->pa)))
			emys_vm_broken(vcpu->vm, "VMPTRLD failed");
		host_state(vcpu);
		if (vmx_caps.perf_load)
			perf_host(to, vmx->other->host_perf);
	} else {
		WARN_ON_ONCE(vmx->nest);
		vmx->cur = to;
	}
}

/*
 * A reason to leave the section before the next entry? Work that only waits for
 * the return to user space (TIF_NOTIFY_RESUME) is none: its handlers are not for
 * modules, and the next exit to the VMM runs it.
 */
static __always_inline bool must_leave(const struct emys_vcpu *vcpu)
{
	return (READ_ONCE(vcpu->requests) & ~BIT(EMYS_REQ_EVENT)) ||
	       (read_thread_flags() & (COMPAT_TIF_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL));
}

/* No entry: what it was to deliver is still to be delivered, or something else instead. */
static void not_injected(struct emys_vcpu *vcpu)
{
	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, 0);
	vcpu->vmx.injected = false;
	vcpu->vmx.events_check = true;
}

/* The guest's state is none a CPU can be in, or a machine check came first. */
static int enter_refused(struct emys_vcpu *vcpu)
{
	vcpu->vmx.cur->launched = false;
	not_injected(vcpu);
	if ((u16)vcpu->vmx.exit.reason != EXIT_REASON_MCE_DURING_VMENTRY)
		return VMX_EXIT_PENDING;
	/* The host's handler, on the CPU that has the error; then the guest again. */
	vcpu->stats.exit_entry_failure++;
	compat_machine_check();
	return VMX_EXIT_LEAVE;
}

static int enter_failed(struct emys_vcpu *vcpu)
{
	u32 err = vmcs_read32(VM_INSTRUCTION_ERROR);

	not_injected(vcpu);
	memset(&vcpu->vmx.exit, 0, sizeof(vcpu->vmx.exit));
	vcpu->vmx.exit.reason = EMYS_EXIT_REASON_FAILED | 0xffff;
	vcpu->vmx.exit.qual = err;
	pr_debug("VM entry failed, instruction error %u\n", err);
	return VMX_EXIT_PENDING;
}

/* Enter until something has to be done with interrupts on. */
static int section_run(struct emys_vcpu *vcpu, struct section *s)
{
	struct vmx_vcpu *vmx = &vcpu->vmx;
	unsigned int flags;
	int next;

	for (;;) {
		if (unlikely(must_leave(vcpu)))
			return EMYS_RESUME;
		if (emys_vcpu_take(vcpu, EMYS_REQ_EVENT))
			vmx->events_check = true;
		if (unlikely(vmx->l2) && !nested_before_entry(vcpu))
			return VMX_EXIT_LEAVE;
		if (vmx->events_check)
			vmx_events_before_entry(vcpu);
		if (vmx->dirty)
			write_dirty(vcpu);
		flush_tlb(vcpu);
		if (unlikely(vcpu->cr2 != read_cr2()))
			write_cr2(vcpu->cr2);

		flags = s->enter_flags;
		if (vmx->cur->launched)
			flags |= VMX_ENTER_RESUME;
		vmx->avail = 0;
		if (unlikely(vmx_enter(&s->args, flags)))
			return enter_failed(vcpu);
		vmx->cur->launched = true;
		vcpu->cr2 = read_cr2();
		vcpu->stats.exits++;

		vmx->exit.reason = vmcs_read32(VM_EXIT_REASON);
		if (unlikely(vmx->exit.reason & EMYS_EXIT_REASON_FAILED))
			return enter_refused(vcpu);
		if (unlikely(vmx->l2))
			nested_entered(vcpu);
		vmx_events_after_exit(vcpu);
		next = vmx_fast_exit(vcpu, vmx->exit.reason);
		if (next != EMYS_RESUME)
			return next;
		vcpu->stats.fast_exits++;
	}
}

/* Interrupt exits after which the FPU is given back, so that the host's softirqs get theirs. */
#define SECTIONS_PER_FPU	8

int vmx_run(struct emys_vcpu *vcpu)
{
	int next, left = SECTIONS_PER_FPU;
	struct section s;

	BUILD_BUG_ON(offsetof(struct vmx_enter_args, regs) != ARGS_REGS ||
		     offsetof(struct vmx_enter_args, spec_guest) != ARGS_SPEC_GUEST ||
		     offsetof(struct vmx_enter_args, spec_host) != ARGS_SPEC_HOST ||
		     offsetof(struct vmx_enter_args, spec_swap) != ARGS_SPEC_SWAP);

	kernel_fpu_begin_mask(0);
	fpu_load(vcpu);
	do {
		local_irq_disable();
		vcpu->cpu = smp_processor_id();
		/* Full barrier: whoever sets a request after it sees IN_GUEST and kicks. */
		smp_store_mb(vcpu->mode, EMYS_IN_GUEST);
		next = section_enter(vcpu, &s);
		if (likely(!next)) {
			next = section_run(vcpu, &s);
			section_leave(vcpu, &s, next == VMX_EXIT_PENDING);
		}
		/* Pairs with the acquire in emys_vm_kick_all_wait(): the section is over. */
		smp_store_release(&vcpu->mode, EMYS_OUTSIDE);
		local_irq_enable();
	} while (next == VMX_EXIT_HOST_IRQ && --left && !must_leave(vcpu));
	fpu_save(vcpu);
	kernel_fpu_end();

	return next == VMX_EXIT_HOST_IRQ || next == VMX_EXIT_LEAVE ? EMYS_RESUME : next;
}
