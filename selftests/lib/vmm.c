// SPDX-License-Identifier: GPL-2.0-only
/* vmm: the half of a test that runs on the host: a very small VMM */
#include "vmm.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPUID_MAX	256
#define PAGE		4096ull

int dev_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK_MSG(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

int dev_cap(int cap)
{
	int fd = dev_open(ksft_device);
	int r = CHECK_OK(ioctl(fd, KVM_CHECK_EXTENSION, cap));

	close(fd);
	return r;
}

void *host_memory(u64 size)
{
	u64 span = size + (2 << 20);
	u8 *p = mmap(NULL, span, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t start;

	CHECK_MSG(p != MAP_FAILED, "mmap of 0x%llx bytes: %s",
		  (unsigned long long)span, strerror(errno));
	start = ((uintptr_t)p + (2 << 20) - 1) & ~((2ul << 20) - 1);
	if (start > (uintptr_t)p)
		munmap(p, start - (uintptr_t)p);
	return (void *)start;
}

void *vm_ptr(struct vm *vm, u64 gpa)
{
	CHECK_MSG(gpa < vm->mem_size, "0x%llx is beyond slot 0",
		  (unsigned long long)gpa);
	return vm->mem + gpa;
}

int vm_try_region(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
		  void *hva)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

void vm_region(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
	       void *hva)
{
	CHECK_MSG(!vm_try_region(vm, slot, flags, gpa, size, hva),
		  "slot %u at 0x%llx, 0x%llx bytes: %s", slot,
		  (unsigned long long)gpa, (unsigned long long)size,
		  strerror(errno));
}

static void load_image(struct vm *vm)
{
	const Elf64_Phdr *ph = (void *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM);
	u64 end;

	for (; n; n--, ph++) {
		if (ph->p_type != PT_LOAD)
			continue;
		end = ph->p_vaddr + ph->p_memsz;
		CHECK_MSG(ph->p_vaddr >= GPA_TEST && end <= vm->mem_size,
			  "this program's image does not fit into the guest");
		memcpy(vm_ptr(vm, ph->p_vaddr), (void *)ph->p_vaddr,
		       ph->p_memsz);
	}
}

static void set_gate(struct vm *vm, unsigned int vector, u64 target, u8 type)
{
	u64 *gate = vm_ptr(vm, GPA_IDT + vector * 16);

	gate[0] = (target & 0xffff) | (u64)SEL_CODE64 << 16 |
		  (u64)type << 40 | (target >> 16 & 0xffff) << 48;
	gate[1] = target >> 32;
}

static void build_tables(struct vm *vm)
{
	static const u64 gdt[] = {
		[SEL_CODE64 / 8] = 0x00af9b000000ffff,
		[SEL_DATA / 8] = 0x00cf93000000ffff,
		[SEL_CODE32 / 8] = 0x00cf9b000000ffff,
		[SEL_UDATA / 8] = 0x00cff3000000ffff,
		[SEL_UCODE64 / 8] = 0x00affb000000ffff,
		[SEL_CODE16 / 8] = 0x00009b000000ffff,
		[SEL_DATA16 / 8] = 0x000093000000ffff,
		[SEL_ABSENT / 8] = 0x00cf13000000ffff,
	};
	u64 *pml4 = vm_ptr(vm, GPA_PML4);
	u64 *pdpt = pml4 + 512;
	u64 *pd = pdpt + 512;
	unsigned int i;

	memcpy(vm_ptr(vm, GPA_GDT), gdt, sizeof(gdt));
	for (i = 0; i < 256; i++)
		set_gate(vm, i, (uintptr_t)guest_stubs + i * GUEST_STUB_SIZE,
			 i == BP_VECTOR || i == OF_VECTOR ? 0xee : 0x8e);
	set_gate(vm, USER_DONE_VECTOR, (uintptr_t)guest_user_done, 0xee);

	pml4[0] = (GPA_PML4 + PAGE) | PTE_P | PTE_W | PTE_U;
	for (i = 0; i < VM_MAPPED >> 30; i++)
		pdpt[i] = (GPA_PML4 + (2 + i) * PAGE) | PTE_P | PTE_W | PTE_U;
	for (i = 0; i < VM_MAPPED >> 21; i++)
		pd[i] = (u64)i << 21 | PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D;
	vm->next_table = GPA_PTE_POOL;
}

u64 *vm_split_page(struct vm *vm, u64 addr)
{
	u64 *pd = vm_ptr(vm, GPA_PML4 + 2 * PAGE);
	u64 *pde = &pd[addr >> 21];
	u64 *table;
	int i;

	if (*pde & PTE_PS) {
		CHECK_MSG(vm->next_table < GPA_PTE_END, "no table left");
		table = vm_ptr(vm, vm->next_table);
		for (i = 0; i < 512; i++)
			table[i] = (addr & ~0x1fffffull) + i * PAGE +
				   ((*pde & 0xfff) & ~PTE_PS);
		*pde = vm->next_table | PTE_P | PTE_W | PTE_U;
		vm->next_table += PAGE;
	}
	table = vm_ptr(vm, *pde & 0xffffffffff000ull);
	return &table[addr >> 12 & 511];
}

void vm_map_user(struct vm *vm)
{
	u64 *pd = vm_ptr(vm, GPA_PML4 + 2 * PAGE);
	u64 *pool = vm_ptr(vm, GPA_PTE_POOL);
	unsigned int i;

	for (i = 0; i < VM_MAPPED >> 21; i++)
		pd[i] |= PTE_U;
	for (i = 0; i < (vm->next_table - GPA_PTE_POOL) / 8; i++)
		if (pool[i] & PTE_P)
			pool[i] |= PTE_U;
}

struct vm *vm_create_bare(const char *path)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	CHECK(vm);
	vm->dev = dev_open(path);
	vm->fd = ioctl(vm->dev, KVM_CREATE_VM, 0);
	CHECK_MSG(vm->fd >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	vm->run_size = CHECK_OK(ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0));
	return vm;
}

struct vm *vm_create_with(const char *path, void *mem, u64 mem_size)
{
	struct vm *vm = vm_create_bare(path);

	CHECK_OK(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000ul));
	vm->mem = mem;
	vm->mem_size = mem_size;
	load_image(vm);
	build_tables(vm);
	vm_region(vm, 0, 0, 0, mem_size, mem);
	return vm;
}

