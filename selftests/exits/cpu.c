// SPDX-License-Identifier: GPL-2.0-only
/* exits/cpu: HLT, PAUSE, RDPMC, WBINVD, INVD, INVLPG, VMCALL, VMX, SYSCALL, shutdown */
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

#include "vmm.h"

static volatile u64 nmis;

static void on_nmi(struct guest_frame *frame)
{
	(void)frame;
	nmis++;
}

static void guest_hlt(void)
{
	asm volatile(".globl cpu_hlt, cpu_hlt_next\n"
		     "cpu_hlt: hlt\n"
		     "cpu_hlt_next: nop");
	safe_halt();
}

extern const char cpu_hlt[], cpu_hlt_next[];

/*
 * Without an in-kernel APIC, HLT is the VMM's: KVM_EXIT_HLT with RIP after it,
 * with interrupts off as well as on.
 */
static void test_hlt(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_regs regs;

	vcpu_call(vcpu, guest_hlt, 0);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rip, (uintptr_t)cpu_hlt_next);
	CHECK_EQ(vcpu->run->if_flag, 0);
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(vcpu->run->if_flag, 1);
	vcpu_done(vcpu);
}

static void guest_hlt_nmi(void)
{
	guest_handlers[NMI_VECTOR] = on_nmi;
	asm volatile("hlt");
	GUEST_ASSERT_EQ(nmis, 1);
}

/*
 * With an in-kernel APIC, HLT waits in the kernel: a signal ends KVM_RUN with
 * EINTR and the vCPU stays halted; an NMI wakes it, interrupts off or not.
 */
static void test_hlt_kernel(void)
{
	struct vm *vm = vm_create();
	struct kvm_mp_state mp;
	struct vcpu *vcpu;

	vm_irqchip(vm);
	vcpu = vcpu_add(vm, 0);
	vcpu_call(vcpu, guest_hlt_nmi, 0);
	vcpu_kick_after(vcpu, 20000 * ksft_slowness());
	vcpu_expect(vcpu, EXIT_INTR);
	vcpu_kick_cancel();
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp));
	CHECK_EQ(mp.mp_state, KVM_MP_STATE_HALTED);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	vcpu_done(vcpu);
}

static u64 user_hlt(u64 arg)
{
	u64 f = 0;

	switch (arg) {
	case 0:
		GUEST_TRY(f, "hlt", GUEST_NO_OUT, "a"(0));
		break;
	case 1:
		GUEST_TRY(f, "wbinvd", GUEST_NO_OUT, "a"(0));
		break;
	case 2:
		GUEST_TRY(f, "invd", GUEST_NO_OUT, "a"(0));
		break;
	case 3:
		GUEST_TRY(f, "invlpg (%%rax)", GUEST_NO_OUT, "a"(0x1000));
		break;
	case 4:
		GUEST_TRY(f, "rdpmc", GUEST_NO_OUT, "a"(0), "c"(0), "d"(0));
		break;
	}
	return f;
}

static void guest_user(void)
{
	u64 i;

	for (i = 0; i < 5; i++)
		GUEST_ASSERT_AT(guest_user_call(user_hlt, i) ==
				FAULT(GP_VECTOR), i, 0);
}

/* HLT, WBINVD, INVD, INVLPG, and RDPMC without CR4.PCE, are #GP at CPL 3. */
static void test_user(void)
{
	guest_run_user(guest_user);
}

static void guest_pause(void)
{
	int i;

	for (i = 0; i < 20000; i++)
		cpu_pause();
}

/* PAUSE never reaches the VMM. */
static void test_pause(void)
{
	guest_run(guest_pause, 0);
}

static void guest_caches(void)
{
	volatile u32 *p = (u32 *)GPA_TEST;
	u64 f;

	*p = 0x1234;
	asm volatile("wbinvd" : : : "memory");
	GUEST_ASSERT_EQ(*p, 0x1234);
	/* a guest must not be able to drop the host's cached writes */
	*p = 0x5678;
	asm volatile("invd" : : : "memory");
	GUEST_ASSERT_EQ(*p, 0x5678);
	invlpg(GPA_TEST);
	/* a non-canonical address is simply not there */
	GUEST_TRY(f, "invlpg (%%rax)", GUEST_NO_OUT, "a"(1ull << 63));
	GUEST_ASSERT_EQ(f, 0);
}

