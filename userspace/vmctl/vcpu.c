// SPDX-License-Identifier: GPL-2.0-only
/* One virtual CPU and the thread that runs it. */
#include "vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout.h"
#include "stats.h"
#include "util.h"

#define MSR_IA32_MISC_ENABLE	0x1a0
#define MISC_ENABLE_FAST_STRING	1
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLED_WB		(1u << 11 | 6)

#define APIC_LVT_LINT0		0x350
#define APIC_LVT_LINT1		0x360
#define APIC_MODE_NMI		0x400
#define APIC_MODE_EXTINT	0x700

#define CR0_PE			(1ULL << 0)
#define CR0_ET			(1ULL << 4)
#define CR0_PG			(1ULL << 31)
#define CR4_PAE			(1ULL << 5)
#define EFER_LME		(1ULL << 8)
#define EFER_LMA		(1ULL << 10)

static int set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	const struct kvm_msr_entry entry = { .index = index, .data = value };
	uint64_t buf[(sizeof(struct kvm_msrs) + sizeof(entry)) / 8] = { 0 };
	struct kvm_msrs *msrs = (struct kvm_msrs *)buf;
	int rc;

	msrs->nmsrs = 1;
	memcpy(buf + sizeof(*msrs) / 8, &entry, sizeof(entry));
	rc = kvm_ioctl(vcpu->fd, KVM_SET_MSRS, msrs);
	if (rc == 1)
		return 0;
	msg("vCPU %u: cannot set MSR %#x to %#llx: %s", vcpu->id, index,
	    (unsigned long long)value, rc < 0 ? strerror(-rc) : "refused");
	return rc < 0 ? rc : -EINVAL;
}

/* What firmware leaves behind: the 8259 on LINT0, NMI on LINT1. */
static int set_lapic(struct vcpu *vcpu)
{
	struct kvm_lapic_state s;
	int rc;

	rc = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &s);
	if (rc < 0)
		goto fail;
	put_le32((uint8_t *)s.regs + APIC_LVT_LINT0,
		 vcpu->id ? 0x10000 | APIC_MODE_EXTINT : APIC_MODE_EXTINT);
	put_le32((uint8_t *)s.regs + APIC_LVT_LINT1, APIC_MODE_NMI);
	rc = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &s);
	if (rc >= 0)
		return 0;
fail:
	msg("vCPU %u: local APIC: %s", vcpu->id, strerror(-rc));
	return rc;
}

int vcpu_create(struct vm *vm, struct vcpu *vcpu, unsigned int id)
{
	int rc;

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->stats_fd = -1;
	vcpu->fd = kvm_ioctl_val(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0) {
		rc = vcpu->fd;
		msg("%s: cannot create vCPU %u: %s", vm->cfg->device, id,
		    strerror(-rc));
		return rc;
	}
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		rc = -errno;
		vcpu->run = NULL;
		msg("vCPU %u: cannot map its run area: %s", id, strerror(-rc));
		return rc;
	}
	vcpu->stats_fd = stats_open(vm->dev_fd, vcpu->fd);

	rc = cpuid_setup(vcpu);
	rc = rc ?: set_msr(vcpu, MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING);
	rc = rc ?: set_msr(vcpu, MSR_MTRR_DEF_TYPE, MTRR_ENABLED_WB);
	return rc ?: set_lapic(vcpu);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->run_size);
	if (vcpu->stats_fd >= 0)
		close(vcpu->stats_fd);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type,
				       bool code64)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = code64,
		.db = !code64,
	};
}

int vcpu_set_boot(struct vcpu *vcpu, const struct boot *boot)
{
	bool lm = boot->mode == BOOT_LONG;
	struct kvm_regs regs = {
		.rip = boot->rip,
		.rax = boot->rax,
		.rbx = boot->rbx,
		.rsi = boot->rsi,
		.rflags = 2,
	};
	struct kvm_segment data = flat_segment(0x18, 3, false);
	struct kvm_sregs s;
	int rc;

	rc = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s);
	if (rc < 0)
		goto fail;
	s.cs = flat_segment(0x10, 11, lm);
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment){
		.selector = 0x20, .limit = 0x67, .type = 11, .present = 1,
	};
	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.gdt.base = LAYOUT_GDT;
	s.gdt.limit = 0x27;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr0 = CR0_PE | CR0_ET | (lm ? CR0_PG : 0);
	s.cr3 = lm ? LAYOUT_PAGING : 0;
	s.cr4 = lm ? CR4_PAE : 0;
	s.efer = lm ? EFER_LME | EFER_LMA : 0;
	rc = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &s);
	if (rc < 0)
		goto fail;
	rc = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	if (rc >= 0)
		return 0;