struct vm *vm_create_on(const char *path, u64 mem_size)
{
	return vm_create_with(path, host_memory(mem_size), mem_size);
}

struct vm *vm_create(void)
{
	return vm_create_on(ksft_device, VM_MEM);
}

void vm_free(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpu[i]->run, vm->run_size);
		close(vm->vcpu[i]->fd);
		free(vm->vcpu[i]->cpuid);
		free(vm->vcpu[i]);
	}
	close(vm->fd);
	close(vm->dev);
	if (vm->mem)
		munmap(vm->mem, vm->mem_size);
	free(vm);
}

void vm_irqchip(struct vm *vm)
{
	CHECK_OK(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0));
}

void vm_line(struct vm *vm, u32 gsi, u32 level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	CHECK_OK(ioctl(vm->fd, KVM_IRQ_LINE, &l));
}

u32 vcpu_scale_tsc(struct vcpu *vcpu, u32 num, u32 den)
{
	u64 khz;

	REQUIRE(dev_cap(KVM_CAP_TSC_CONTROL) > 0, "no TSC scaling");
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, 0));
	khz = (u64)CHECK_OK(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0)) * num / den;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_EQ(ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	/* what was added to make it 0 was of the other rate */
	vcpu_set_msr(vcpu, MSR_TSC, 0);
	return khz;
}

struct kvm_cpuid_entry2 *vcpu_leaf(struct vcpu *vcpu, u32 leaf, u32 sub)
{
	unsigned int i;

	for (i = 0; i < vcpu->cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &vcpu->cpuid->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     e->index == sub))
			return e;
	}
	return NULL;
}

void vcpu_set_cpuid(struct vcpu *vcpu)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_CPUID2, vcpu->cpuid));
}