/* WBINVD, INVD and INVLPG at CPL 0 leave memory as the guest wrote it. */
static void test_caches(void)
{
	guest_run(guest_caches, 0);
}

static void guest_rdpmc(void)
{
	u64 f;

	GUEST_TRY(f, "rdpmc", GUEST_NO_OUT, "a"(0), "c"(0x3fff), "d"(0));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	GUEST_TRY(f, "rdpmc", GUEST_NO_OUT, "a"(0), "c"(0x4000ffff), "d"(0));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
}

/* RDPMC of a counter that CPUID does not have is #GP(0). */
static void test_rdpmc(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_cpuid_entry2 *e = vcpu_leaf(vcpu, 0xa, 0);

	if (e)
		e->eax = e->ebx = e->ecx = e->edx = 0;
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_rdpmc, 0);
	vcpu_done(vcpu);
}

static u64 vmcall(u64 nr)
{
	u64 r;

	asm volatile("vmcall" : "=a"(r)
		     : "a"(nr), "b"(0ull), "c"(0ull), "d"(0ull), "S"(0ull)
		     : "memory");
	return r;
}

static u64 user_vmcall(u64 arg)
{
	return vmcall(arg);
}

static void guest_vmcall(void)
{
	/* -KVM_ENOSYS and -KVM_EPERM of <linux/kvm_para.h> */
	GUEST_ASSERT_EQ(vmcall(0x7fffffff), -1000ll);
	GUEST_ASSERT_EQ(vmcall(0), -1000ll);
	GUEST_ASSERT_EQ(guest_user_call(user_vmcall, 0x7fffffff), -1ll);
}

/* VMCALL: a number that is not known is -KVM_ENOSYS, CPL 3 is -KVM_EPERM. */
static void test_vmcall(void)
{
	guest_run_user(guest_vmcall);
}

#define UD(insn)							\
	do {								\
		u64 _u;							\
									\
		GUEST_TRY(_u, insn, GUEST_NO_OUT, "a"(op), "c"(0ull));	\
		GUEST_ASSERT_EQ(_u, FAULT(UD_VECTOR));			\
	} while (0)

static void guest_vmx(void)
{
	static u64 operand[2];
	u64 *op = operand;

	UD("vmxon (%%rax)");
	UD("vmxoff");
	UD("vmclear (%%rax)");
	UD("vmptrld (%%rax)");
	UD("vmptrst (%%rax)");
	UD("vmlaunch");
	UD("vmresume");
	UD("vmread %%rcx, %%rcx");
	UD("vmwrite %%rcx, %%rcx");
	UD("invept (%%rax), %%rcx");
	UD("invvpid (%%rax), %%rcx");
	UD("vmfunc");
}

/*
 * In a vCPU whose CPUID has no VMX, every VMX instruction is #UD.
 */
static void test_vmx(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_leaf(vcpu, 1, 0)->ecx &= ~(1u << 5);
	vcpu_set_cpuid(vcpu);
	vcpu_call(vcpu, guest_vmx, 0);
	vcpu_done(vcpu);
}

static void guest_triple(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	asm volatile("lidt %0; ud2" : : "m"(none));
}

/* A triple fault is KVM_EXIT_SHUTDOWN; the VM can be reset and run again. */
static void test_shutdown(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, guest_triple, 0);
	vcpu_expect(vcpu, KVM_EXIT_SHUTDOWN);
	vcpu_long_mode(vcpu);
	vcpu_call(vcpu, guest_pause, 0);
	vcpu_done(vcpu);
}

