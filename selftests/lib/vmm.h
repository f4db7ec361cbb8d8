/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmm: the half of a test that runs on the host: a very small VMM.
 *
 * Unless a function's text says otherwise, an ioctl that fails ends the case as
 * failed, with the ioctl's name and errno. Every object is owned by the struct
 * vm it belongs to and goes with vm_free(), or with the case's process.
 */
#ifndef _VMM_H
#define _VMM_H

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "guest.h"
#include "ksft.h"

#define VM_MEM		(16ull << 20)	/* default size of slot 0, bytes */
#define VM_MAPPED	(12ull << 30)	/* identity-mapped by vm_create() */
#define VM_MAX_VCPUS	16

/* guest-physical layout below 1 MiB; 1 MiB to 4 MiB is the test's own */
#define GPA_FREE	0x1000
#define GPA_GDT		0x8000
#define GPA_IDT		0x9000
#define GPA_TSS		0xa000
#define GPA_PML4	0x10000
#define GPA_PTE_POOL	0x20000
#define GPA_PTE_END	0x40000
#define GPA_STACKS	0x40000
#define GPA_STACK_SIZE	0x4000
#define GPA_TEST	0x100000
/* nothing is mapped here: an access is MMIO that the test answers */
#define GPA_MMIO	0xd0000000ull

struct vcpu {
	struct vm *vm;
	struct kvm_run *run;
	int fd;
	unsigned int id;
	struct kvm_cpuid2 *cpuid;	/* what was set; see vcpu_set_cpuid() */
	struct ucall uc;		/* of the last EXIT_UCALL */
};

struct vm {
	int dev;
	int fd;
	u8 *mem;			/* slot 0 */
	u64 mem_size;
	size_t run_size;
	u64 next_table;
	struct vcpu *vcpu[VM_MAX_VCPUS];
	unsigned int nr_vcpus;
};

/* what vcpu_exit() returns beside the KVM_EXIT_ values */
#define EXIT_UCALL	0x10000
#define EXIT_INTR	0x10001		/* KVM_RUN failed with EINTR */

int dev_open(const char *path);
/* KVM_CHECK_EXTENSION on the device; 0 or positive */
int dev_cap(int cap);

/*
 * A VM on the device under test with one slot of anonymous memory, the guest's
 * image, tables and no vCPU.
 */
struct vm *vm_create(void);
/* the same with a size of slot 0, on a device of one's own choice */
struct vm *vm_create_on(const char *path, u64 mem_size);
/* the same around memory of the caller's, which must be zero */
struct vm *vm_create_with(const char *path, void *mem, u64 mem_size);
/* no memory, no image: an empty VM */
struct vm *vm_create_bare(const char *path);
void vm_free(struct vm *vm);

/* KVM_CREATE_IRQCHIP; before the first vCPU */
void vm_irqchip(struct vm *vm);
/* KVM_IRQ_LINE */
void vm_line(struct vm *vm, u32 gsi, u32 level);
/* -1 and errno on failure */
int vm_try_region(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
		  void *hva);
void vm_region(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
	       void *hva);
/* host address of a guest-physical address in slot 0 */
void *vm_ptr(struct vm *vm, u64 gpa);
/* the guest's copy of a variable of this program */
#define VM_VAR(vm, var) \
	(*(volatile __typeof__(var) *)vm_ptr(vm, (uintptr_t)&(var)))
/* replace the 2M entry that maps ADDR by 512 4K entries; before the run */
u64 *vm_split_page(struct vm *vm, u64 addr);
/* let CPL 3 use every page */
void vm_map_user(struct vm *vm);
/*
 * 1 if the host CPU honours DR0 to DR3, tried on a child process; an emulator
 * may be built without.
 */
int host_has_breakpoints(void);
/* anonymous memory, zero, aligned to 2 MiB */
void *host_memory(u64 size);

/* a vCPU in long mode, ready for vcpu_call() */
struct vcpu *vcpu_add(struct vm *vm, unsigned int id);
/* a vCPU as KVM_CREATE_VCPU makes it, with CPUID set and nothing else */
struct vcpu *vcpu_add_reset(struct vm *vm, unsigned int id);
void vcpu_long_mode(struct vcpu *vcpu);
/* the next run starts FN(ARG) on this vCPU's own stack */
void vcpu_call(struct vcpu *vcpu, void *fn, u64 arg);
/* a VM with interrupt controllers and one vCPU that is to run FN(ARG) */
struct vcpu *vcpu_with_irqchip(void *fn, u64 arg);
/*
 * NUM of DEN parts of the host's frequency for the vCPU's TSC, which is returned in kHz; skips the
 * case where there is no TSC scaling
 */
u32 vcpu_scale_tsc(struct vcpu *vcpu, u32 num, u32 den);
/* find a leaf in vcpu->cpuid, NULL where there is none */
struct kvm_cpuid_entry2 *vcpu_leaf(struct vcpu *vcpu, u32 leaf, u32 sub);
/* hand vcpu->cpuid, changed, to the kernel; before the first run */
void vcpu_set_cpuid(struct vcpu *vcpu);

/* KVM_RUN once: 0, or -errno */
int vcpu_run_raw(struct vcpu *vcpu);
/*
 * Run to the next exit to userspace. A ucall that reports a failed assertion
 * or an unexpected trap ends the case; another is EXIT_UCALL.
 */
u32 vcpu_exit(struct vcpu *vcpu);
/* fail, and say what exit there was and where */
void __noreturn vcpu_bad_exit(struct vcpu *vcpu, u32 got, u32 want);
/* run to an exit of this reason, or fail */
void vcpu_expect(struct vcpu *vcpu, u32 reason);
/* run to the next ucall, which must be UCALL_SYNC of this stage */
void vcpu_sync(struct vcpu *vcpu, u64 stage);
/* run until the guest function has returned */
void vcpu_done(struct vcpu *vcpu);
/* vm_create, vcpu_add, vcpu_call, vcpu_done, vm_free */
void guest_run(void *fn, u64 arg);
/* the same where every page is CPL 3's too: FN calls guest_user_call() */
void guest_run_user(void *fn);
/* set the immediate_exit of this vCPU after USEC of time, by a signal */
void vcpu_kick_after(struct vcpu *vcpu, unsigned int usec);
void vcpu_kick_cancel(void);
/* run until the vCPU is in this KVM_MP_STATE_* inside KVM_RUN and stays there; an exit is a failure */
void vcpu_expect_waiting(struct vcpu *vcpu, u32 state);

const char *exit_name(u32 reason);

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
void vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
void vcpu_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *ev);
void vcpu_set_events(struct vcpu *vcpu, struct kvm_vcpu_events *ev);
/* 1 if the MSR was read or written, 0 if it was refused */
int vcpu_get_msr(struct vcpu *vcpu, u32 msr, u64 *value);
int vcpu_set_msr(struct vcpu *vcpu, u32 msr, u64 value);

/* a flat real-mode segment state with CS:IP = 0:IP */
void vcpu_real_mode(struct vcpu *vcpu, u16 ip);

#endif /* _VMM_H */