static void init_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e;
	unsigned int i;

	vcpu->cpuid = calloc(1, sizeof(*vcpu->cpuid) + CPUID_MAX * sizeof(*e));
	CHECK(vcpu->cpuid);
	vcpu->cpuid->nent = CPUID_MAX;
	CHECK_OK(ioctl(vcpu->vm->dev, KVM_GET_SUPPORTED_CPUID, vcpu->cpuid));
	for (i = 0; i < vcpu->cpuid->nent; i++) {
		e = &vcpu->cpuid->entries[i];
		if (e->function == 1)
			e->ebx = (e->ebx & 0xffffff) | vcpu->id << 24;
		else if (e->function == 0xb || e->function == 0x1f)
			e->edx = vcpu->id;
	}
	vcpu_set_cpuid(vcpu);
}

struct vcpu *vcpu_add_reset(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	CHECK(vcpu && vm->nr_vcpus < VM_MAX_VCPUS);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	CHECK_MSG(vcpu->fd >= 0, "KVM_CREATE_VCPU %u: %s", id,
		  strerror(errno));
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	CHECK_MSG(vcpu->run != MAP_FAILED, "mmap of the vCPU: %s",
		  strerror(errno));
	init_cpuid(vcpu);
	vm->vcpu[vm->nr_vcpus++] = vcpu;
	return vcpu;
}

static void set_segment(struct kvm_segment *s, u16 sel, u8 type, u8 l)
{
	*s = (struct kvm_segment){
		.limit = 0xffffffff, .selector = sel, .type = type,
		.present = 1, .db = !l, .s = 1, .l = l, .g = 1,
	};
}

void vcpu_long_mode(struct vcpu *vcpu)
{
	u64 tss = GPA_TSS + vcpu->id % VM_MAX_VCPUS * 0x80;
	u64 stack = GPA_STACKS + vcpu->id % VM_MAX_VCPUS * GPA_STACK_SIZE;
	struct kvm_sregs s;
	u32 *rsp0;

	vcpu_get_sregs(vcpu, &s);
	set_segment(&s.cs, SEL_CODE64, 11, 1);
	set_segment(&s.ds, SEL_DATA, 3, 0);
	s.es = s.ds;
	s.fs = s.ds;
	s.gs = s.ds;
	s.ss = s.ds;
	s.tr = (struct kvm_segment){
		.base = tss, .limit = 0x67, .selector = SEL_TSS, .type = 11,
		.present = 1,
	};
	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.gdt.base = GPA_GDT;
	s.gdt.limit = SEL_ABSENT + 7;
	s.idt.base = GPA_IDT;
	s.idt.limit = 0xfff;
	s.cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE |
		X86_CR0_WP | X86_CR0_AM | X86_CR0_PG;
	s.cr3 = GPA_PML4;
	s.cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	s.efer = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX;
	vcpu_set_sregs(vcpu, &s);

	rsp0 = vm_ptr(vcpu->vm, tss + 4);
	rsp0[0] = stack + 0x1000;
	rsp0[1] = 0;
	/* no I/O permission map: it would begin beyond the limit */
	*(u16 *)vm_ptr(vcpu->vm, tss + 0x66) = 0x68;
}

struct vcpu *vcpu_add(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = vcpu_add_reset(vm, id);

	vcpu_long_mode(vcpu);
	return vcpu;
}

void vcpu_call(struct vcpu *vcpu, void *fn, u64 arg)
{
	u64 top = GPA_STACKS + (vcpu->id % VM_MAX_VCPUS + 1) * GPA_STACK_SIZE;
	struct kvm_regs regs = {
		.rip = (uintptr_t)fn,
		.rdi = arg,
		.rsp = top - 8,
		.rflags = 2,
	};

	*(u64 *)vm_ptr(vcpu->vm, top - 8) = (uintptr_t)guest_return;
	vcpu_set_regs(vcpu, &regs);
}

void vcpu_real_mode(struct vcpu *vcpu, u16 ip)
{
	struct kvm_regs regs = { .rip = ip, .rsp = 0x7000, .rflags = 2 };
	struct kvm_sregs s;

	vcpu_get_sregs(vcpu, &s);
	s.cs.base = 0;
	s.cs.selector = 0;
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_regs(vcpu, &regs);
}