static void guest_descriptor_tables(void)
{
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) t;
	u16 sel;

	asm volatile("sgdt %0" : "=m"(t));
	GUEST_ASSERT_EQ(t.base, 0x8000);
	GUEST_ASSERT_EQ(t.limit, SEL_ABSENT + 7);
	asm volatile("lgdt %0" : : "m"(t));
	asm volatile("sidt %0" : "=m"(t));
	GUEST_ASSERT_EQ(t.base, 0x9000);
	asm volatile("lidt %0" : : "m"(t));
	asm volatile("str %0" : "=r"(sel));
	GUEST_ASSERT_EQ(sel, SEL_TSS);
	asm volatile("sldt %0" : "=r"(sel));
	GUEST_ASSERT_EQ(sel, 0);
	asm volatile("lldt %w0" : : "r"(0));
}

static u64 user_sgdt(u64 arg)
{
	static u8 t[10];
	u64 f;

	(void)arg;
	GUEST_TRY(f, "sgdt (%%rax)", GUEST_NO_OUT, "a"(t));
	return f;
}

static void guest_umip(void)
{
	guest_descriptor_tables();
	GUEST_ASSERT_EQ(guest_user_call(user_sgdt, 0), 0);
	if (try_write_cr4(read_cr4() | X86_CR4_UMIP))
		return;
	GUEST_ASSERT_EQ(guest_user_call(user_sgdt, 0), FAULT(GP_VECTOR));
	guest_descriptor_tables();
	write_cr4(read_cr4() & ~X86_CR4_UMIP);
	GUEST_ASSERT_EQ(guest_user_call(user_sgdt, 0), 0);
}

/* Descriptor-table registers; CR4.UMIP, where CPUID has it, hides them. */
static void test_tables(void)
{
	guest_run_user(guest_umip);
}

static void guest_rdtsc(void)
{
	u64 last = 0, t, aux;
	u32 lo, hi, c;
	int i;

	for (i = 0; i < 1000; i++) {
		t = rdtsc();
		GUEST_ASSERT(t >= last);
		last = t;
	}
	GUEST_TRY(t, "rdtscp", "=a"(lo) _GUEST_COMMA "=d"(hi) _GUEST_COMMA
		  "=c"(c) _GUEST_COMMA, "b"(0));
	if (t)
		return;
	wrmsr(MSR_TSC_AUX, 0x1234);
	asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	GUEST_ASSERT_EQ((u32)aux, 0x1234);
	write_cr4(read_cr4() | 4);	/* TSD: nothing changes at CPL 0 */
	GUEST_ASSERT(rdtsc() > last);
}

/* RDTSC goes up; RDTSCP has the guest's TSC_AUX. */
static void test_rdtsc(void)
{
	guest_run(guest_rdtsc, 0);
}

/*
 * RDPID and RDTSCP give userspace's own process nothing of the guest's: the
 * host's TSC_AUX is back after a run.
 */
static void guest_aux(void)
{
	u64 f = try_wrmsr(MSR_TSC_AUX, 0xabcdef);

	GUEST_SYNC2(1, f, 0);
}

static void test_host_aux(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	u32 lo, hi, aux;

	vcpu_call(vcpu, guest_aux, 0);
	vcpu_sync(vcpu, 1);
	REQUIRE(!vcpu->uc.arg[1], "no TSC_AUX");
	asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	CHECK(aux != 0xabcdef);
	vcpu_done(vcpu);
}

/* Two targets of SYSCALL: EDX tells which, EAX and ESI its CS and SS, RBX its RFLAGS. */
asm(".text\n"
    ".globl cpu_syscall_a, cpu_syscall_b\n"
    "cpu_syscall_a: mov $0xa, %edx\n"
    "	jmp 1f\n"
    "cpu_syscall_b: mov $0xb, %edx\n"
    "1:	pushfq\n"
    "	pop %rbx\n"
    "	mov %cs, %eax\n"
    "	mov %ss, %esi\n"
    "	mov $0x10, %edi\n"
    "	mov %edi, %ss\n"
    "	push $0x08\n"
    "	push %rcx\n"
    "	lretq\n");
extern const char cpu_syscall_a[], cpu_syscall_b[];

