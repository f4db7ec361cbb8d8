// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/resume: fields that change between entries, in two VMCSs by turns. What L2 sees is
 * always what its VMCS has, whatever an implementation thinks has not changed.
 */
#include "nested.h"

#define ROUNDS	400

/* what L2 looks at, and what L1 thinks of it */
enum view {
	V_ES, V_DS, V_FS, V_GS, V_LDTR, V_TR, V_FS_BASE, V_GS_BASE, V_GDTR_BASE, V_GDTR_LIMIT,
	V_IDTR_BASE, V_IDTR_LIMIT, V_CR0, V_CR3, V_CR4, V_DR7, V_RFLAGS, V_SYSENTER_CS,
	V_SYSENTER_ESP, V_SYSENTER_EIP, V_EFER, V_PAT, V_TSC,
	VIEWS
};

static volatile u64 seen[VIEWS];

struct table_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

/* one VMCS as it must be */
struct model {
	u64 value[VIEWS];
	u64 cr0_mask, cr0_shadow, cr4_mask, cr4_shadow;
	bool rdtsc_exits;
	bool launched;
};

static struct model models[2];
static u64 rng = 88172645463325252ull;

static u64 random64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* RFLAGS before any instruction changes them */
u64 resume_flags;

asm(".text\n"
    ".globl l2_start\n"
    "l2_start:\n"
    "	pushfq\n"
    "	popq resume_flags(%rip)\n"
    "	jmp l2_look\n");

void l2_start(void);
void l2_look(u64 change);

/* L2: look, and change what it may; the argument says whether */
void l2_look(u64 change)
{
	struct table_ptr gdt, idt;
	u16 es, ds, fs, gs, ldtr, tr;

	seen[V_RFLAGS] = *(volatile u64 *)&resume_flags;
	asm volatile("sgdt %0\n"
		     "sidt %1\n" : "=m"(gdt), "=m"(idt));
	asm volatile("mov %%es, %0\n"
		     "mov %%ds, %1\n"
		     "mov %%fs, %2\n"
		     "mov %%gs, %3\n"
		     "sldt %4\n"
		     "str %5\n" : "=r"(es), "=r"(ds), "=r"(fs), "=r"(gs), "=r"(ldtr), "=r"(tr));
	seen[V_ES] = es;
	seen[V_DS] = ds;
	seen[V_FS] = fs;
	seen[V_GS] = gs;
	seen[V_LDTR] = ldtr;
	seen[V_TR] = tr;
	seen[V_GDTR_BASE] = gdt.base;
	seen[V_GDTR_LIMIT] = gdt.limit;
	seen[V_IDTR_BASE] = idt.base;
	seen[V_IDTR_LIMIT] = idt.limit;
	seen[V_FS_BASE] = rdmsr(MSR_FS_BASE);
	seen[V_GS_BASE] = rdmsr(MSR_GS_BASE);
	seen[V_CR0] = read_cr0();
	seen[V_CR3] = read_cr3();
	seen[V_CR4] = read_cr4();
	seen[V_DR7] = read_dr7();
	seen[V_SYSENTER_CS] = rdmsr(MSR_SYSENTER_CS);
	seen[V_SYSENTER_ESP] = rdmsr(MSR_SYSENTER_ESP);
	seen[V_SYSENTER_EIP] = rdmsr(MSR_SYSENTER_EIP);
	seen[V_EFER] = rdmsr(MSR_EFER);
	seen[V_PAT] = rdmsr(MSR_PAT);
	seen[V_TSC] = rdtsc();
	if (!change)
		return;
	wrmsr(MSR_FS_BASE, change);
	wrmsr(MSR_SYSENTER_EIP, change + 1);
	write_dr7(0x400 | (change & 0xff0000));
	/* its own bits; those of L1 as it sees them */
	write_cr0(read_cr0() ^ X86_CR0_MP);
	write_cr4(read_cr4() ^ X86_CR4_DE);
}