/* a child that runs into a breakpoint of ours stops with SIGTRAP */
int host_has_breakpoints(void)
{
	static volatile u64 target;
	unsigned long dr = offsetof(struct user, u_debugreg);
	int status, hit = 0;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		target = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!ptrace(PTRACE_POKEUSER, pid, dr, &target) &&
	    !ptrace(PTRACE_POKEUSER, pid, dr + 7 * 8, 1 | 1 << 16 | 2 << 18)) {
		ptrace(PTRACE_CONT, pid, 0, 0);
		waitpid(pid, &status, 0);
		hit = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
	}
	kill(pid, SIGKILL);
	return hit;
}

const char *exit_name(u32 reason)
{
	static const char * const names[] = {
		[KVM_EXIT_UNKNOWN] = "UNKNOWN",
		[KVM_EXIT_EXCEPTION] = "EXCEPTION",
		[KVM_EXIT_IO] = "IO",
		[KVM_EXIT_HYPERCALL] = "HYPERCALL",
		[KVM_EXIT_DEBUG] = "DEBUG",
		[KVM_EXIT_HLT] = "HLT",
		[KVM_EXIT_MMIO] = "MMIO",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
		[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
		[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
		[KVM_EXIT_INTR] = "INTR",
		[KVM_EXIT_SET_TPR] = "SET_TPR",
		[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	};

	if (reason == EXIT_UCALL)
		return "ucall";
	if (reason == EXIT_INTR)
		return "EINTR";
	if (reason < ARRAY_SIZE(names) && names[reason])
		return names[reason];
	return "other";
}

int vcpu_run_raw(struct vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

static const char *base_name(u64 file)
{
	const char *path = (const char *)(uintptr_t)file;
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static u32 take_ucall(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct ucall *uc = &vcpu->uc;
	u32 addr = *(u32 *)((u8 *)run + run->io.data_offset);

	memcpy(uc, vm_ptr(vcpu->vm, addr), sizeof(*uc));
	if (uc->cmd == UCALL_ASSERT)
		ksft_fail(base_name(uc->arg[1]), uc->arg[2],
			  "guest: %s (0x%llx, 0x%llx)",
			  (const char *)(uintptr_t)uc->arg[0],
			  (unsigned long long)uc->arg[3],
			  (unsigned long long)uc->arg[4]);
	if (uc->cmd == UCALL_TRAP)
		FAIL("guest: vector %llu, error 0x%llx, rip 0x%llx, cr2 0x%llx",
		     (unsigned long long)uc->arg[0],
		     (unsigned long long)uc->arg[1],
		     (unsigned long long)uc->arg[2],
		     (unsigned long long)uc->arg[3]);
	return EXIT_UCALL;
}

u32 vcpu_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int r;

	/* EAGAIN: a vCPU that waited for its INIT or SIPI has got it */
	do {
		r = vcpu_run_raw(vcpu);
	} while (r == -EAGAIN);
	if (r == -EINTR)
		return EXIT_INTR;
	CHECK_MSG(!r, "KVM_RUN: %s", strerror(-r));
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == UCALL_PORT &&
	    run->io.size == 4 && run->io.direction == KVM_EXIT_IO_OUT)
		return take_ucall(vcpu);
	return run->exit_reason;
}

void vcpu_bad_exit(struct vcpu *vcpu, u32 got, u32 want)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	ksft_print("rip 0x%llx, rflags 0x%llx", (unsigned long long)regs.rip,
		   (unsigned long long)regs.rflags);
	if (got == EXIT_UCALL)
		ksft_print("ucall %llu, stage %llu",
			   (unsigned long long)vcpu->uc.cmd,
			   (unsigned long long)vcpu->uc.arg[0]);
	else if (got == KVM_EXIT_IO)
		ksft_print("port 0x%x, %s, %u bytes, count %u", run->io.port,
			   run->io.direction ? "out" : "in", run->io.size,
			   run->io.count);
	else if (got == KVM_EXIT_MMIO)
		ksft_print("mmio 0x%llx, %u bytes, %s",
			   (unsigned long long)run->mmio.phys_addr,
			   run->mmio.len, run->mmio.is_write ? "write" : "read");
	else if (got == KVM_EXIT_FAIL_ENTRY)
		ksft_print("hardware reason 0x%llx",
			   (unsigned long long)
			   run->fail_entry.hardware_entry_failure_reason);
	else if (got == KVM_EXIT_INTERNAL_ERROR)
		ksft_print("suberror %u, data %llx %llx", run->internal.suberror,
			   (unsigned long long)run->internal.data[0],
			   (unsigned long long)run->internal.data[1]);
	FAIL("exit is %s (%u), expected %s (%u)", exit_name(got), got,
	     exit_name(want), want);
}

void vcpu_expect(struct vcpu *vcpu, u32 reason)
{
	u32 got = vcpu_exit(vcpu);

	if (got != reason)
		vcpu_bad_exit(vcpu, got, reason);
}

void vcpu_sync(struct vcpu *vcpu, u64 stage)
{
	vcpu_expect(vcpu, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_SYNC);
	CHECK_EQ(vcpu->uc.arg[0], stage);
}

void vcpu_done(struct vcpu *vcpu)
{
	vcpu_expect(vcpu, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
}

void guest_run(void *fn, u64 arg)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, fn, arg);
	vcpu_done(vcpu);
	vm_free(vm);
}

void guest_run_user(void *fn)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vm_map_user(vm);
	vcpu_call(vcpu, fn, 0);
	vcpu_done(vcpu);
	vm_free(vm);
}