static const struct {
	const char *entry;
	u64 name, cs, mask, aux;
} syscalls[] = {
	{ cpu_syscall_a, 0xa, SEL_CODE64, X86_DF, 0x1234 },
	{ cpu_syscall_b, 0xb, SEL_UCODE64, X86_AC, 0x5678 },
};

#define SYSCALL_ROUNDS	20

static void check_syscall(u64 which, u64 round)
{
	u64 cs, ss, flags, name;

	asm volatile("pushfq\n"
		     "pushfq\n"
		     "orl %[set], (%%rsp)\n"
		     "popfq\n"
		     "syscall\n"
		     "popfq\n"
		     : "=a"(cs), "=b"(flags), "=d"(name), "=S"(ss)
		     : [set] "i"(X86_DF | X86_AC)
		     : "rcx", "rdi", "r11", "memory", "cc");
	GUEST_ASSERT_AT(name == syscalls[which].name, round, name);
	GUEST_ASSERT_AT((u16)cs == syscalls[which].cs, round, cs);
	GUEST_ASSERT_AT((u16)ss == syscalls[which].cs + 8, round, ss);
	GUEST_ASSERT_AT((flags & (X86_DF | X86_AC)) ==
			((X86_DF | X86_AC) & ~syscalls[which].mask), round, flags);
}

static void guest_syscall(u64 which)
{
	bool has_aux = !try_wrmsr(MSR_TSC_AUX, syscalls[which].aux);
	u32 a, b, c, d, i, lo, hi, aux;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | X86_EFER_SCE);
	wrmsr(MSR_STAR, syscalls[which].cs << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)syscalls[which].entry);
	wrmsr(MSR_FMASK, syscalls[which].mask);
	for (i = 0; i < SYSCALL_ROUNDS; i++) {
		GUEST_SYNC(i);
		check_syscall(which, i);
		if (has_aux) {
			asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
			GUEST_ASSERT_AT(aux == syscalls[which].aux, i, aux);
		}
		/* and after an exit that the kernel finishes */
		cpuid(0, 0, &a, &b, &c, &d);
		check_syscall(which, i);
	}
}

/*
 * SYSCALL goes where the guest's own MSRs say, and RDTSCP gives the guest's TSC_AUX, after exits to
 * a VMM that made system calls and slept, with another guest's values on the CPU in between.
 */
static void test_syscall(void)
{
	struct vcpu *vcpu[ARRAY_SIZE(syscalls)];
	cpu_set_t cpus;
	u64 i, n;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	CHECK_OK(sched_setaffinity(0, sizeof(cpus), &cpus));
	for (n = 0; n < ARRAY_SIZE(vcpu); n++) {
		vcpu[n] = vcpu_add(vm_create(), 0);
		vcpu_call(vcpu[n], guest_syscall, n);
	}
	for (i = 0; i < SYSCALL_ROUNDS; i++) {
		for (n = 0; n < ARRAY_SIZE(vcpu); n++) {
			vcpu_sync(vcpu[n], i);
			CHECK(getppid() > 0);
			if (i & 1)
				usleep(1000);
		}
	}
	for (n = 0; n < ARRAY_SIZE(vcpu); n++)
		vcpu_done(vcpu[n]);
}

KSFT_MAIN(
	{ "cpu: HLT without an irqchip", test_hlt },
	{ "cpu: HLT in the kernel", test_hlt_kernel },
	{ "cpu: privileged instructions at CPL 3", test_user },
	{ "cpu: PAUSE", test_pause },
	{ "cpu: WBINVD, INVD, INVLPG", test_caches },
	{ "cpu: RDPMC", test_rdpmc },
	{ "cpu: VMCALL", test_vmcall },
	{ "cpu: VMX instructions", test_vmx },
	{ "cpu: triple fault", test_shutdown },
	{ "cpu: descriptor tables and UMIP", test_tables },
	{ "cpu: RDTSC and RDTSCP", test_rdtsc },
	{ "cpu: the host keeps its TSC_AUX", test_host_aux },
	{ "cpu: SYSCALL and RDTSCP of two guests", test_syscall },
)