fail:
	msg("vCPU %u: cannot set its first registers: %s", vcpu->id,
	    strerror(-rc));
	return rc;
}

static void do_io(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	const struct bus *bus = &vcpu->vm->pio;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(bus, run->io.port, data, run->io.size);
		else
			bus_read(bus, run->io.port, data, run->io.size);
	}
}

static void do_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const struct bus *bus = &vcpu->vm->mmio;

	if (run->mmio.is_write)
		bus_write(bus, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(bus, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

/* Report and stop; @what is one line. */
static void fail(struct vcpu *vcpu, enum stop_reason reason, const char *what)
{
	report_vcpu(vcpu, what);
	vm_stop(vcpu->vm, reason, 0, vcpu->id, what);
}

static void do_internal_error(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint32_t n = run->internal.ndata;
	char what[160];
	int len;

	len = snprintf(what, sizeof(what), "internal error %u: %s",
		       run->internal.suberror,
		       report_internal_reason(run->internal.suberror));
	if (n > ARRAY_SIZE(run->internal.data))
		n = ARRAY_SIZE(run->internal.data);
	for (uint32_t i = 0; i < n && len < (int)sizeof(what); i++)
		len += snprintf(what + len, sizeof(what) - len, "%s%llx",
				i ? " " : "; data ",
				(unsigned long long)run->internal.data[i]);
	fail(vcpu, STOP_INTERNAL, what);
}

static void do_system_event(struct vcpu *vcpu)
{
	uint32_t type = vcpu->run->system_event.type;
	char what[80];

	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_stop(vcpu->vm, STOP_POWEROFF, 0, vcpu->id, NULL);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_stop(vcpu->vm, STOP_RESET, 0, vcpu->id, NULL);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vm_stop(vcpu->vm, STOP_CRASH, 0, vcpu->id, "guest crash event");
		break;
	default:
		snprintf(what, sizeof(what), "unknown system event %u", type);
		fail(vcpu, STOP_INTERNAL, what);
	}
}

static void handle_exit(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	char what[160], name[32];

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		do_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		do_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
		break;
	case KVM_EXIT_SHUTDOWN:
		fail(vcpu, STOP_TRIPLE, "shutdown (triple fault)");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what), "VM entry failed: %s (%#llx)",
			 report_entry_reason(run->fail_entry.hardware_entry_failure_reason),
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		fail(vcpu, STOP_ENTRY, what);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		do_internal_error(vcpu);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		do_system_event(vcpu);
		break;
	case KVM_EXIT_UNKNOWN:
		snprintf(what, sizeof(what), "hardware exit reason %llu is not handled",
			 (unsigned long long)run->hw.hardware_exit_reason);
		fail(vcpu, STOP_INTERNAL, what);
		break;
	default:
		snprintf(what, sizeof(what), "unexpected exit %u (%s)",
			 run->exit_reason,
			 vcpu_exit_name(run->exit_reason, name, sizeof(name)));
		fail(vcpu, STOP_INTERNAL, what);
	}
}

static void count_exit(struct vcpu *vcpu, uint32_t reason)
{
	if (reason < VCPU_EXIT_REASONS)
		atomic_fetch_add_explicit(&vcpu->exits[reason], 1,
					  memory_order_relaxed);
}

void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;
	char what[160];

	/* Main holds the gate until everything is in place. */
	pthread_mutex_lock(&vm->gate);
	pthread_mutex_unlock(&vm->gate);

	while (!atomic_load_explicit(&vm->stop, memory_order_acquire)) {
		int rc = ioctl(vcpu->fd, KVM_RUN, 0);

		if (rc < 0) {
			/* EAGAIN: it waited for its INIT or SIPI. */
			if (errno == EINTR || errno == EAGAIN) {
				count_exit(vcpu, KVM_EXIT_INTR);
				continue;
			}
			/* Entry failures may carry a reason beside an errno. */
			if (vcpu->run->exit_reason == KVM_EXIT_FAIL_ENTRY ||
			    vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
				handle_exit(vcpu);
				break;
			}
			snprintf(what, sizeof(what), "KVM_RUN: %s",
				 strerror(errno));
			fail(vcpu, STOP_INTERNAL, what);
			break;
		}
		count_exit(vcpu, vcpu->run->exit_reason);
		handle_exit(vcpu);
	}
	return NULL;
}

void vcpu_kick(struct vcpu *vcpu)
{
	/* The flag closes the window between the loop's test and KVM_RUN. */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(vcpu->thread, VCPU_KICK);
}