static u64 canonical(void)
{
	u64 v = random64() & 0x7fffffffffffull;

	return random64() & 1 ? v : v | 0xffff800000000000ull;
}

/* a field and its model get a new value */
static void put(struct model *m, enum view view, u64 field, u64 v)
{
	m->value[view] = v;
	vmwrite(field, v);
}

#define CR0_FREE	(X86_CR0_TS | X86_CR0_WP | X86_CR0_AM | X86_CR0_MP)
#define CR4_FREE	(X86_CR4_DE | X86_CR4_PCE | X86_CR4_PGE | X86_CR4_OSFXSR)
#define RFLAGS_FREE	0x2408d5ull

static void change_one(struct model *m)
{
	u64 v = random64();

	switch (v % 24) {
	case 0:
		put(m, V_ES, GUEST_ES, v >> 8 & 0xfff8);
		break;
	case 1:
		put(m, V_DS, GUEST_DS, v >> 8 & 0xfff8);
		break;
	case 2:
		put(m, V_FS, GUEST_FS, v >> 8 & 0xfff8);
		break;
	case 3:
		put(m, V_GS, GUEST_GS, v >> 8 & 0xfff8);
		break;
	case 4:
		put(m, V_LDTR, GUEST_LDTR, v >> 8 & 0xfff8);
		break;
	case 5:
		put(m, V_TR, GUEST_TR, (v >> 8 & 0xfff8) | 8);
		break;
	case 6:
		put(m, V_FS_BASE, GUEST_FS_BASE, canonical());
		break;
	case 7:
		put(m, V_GS_BASE, GUEST_GS_BASE, canonical());
		break;
	case 8:
		put(m, V_GDTR_BASE, GUEST_GDTR_BASE, canonical());
		break;
	case 9:
		put(m, V_GDTR_LIMIT, GUEST_GDTR_LIMIT, v >> 8 & 0xffff);
		break;
	case 10:
		put(m, V_IDTR_BASE, GUEST_IDTR_BASE, canonical());
		break;
	case 11:
		put(m, V_IDTR_LIMIT, GUEST_IDTR_LIMIT, v >> 8 & 0xffff);
		break;
	case 12:
		put(m, V_CR0, GUEST_CR0, m->value[V_CR0] ^ (v >> 8 & CR0_FREE));
		break;
	case 13:
		put(m, V_CR3, GUEST_CR3, (m->value[V_CR3] & ~0x18ull) | (v >> 8 & 0x18));
		break;
	case 14:
		put(m, V_CR4, GUEST_CR4, m->value[V_CR4] ^ (v >> 8 & CR4_FREE));
		break;
	case 15:
		put(m, V_DR7, GUEST_DR7, 0x400 | (v >> 8 & 0xff0000));
		break;
	case 16:
		put(m, V_SYSENTER_CS, GUEST_SYSENTER_CS, v >> 32);
		break;
	case 17:
		put(m, V_SYSENTER_ESP, GUEST_SYSENTER_ESP, canonical());
		break;
	case 18:
		put(m, V_SYSENTER_EIP, GUEST_SYSENTER_EIP, canonical());
		break;
	case 19:
		put(m, V_EFER, GUEST_EFER, m->value[V_EFER] ^ (v & 256 ? X86_EFER_SCE : X86_EFER_NX));
		break;
	case 20:
		put(m, V_PAT, GUEST_PAT, v & 256 ? 0x0606060606060606ull : 0x0007040600070406ull);
		break;
	case 21:
		put(m, V_TSC, TSC_OFFSET, v >> 20);
		break;
	case 22:
		m->cr0_mask = v >> 8 & (X86_CR0_TS | X86_CR0_AM);
		m->cr0_shadow = v >> 16 & (X86_CR0_TS | X86_CR0_AM);
		m->cr4_mask = v >> 24 & (X86_CR4_PGE | X86_CR4_PCE | X86_CR4_VMXE);
		m->cr4_shadow = v >> 32 & (X86_CR4_PGE | X86_CR4_PCE | X86_CR4_VMXE);
		vmwrite(CR0_MASK, m->cr0_mask);
		vmwrite(CR0_SHADOW, m->cr0_shadow);
		vmwrite(CR4_MASK, m->cr4_mask);
		vmwrite(CR4_SHADOW, m->cr4_shadow);
		break;
	case 23:
		m->rdtsc_exits = v >> 8 & 1;
		l1_control(PROC_CTL, m->rdtsc_exits ? PROC_RDTSC : 0,
			   m->rdtsc_exits ? 0 : PROC_RDTSC);
		break;
	}
}