struct vcpu *vcpu_with_irqchip(void *fn, u64 arg)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, fn, arg);
	return vcpu;
}

static struct kvm_run *volatile kick_run;

static void kick(int sig)
{
	(void)sig;
	if (kick_run)
		kick_run->immediate_exit = 1;
}

void vcpu_kick_after(struct vcpu *vcpu, unsigned int usec)
{
	struct itimerval it = {
		.it_value = { usec / 1000000, usec % 1000000 },
	};
	struct sigaction sa = { .sa_handler = kick };

	kick_run = vcpu->run;
	CHECK_OK(sigaction(SIGALRM, &sa, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &it, NULL));
}

void vcpu_kick_cancel(void)
{
	struct itimerval it = { 0 };

	setitimer(ITIMER_REAL, &it, NULL);
	if (kick_run)
		kick_run->immediate_exit = 0;
	kick_run = NULL;
}

#define SLICE_US	20000
#define SLICES		1000

void vcpu_expect_waiting(struct vcpu *vcpu, u32 state)
{
	unsigned int slices = 0, stayed = 0;
	struct kvm_mp_state mp = { 0 };

	/* how long the guest takes to come there is not known; three slices are there */
	while (stayed < 3) {
		CHECK_MSG(slices++ < SLICES * ksft_slowness(), "MP state %u, not %u", mp.mp_state,
			  state);
		vcpu_kick_after(vcpu, SLICE_US);
		vcpu_expect(vcpu, EXIT_INTR);
		vcpu_kick_cancel();
		CHECK_OK(ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp));
		CHECK_MSG(!stayed || mp.mp_state == state, "MP state %u after %u", mp.mp_state,
			  state);
		stayed += mp.mp_state == state;
	}
}

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_REGS, regs));
}

void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_REGS, regs));
}

void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_SREGS, sregs));
}

void vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_SREGS, sregs));
}

void vcpu_get_events(struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, ev));
}

void vcpu_set_events(struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, ev));
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int vcpu_get_msr(struct vcpu *vcpu, u32 msr, u64 *value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = msr };
	long r = CHECK_OK(ioctl(vcpu->fd, KVM_GET_MSRS, &m));

	*value = m.entry.data;
	return r;
}

int vcpu_set_msr(struct vcpu *vcpu, u32 msr, u64 value)
{
	struct one_msr m = {
		.head.nmsrs = 1,
		.entry = { .index = msr, .data = value },
	};

	return CHECK_OK(ioctl(vcpu->fd, KVM_SET_MSRS, &m));
}
