// SPDX-License-Identifier: GPL-2.0-only
/* Failure reports: why a vCPU stopped, in words, and its registers. */
#include <stdio.h>

#include "util.h"
#include "vcpu.h"

static const char *const exit_names[] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq-window",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "fail-entry",
	[KVM_EXIT_INTR] = "intr",
	[KVM_EXIT_SET_TPR] = "set-tpr",
	[KVM_EXIT_TPR_ACCESS] = "tpr-access",
	[KVM_EXIT_NMI] = "nmi",
	[KVM_EXIT_INTERNAL_ERROR] = "internal-error",
	[KVM_EXIT_SYSTEM_EVENT] = "system-event",
	[KVM_EXIT_IOAPIC_EOI] = "ioapic-eoi",
	[KVM_EXIT_HYPERV] = "hyperv",
	[KVM_EXIT_X86_RDMSR] = "rdmsr",
	[KVM_EXIT_X86_WRMSR] = "wrmsr",
	[KVM_EXIT_DIRTY_RING_FULL] = "dirty-ring-full",
	[KVM_EXIT_X86_BUS_LOCK] = "bus-lock",
	[KVM_EXIT_NOTIFY] = "notify",
};

const char *vcpu_exit_name(unsigned int reason, char *buf, size_t size)
{
	if (reason < ARRAY_SIZE(exit_names) && exit_names[reason])
		return exit_names[reason];
	snprintf(buf, size, "exit-%u", reason);
	return buf;
}

/*
 * Either the exit reason of a failed entry (bit 31 set), or the number of the
 * VM-instruction error. Intel SDM volume 3, "VM-Instruction Error Numbers" and
 * "VMX Basic Exit Reasons".
 */
const char *report_entry_reason(uint64_t reason)
{
	if (reason & 0x80000000) {
		switch (reason & 0xffff) {
		case 33:
			return "invalid guest state";
		case 34:
			return "loading the guest's MSRs failed";
		case 41:
			return "machine check during the entry";
		default:
			return "unknown kind of failed entry";
		}
	}
	switch (reason) {
	case 4:
		return "VMLAUNCH with a VMCS that is not clear";
	case 5:
		return "VMRESUME with a VMCS that was not launched";
	case 7:
		return "invalid control field";
	case 8:
		return "invalid host-state field";
	case 26:
		return "events blocked by MOV SS";
	case 0xffffffff:
		return "VMfailInvalid: no current VMCS";
	default:
		return "unknown VM-instruction error";
	}
}

const char *report_internal_reason(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "an instruction could not be emulated";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "exceptions at the same time";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an exit while an event was being delivered";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "an exit reason the hypervisor does not know";
	default:
		return "unknown suberror";
	}
}

static void print_segment(const char *name, const struct kvm_segment *s)
{
	say("  %-4s %04x base %016llx limit %08x type %x s %u dpl %u p %u l %u db %u g %u\n",
	    name, s->selector, (unsigned long long)s->base, s->limit, s->type,
	    s->s, s->dpl, s->present, s->l, s->db, s->g);
}

static void print_regs(const struct kvm_regs *r)
{
	const struct { const char *name; uint64_t v; } list[] = {
		{ "rax", r->rax }, { "rbx", r->rbx }, { "rcx", r->rcx },
		{ "rdx", r->rdx }, { "rsi", r->rsi }, { "rdi", r->rdi },
		{ "rbp", r->rbp }, { "rsp", r->rsp }, { "r8", r->r8 },
		{ "r9", r->r9 }, { "r10", r->r10 }, { "r11", r->r11 },
		{ "r12", r->r12 }, { "r13", r->r13 }, { "r14", r->r14 },
		{ "r15", r->r15 }, { "rip", r->rip }, { "flg", r->rflags },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		say("  %-3s %016llx%s", list[i].name,
		    (unsigned long long)list[i].v, i % 3 == 2 ? "\n" : "");
}

static void print_sregs(const struct kvm_sregs *s)
{
	print_segment("cs", &s->cs);
	print_segment("ss", &s->ss);
	print_segment("ds", &s->ds);
	print_segment("es", &s->es);
	print_segment("fs", &s->fs);
	print_segment("gs", &s->gs);
	print_segment("tr", &s->tr);
	print_segment("ldt", &s->ldt);
	say("  gdt  %016llx limit %04x  idt %016llx limit %04x\n",
	    (unsigned long long)s->gdt.base, s->gdt.limit,
	    (unsigned long long)s->idt.base, s->idt.limit);
	say("  cr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx efer %llx apic %llx\n",
	    (unsigned long long)s->cr0, (unsigned long long)s->cr2,
	    (unsigned long long)s->cr3, (unsigned long long)s->cr4,
	    (unsigned long long)s->cr8, (unsigned long long)s->efer,
	    (unsigned long long)s->apic_base);
}

/* The bytes at RIP, where it is mapped and in guest memory. */
static void print_code(struct vcpu *vcpu, uint64_t linear)
{
	struct kvm_translation tr = { .linear_address = linear };
	const uint8_t *code;
	char line[16 * 3 + 1];

	if (kvm_ioctl(vcpu->fd, KVM_TRANSLATE, &tr) < 0 || !tr.valid)
		return;
	code = guest_mem_ptr(&vcpu->vm->mem, tr.physical_address, 16);
	if (!code)
		return;
	for (unsigned int i = 0; i < 16; i++)
		snprintf(line + 3 * i, 4, " %02x", code[i]);
	say("  code%s\n", line);
}

void report_vcpu(struct vcpu *vcpu, const char *what)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	console_flush(&vcpu->vm->console);
	msg("%s: vCPU %u: %s", vcpu->vm->cfg->name, vcpu->id, what);
	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
	    kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
		say("  (registers cannot be read)\n");
		return;
	}
	print_regs(&regs);
	print_sregs(&sregs);
	print_code(vcpu, sregs.cs.base + regs.rip);
}