static void make(struct model *m, void *vmcs)
{
	static const u64 fields[VIEWS] = {
		[V_ES] = GUEST_ES, [V_DS] = GUEST_DS, [V_FS] = GUEST_FS, [V_GS] = GUEST_GS,
		[V_LDTR] = GUEST_LDTR, [V_TR] = GUEST_TR, [V_FS_BASE] = GUEST_FS_BASE,
		[V_GS_BASE] = GUEST_GS_BASE, [V_GDTR_BASE] = GUEST_GDTR_BASE,
		[V_GDTR_LIMIT] = GUEST_GDTR_LIMIT, [V_IDTR_BASE] = GUEST_IDTR_BASE,
		[V_IDTR_LIMIT] = GUEST_IDTR_LIMIT, [V_CR0] = GUEST_CR0, [V_CR3] = GUEST_CR3,
		[V_CR4] = GUEST_CR4, [V_DR7] = GUEST_DR7, [V_RFLAGS] = GUEST_RFLAGS,
		[V_SYSENTER_CS] = GUEST_SYSENTER_CS, [V_SYSENTER_ESP] = GUEST_SYSENTER_ESP,
		[V_SYSENTER_EIP] = GUEST_SYSENTER_EIP, [V_EFER] = GUEST_EFER, [V_PAT] = GUEST_PAT,
		[V_TSC] = TSC_OFFSET,
	};
	unsigned int i;

	l1_make_vmcs(vmcs, l2_start, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS | PROC_TSC_OFFSET,
		   PROC_CR3_LOAD | PROC_CR3_STORE);
	l1_control(ENTRY_CTL, ENTRY_LOAD_DEBUG | ENTRY_LOAD_EFER | ENTRY_LOAD_PAT, 0);
	l1_control(EXIT_CTL, EXIT_SAVE_DEBUG | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT |
		   EXIT_LOAD_PAT, 0);
	for (i = 0; i < VIEWS; i++)
		m->value[i] = vmread(fields[i]);
}

static u64 expected(const struct model *m, enum view view)
{
	switch (view) {
	case V_CR0:
		return (m->value[view] & ~m->cr0_mask) | (m->cr0_shadow & m->cr0_mask);
	case V_CR4:
		return (m->value[view] & ~m->cr4_mask) | (m->cr4_shadow & m->cr4_mask);
	default:
		return m->value[view];
	}
}

static void one_run(struct model *m, u64 round)
{
	u64 change = random64() % 3 ? 0 : (random64() & 0x3fffffff) | 1;
	u64 before, after, r, i;

	l2_call(l2_start, change);
	m->value[V_RFLAGS] = 2 | (random64() & RFLAGS_FREE);
	vmwrite(GUEST_RFLAGS, m->value[V_RFLAGS]);
	l2_launched = m->launched;
	before = rdtsc();
	if (m->rdtsc_exits) {
		GUEST_ASSERT_AT(l2_run() == REASON_RDTSC, round, 0);
		l2_skip();
		l2_regs.rax = 0x11111111;
		l2_regs.rdx = 0x2222;
	}
	r = l2_run();
	after = rdtsc();
	GUEST_ASSERT_AT(r == REASON_VMCALL, round, r);
	m->launched = true;
	for (i = 0; i < V_TSC; i++)
		GUEST_ASSERT_AT(seen[i] == expected(m, i), round << 8 | i, seen[i]);
	if (m->rdtsc_exits)
		GUEST_ASSERT_AT(seen[V_TSC] == 0x222211111111ull, round, seen[V_TSC]);
	else
		GUEST_ASSERT_AT(seen[V_TSC] >= before + m->value[V_TSC] &&
				seen[V_TSC] <= after + m->value[V_TSC], round, seen[V_TSC]);
	if (change) {
		m->value[V_FS_BASE] = change;
		m->value[V_SYSENTER_EIP] = change + 1;
		m->value[V_DR7] = 0x400 | (change & 0xff0000);
		m->value[V_CR0] ^= X86_CR0_MP;
		m->value[V_CR4] ^= X86_CR4_DE;
	}
	GUEST_ASSERT_AT(vmread(GUEST_FS_BASE) == m->value[V_FS_BASE], round, change);
	GUEST_ASSERT_AT(vmread(GUEST_SYSENTER_EIP) == m->value[V_SYSENTER_EIP], round, change);
	GUEST_ASSERT_AT(vmread(GUEST_DR7) == m->value[V_DR7], round, change);
	GUEST_ASSERT_AT(vmread(GUEST_CR0) == m->value[V_CR0], round, vmread(GUEST_CR0));
	GUEST_ASSERT_AT(vmread(GUEST_CR4) == m->value[V_CR4], round, vmread(GUEST_CR4));
	GUEST_ASSERT_AT(vmread(GUEST_EFER) == m->value[V_EFER], round, vmread(GUEST_EFER));
	GUEST_ASSERT_AT(vmread(GUEST_GS_BASE) == m->value[V_GS_BASE], round, 0);
	GUEST_ASSERT_AT(vmread(GUEST_IDTR_LIMIT) == m->value[V_IDTR_LIMIT], round, 0);
}

static void guest_resume(u64 ept)
{
	u8 *const vmcs[] = { l1_vmcs, l1_vmcs2 };
	u64 round, n, at = 1, eptp = 0;

	l1_vmx_on();
	if (ept)
		eptp = ept_identity(2);
	for (n = 0; n < 2; n++) {
		make(&models[n], vmcs[n]);
		if (ept)
			l1_use_ept(eptp);
	}
	for (round = 0; round < ROUNDS; round++) {
		if (!(random64() % 4)) {
			at ^= 1;
			GUEST_ASSERT_EQ(try_vmptrld(pa(vmcs[at])), VMX_OK);
		}
		if (!(random64() % 16)) {
			GUEST_ASSERT_EQ(try_vmclear(pa(vmcs[at])), VMX_OK);
			GUEST_ASSERT_EQ(try_vmptrld(pa(vmcs[at])), VMX_OK);
			models[at].launched = false;
		}
		for (n = random64() % 4; n; n--)
			change_one(&models[at]);
		one_run(&models[at], round);
	}
}

static void resume(u64 ept)
{
	struct vcpu *vcpu = nested_vcpu(guest_resume, ept);

	REQUIRE(nested_can(vcpu, PROC_CTL, PROC_MSR_BITMAPS | PROC_TSC_OFFSET) &&
		nested_can(vcpu, ENTRY_CTL, ENTRY_LOAD_EFER | ENTRY_LOAD_PAT) &&
		nested_can(vcpu, EXIT_CTL, EXIT_LOAD_EFER | EXIT_SAVE_EFER | EXIT_SAVE_PAT |
			   EXIT_LOAD_PAT), "not all of it is offered");
	REQUIRE(!ept || nested_can(vcpu, PROC2_CTL, PROC2_EPT), "no EPT");
	vcpu_done(vcpu);
}

/* L2 sees what its VMCS has, over four hundred entries with random changes. */
static void test_resume(void)
{
	resume(0);
}

/* The same with EPT12. */
static void test_resume_ept(void)
{
	resume(1);
}

KSFT_MAIN(
	{ "resume: fields that change", test_resume, 60 },
	{ "resume: fields that change, with EPT", test_resume_ept, 60 },
)
