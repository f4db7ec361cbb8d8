// SPDX-License-Identifier: GPL-2.0-only
/* Unit test of the instruction decoder and executor against the real CPU */

/*
 * Random instructions of every form in the set run twice: decoded and
 * executed by kmod/insn/, and natively, in a stub that loads all registers
 * before and stores them after. Registers, flags and memory must agree. Both
 * 64-bit code and, through a far jump, 32-bit code run.
 */
#define _GNU_SOURCE

#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bits.h>

#include "../../kmod/insn/insn.h"
#include "tap.h"

#define ROUNDS		400000
#define CF		0x1
#define AF		0x10
#define OF		0x800
#define FLAGS		0xcd5	/* CF PF AF ZF SF DF OF */
#define BT_UNDEFINED	0x894	/* OF SF AF PF */
#define MUL_UNDEFINED	0xd4	/* SF ZF AF PF */
#define DIV_UNDEFINED	0x8d5
#define USER_CS32	0x23
#define USER_CS64	0x33
#define USER_DS		0x2b

/* How an opcode is written */
enum {
	MODRM = 0x01,
	IMM8 = 0x02,
	IMMZ = 0x04,		/* 2 or 4 bytes */
	OFFSET = 0x08,		/* address-size bytes */
	ONLY64 = 0x10,
	CLEAN = 0x20,		/* no other 66, F2, F3 */
	LOCK = 0x40,
	NEEDS_MOVBE = 0x100,
	NEEDS_SSE41 = 0x200,
};

static const struct template {
	const char *name;
	u16 flags;
	u8 first, last;		/* opcodes */
	u8 map;			/* 0; 1: 0F; 2: 0F 38 */
	u8 prefix;		/* mandatory */
	u8 ext_first, ext_last;	/* ModRM bits 5:3 when not 0, 0 */
} templates[] = {
	{ "add", MODRM | LOCK, 0x00, 0x01 }, { "add", MODRM, 0x02, 0x03 },
	{ "or", MODRM | LOCK, 0x08, 0x09 }, { "or", MODRM, 0x0a, 0x0b },
	{ "adc", MODRM | LOCK, 0x10, 0x11 }, { "adc", MODRM, 0x12, 0x13 },
	{ "sbb", MODRM | LOCK, 0x18, 0x19 }, { "sbb", MODRM, 0x1a, 0x1b },
	{ "and", MODRM | LOCK, 0x20, 0x21 }, { "and", MODRM, 0x22, 0x23 },
	{ "sub", MODRM | LOCK, 0x28, 0x29 }, { "sub", MODRM, 0x2a, 0x2b },
	{ "xor", MODRM | LOCK, 0x30, 0x31 }, { "xor", MODRM, 0x32, 0x33 },
	{ "cmp", MODRM, 0x38, 0x3b },
	{ "movsxd", MODRM | ONLY64, 0x63, 0x63 },
	{ "alu imm8", MODRM | IMM8, 0x80, 0x80, .ext_last = 7 },
	{ "alu imm", MODRM | IMMZ, 0x81, 0x81, .ext_last = 7 },
	{ "alu simm8", MODRM | IMM8 | LOCK, 0x83, 0x83, .ext_last = 6 },
	{ "test, xchg", MODRM, 0x84, 0x87 },
	{ "mov", MODRM, 0x88, 0x8b },
	{ "mov moffs", OFFSET, 0xa0, 0xa3 },
	{ "movs, cmps", 0, 0xa4, 0xa7 },
	{ "stos, lods, scas", 0, 0xaa, 0xaf },
	{ "mov imm8", MODRM | IMM8, 0xc6, 0xc6, .ext_last = 8 },
	{ "mov imm", MODRM | IMMZ, 0xc7, 0xc7, .ext_last = 8 },
	{ "test imm8", MODRM | IMM8, 0xf6, 0xf6, .ext_last = 1 },
	{ "test imm", MODRM | IMMZ, 0xf7, 0xf7, .ext_last = 1 },
	{ "not, neg", MODRM | LOCK, 0xf6, 0xf7, .ext_first = 2, .ext_last = 3 },
	{ "inc, dec", MODRM | LOCK, 0xfe, 0xff, .ext_last = 1 },
	{ "mul ... idiv", MODRM, 0xf6, 0xf7, .ext_first = 4, .ext_last = 7 },
	{ "imul", MODRM, 0xaf, 0xaf, 1 },
	{ "imul imm", MODRM | IMMZ, 0x69, 0x69 },
	{ "imul imm8", MODRM | IMM8, 0x6b, 0x6b },
	{ "shift imm8", MODRM | IMM8, 0xc0, 0xc1, .ext_last = 7 },
	{ "shift", MODRM, 0xd0, 0xd3, .ext_last = 7 },
	{ "shld imm8", MODRM | IMM8, 0xa4, 0xa4, 1 },
	{ "shld", MODRM, 0xa5, 0xa5, 1 },
	{ "shrd imm8", MODRM | IMM8, 0xac, 0xac, 1 },
	{ "shrd", MODRM, 0xad, 0xad, 1 },
	{ "cmpxchg8b", MODRM | LOCK, 0xc7, 0xc7, 1, .ext_first = 1, .ext_last = 1 },
	{ "push, pop", 0, 0x50, 0x5f },
	{ "push imm", IMMZ, 0x68, 0x68 },
	{ "push imm8", IMM8, 0x6a, 0x6a },
	{ "push memory", MODRM, 0xff, 0xff, .ext_first = 6, .ext_last = 6 },
	{ "pop memory", MODRM, 0x8f, 0x8f, .ext_last = 8 },
	{ "cmovcc", MODRM, 0x40, 0x4f, 1 },
	{ "setcc", MODRM, 0x90, 0x9f, 1 },
	{ "bt", MODRM, 0xa3, 0xa3, 1 },
	{ "bts", MODRM | LOCK, 0xab, 0xab, 1 },
	{ "btr", MODRM | LOCK, 0xb3, 0xb3, 1 },
	{ "btc", MODRM | LOCK, 0xbb, 0xbb, 1 },
	{ "bt imm", MODRM | IMM8, 0xba, 0xba, 1, .ext_first = 4, .ext_last = 7 },
	{ "cmpxchg", MODRM | LOCK, 0xb0, 0xb1, 1 },
	{ "xadd", MODRM | LOCK, 0xc0, 0xc1, 1 },
	{ "movzx", MODRM, 0xb6, 0xb7, 1 },
	{ "movsx", MODRM, 0xbe, 0xbf, 1 },
	{ "movnti", MODRM | CLEAN, 0xc3, 0xc3, 1 },
	{ "movbe", MODRM | NEEDS_MOVBE, 0xf0, 0xf1, 2 },
	{ "movups", MODRM | CLEAN, 0x10, 0x11, 1 },
	{ "movupd", MODRM | CLEAN, 0x10, 0x11, 1, 0x66 },
	{ "movss", MODRM | CLEAN, 0x10, 0x11, 1, 0xf3 },
	{ "movsd", MODRM | CLEAN, 0x10, 0x11, 1, 0xf2 },
	{ "movaps", MODRM | CLEAN, 0x28, 0x29, 1 },
	{ "movapd", MODRM | CLEAN, 0x28, 0x29, 1, 0x66 },
	{ "movntps", MODRM | CLEAN, 0x2b, 0x2b, 1 },
	{ "movntpd", MODRM | CLEAN, 0x2b, 0x2b, 1, 0x66 },
	{ "movd load", MODRM | CLEAN, 0x6e, 0x6e, 1, 0x66 },
	{ "movd store", MODRM | CLEAN, 0x7e, 0x7e, 1, 0x66 },
	{ "movq load", MODRM | CLEAN, 0x7e, 0x7e, 1, 0xf3 },
	{ "movq store", MODRM | CLEAN, 0xd6, 0xd6, 1, 0x66 },
	{ "movdqa load", MODRM | CLEAN, 0x6f, 0x6f, 1, 0x66 },
	{ "movdqa store", MODRM | CLEAN, 0x7f, 0x7f, 1, 0x66 },
	{ "movdqu load", MODRM | CLEAN, 0x6f, 0x6f, 1, 0xf3 },
	{ "movdqu store", MODRM | CLEAN, 0x7f, 0x7f, 1, 0xf3 },
	{ "movntdq", MODRM | CLEAN, 0xe7, 0xe7, 1, 0x66 },
	{ "lddqu", MODRM | CLEAN, 0xf0, 0xf0, 1, 0xf2 },
	{ "movntdqa", MODRM | CLEAN | NEEDS_SSE41, 0x2a, 0x2a, 2, 0x66 },
};

#define NR_TEMPLATES	(sizeof(templates) / sizeof(*templates))

/* All below 2 GiB, so that stub and operands have 32-bit addresses */
struct state {
	u64 gpr[16];
	u64 flags;
	u64 xmm[16][2];
};

#define SCRATCH		0x6000
static struct low {
	u8 code[4096];
	struct state in, out;
	u64 rsp, ds, es;
	u32 far_offset;
	u16 far_cs;
	u8 scratch[SCRATCH] __attribute__((aligned(4096)));
} *low;

static u8 shadow[SCRATCH];	/* of scratch, for the executor */
static unsigned int insn_at;	/* in low->code */
static bool have_movbe, have_sse41;

static u64 seed;

static u32 rnd(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 32;
}

static u64 rnd64(void)
{
	return (u64)rnd() << 32 | rnd();
}

static bool one_in(unsigned int n)
{
	return rnd() % n == 0;
}

/* Values at the edges, more often than chance would give */
static u64 rnd_value(void)
{
	static const u64 edge[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, 0x7fffffffffffffff,
		0x8000000000000000, ~0ULL, 0x0f, 0x10,
	};

	return rnd() % 3 ? rnd64() : edge[rnd() % 16];
}

static u32 addr_of(const void *p)
{
	return (unsigned long)p;
}

/* The stub, in machine code */
static u8 *pc;

static void emit(const char *bytes, int n)
{
	memcpy(pc, bytes, n);
	pc += n;
}

static void emit32(u32 v)
{
	memcpy(pc, &v, 4);
	pc += 4;
}

static void mov_rsp_imm(const void *p)
{
	emit("\x48\xc7\xc4", 3);
	emit32(addr_of(p));
}

/* opcode 8B load, 89 store, of a 64-bit register */
static void mov64(u8 opcode, int reg, const void *p)
{
	*pc++ = reg & 8 ? 0x4c : 0x48;
	*pc++ = opcode;
	*pc++ = 0x04 | (reg & 7) << 3;
	*pc++ = 0x25;
	emit32(addr_of(p));
}

static void mov32(u8 opcode, int reg, const void *p)
{
	*pc++ = opcode;
	*pc++ = 0x05 | reg << 3;
	emit32(addr_of(p));
}

/* opcode 6F load, 7F store */
static void movdqu(u8 opcode, int reg, const void *p)
{
	*pc++ = 0xf3;
	if (reg & 8)
		*pc++ = 0x44;
	*pc++ = 0x0f;
	*pc++ = opcode;
	*pc++ = 0x04 | (reg & 7) << 3;
	*pc++ = 0x25;
	emit32(addr_of(p));
}

static void build_prologue(bool compat)
{
	int i;

	pc = low->code;
	emit("\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
	mov64(0x89, EMYS_RSP, &low->rsp);
	if (compat) {
		emit("\x8c\xd8", 2);				/* mov %ds, %eax */
		mov64(0x89, EMYS_RAX, &low->ds);
		emit("\x8c\xc0", 2);				/* mov %es, %eax */
		mov64(0x89, EMYS_RAX, &low->es);
		emit("\xb8\x2b\0\0\0\x8e\xd8\x8e\xc0", 9);	/* both USER_DS */
	}
	for (i = 0; i < 16; i++)
		movdqu(0x6f, i, low->in.xmm[i]);
	mov_rsp_imm(&low->in.flags);
	emit("\x9d", 1);					/* popf */
	if (compat) {
		emit("\xff\x2c\x25", 3);			/* ljmp *far */
		emit32(addr_of(&low->far_offset));
		low->far_offset = addr_of(pc);
		low->far_cs = USER_CS32;
		for (i = 0; i < 8; i++)
			mov32(0x8b, i, &low->in.gpr[i]);
	} else {
		for (i = 0; i < 16; i++)
			mov64(0x8b, i, &low->in.gpr[i]);
	}
	insn_at = pc - low->code;
}

static void build_epilogue(bool compat)
{
	int i;

	if (compat) {
		for (i = 0; i < 8; i++)
			mov32(0x89, i, &low->out.gpr[i]);
		*pc++ = 0xea;					/* ljmp */
		emit32(addr_of(pc + 6));
		*pc++ = USER_CS64;
		*pc++ = 0;
	} else {
		for (i = 0; i < 16; i++)
			mov64(0x89, i, &low->out.gpr[i]);
	}
	mov_rsp_imm(&low->out.flags + 1);
	emit("\x9c\xfc", 2);					/* pushf, cld */
	for (i = 0; i < 16; i++)
		movdqu(0x7f, i, low->out.xmm[i]);
	if (compat) {
		mov64(0x8b, EMYS_RAX, &low->ds);
		emit("\x8e\xd8", 2);
		mov64(0x8b, EMYS_RAX, &low->es);
		emit("\x8e\xc0", 2);
	}
	mov64(0x8b, EMYS_RSP, &low->rsp);
	emit("\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	siglongjmp(fault_jump, sig);
}

static void set_up(void)
{
	static char stack[65536];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
	static const int signals[] = { SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE };
	unsigned int a, b, c, d, i;

	low = mmap(NULL, sizeof(*low), PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED) {
		printf("Bail out! no executable memory below 2 GiB\n");
		exit(1);
	}
	sigaltstack(&ss, NULL);
	for (i = 0; i < 5; i++)
		sigaction(signals[i], &sa, NULL);
	__cpuid(1, a, b, c, d);
	have_movbe = c & bit_MOVBE;
	have_sse41 = c & bit_SSE4_1;
	for (i = 0; i < SCRATCH; i++)
		low->scratch[i] = rnd();
	memcpy(shadow, low->scratch, SCRATCH);
}

/* Run what is at low->code; 0 or the signal it got */
static int run_native(void)
{
	int sig = sigsetjmp(fault_jump, 1);

	if (!sig)
		((void (*)(void))(void *)low->code)();
	return sig;
}

struct candidate {
	u8 bytes[24];
	unsigned int n;
	unsigned int disp_at;	/* 0: none that could be patched */
	unsigned int disp_bytes;
};

static void put(struct candidate *c, u8 byte)
{
	c->bytes[c->n++] = byte;
}

static void put_disp(struct candidate *c, unsigned int bytes)
{
	c->disp_at = c->n;
	c->disp_bytes = bytes;
	while (bytes--)
		put(c, rnd());
}

static void generate(const struct template *t, bool compat, struct candidate *c)
{
	static const u8 segs[] = { 0x26, 0x36, 0x3e };
	bool small = false, addr32 = compat;
	u8 rex = 0, opcode = t->first + rnd() % (t->last - t->first + 1);
	bool string = !t->map && ((opcode >= 0xa4 && opcode <= 0xa7) ||
				  (opcode >= 0xaa && opcode <= 0xaf));

	memset(c, 0, sizeof(*c));
	if (!compat && one_in(6)) {
		put(c, 0x67);
		addr32 = true;
	}
	if (one_in(8))
		put(c, segs[rnd() % 3]);
	if (!(t->flags & CLEAN) && one_in(4)) {
		put(c, 0x66);
		small = true;
	}
	if (t->prefix)
		put(c, t->prefix);
	if (string && one_in(2))
		put(c, 0xf2 + rnd() % 2);
	if ((t->flags & LOCK) && one_in(4))
		put(c, 0xf0);
	if (!compat && rnd() % 3) {
		rex = 0x40 | (rnd() & 0xf);
		put(c, rex);
	}
	if (t->map)
		put(c, 0x0f);
	if (t->map == 2)
		put(c, 0x38);
	put(c, opcode);
	if (t->flags & MODRM) {
		u8 mod = rnd() % 3, rm = rnd() & 7, reg = rnd() & 7;

		if (t->ext_last)
			reg = t->ext_first +
			      rnd() % ((t->ext_last & 7) - t->ext_first + 1);
		put(c, mod << 6 | reg << 3 | rm);
		if (rm == 4) {
			put(c, rnd());
			rm = c->bytes[c->n - 1] & 7;
		}
		if (mod == 1)
			put(c, rnd());
		else if (mod == 2 || rm == 5)
			put_disp(c, 4);
	}
	if (t->flags & OFFSET)
		put_disp(c, addr32 ? 4 : 8);
	if (t->flags & IMM8)
		put(c, rnd());
	if (t->flags & IMMZ) {
		int n = small && !(rex & 8) ? 2 : 4;

		while (n--)
			put(c, rnd());
	}
}

/* Choose registers (or the displacement) so that operand @i lies in scratch */
static bool aim(struct candidate *c, struct emys_insn *insn,
		struct emys_insn_cpu *cpu, int i)
{
	const struct emys_insn_mem *m = &insn->mem[i];
	bool half = insn->addr_size == 4 && !m->stack;
	u64 garbage = half ? (u64)rnd() << 32 : 0;
	u64 target = addr_of(low->scratch) + SCRATCH / 2 + rnd() % 256;
	u64 rest = 0;

	if (insn->size == 16)
		target &= ~15ULL;
	if (m->index != EMYS_INSN_NO_REG) {
		if (m->index == m->base)
			return false;
		cpu->gpr[m->index] = (s64)(rnd() % 64) - (insn->addr_size == 8 ? 32 : 0);
		rest = cpu->gpr[m->index] * m->scale;
		cpu->gpr[m->index] |= garbage;
	}
	if (m->base != EMYS_INSN_NO_REG) {
		u64 base = target - rest - m->disp;

		cpu->gpr[m->base] = half ? (u32)base | garbage : base;
	} else if (c->disp_at) {
		target -= rest;
		if (m->rip_relative)
			target -= cpu->rip + insn->length;
		memcpy(c->bytes + c->disp_at, &target, c->disp_bytes);
	}
	return true;
}

/* The stack first; then the other operand, unless RSP decides where that is */
static bool aim_all(struct candidate *c, struct emys_insn *insn,
		    struct emys_insn_cpu *cpu)
{
	bool stack = insn->op == EMYS_OP_PUSH || insn->op == EMYS_OP_POP;
	int second = !insn->mem[0].stack ? 0 : 1;

	if (stack && (insn->reads & 2)) {
		const struct emys_insn_mem *m = &insn->mem[second];
		u32 near = rnd() % 256;

		aim(c, insn, cpu, !second);
		if (m->base != EMYS_RSP)
			return aim(c, insn, cpu, second);
		if (m->index != EMYS_INSN_NO_REG)
			cpu->gpr[m->index] = rnd() % 64;
		if (c->disp_at)
			memcpy(c->bytes + c->disp_at, &near, 4);
		return true;
	}
	if (!aim(c, insn, cpu, 0))
		return false;
	if (insn->op == EMYS_OP_MOVS || insn->op == EMYS_OP_CMPS)
		aim(c, insn, cpu, 1);
	return true;
}

/* A dividend whose quotient may fit, mostly */
static void aim_dividend(const struct emys_insn *insn, struct emys_insn_cpu *cpu)
{
	u64 *high = &cpu->gpr[EMYS_RDX];

	if ((insn->op != EMYS_OP_DIV && insn->op != EMYS_OP_IDIV) || one_in(4) ||
	    insn->mem[0].base == EMYS_RDX || insn->mem[0].index == EMYS_RDX)
		return;
	*high = rnd() % 8;
	if (one_in(2))
		*high = -*high;
	if (insn->size == 1 && insn->mem[0].base != EMYS_RAX &&
	    insn->mem[0].index != EMYS_RAX)
		cpu->gpr[EMYS_RAX] = (s16)rnd() >> rnd() % 8;
}

static bool prepare(struct candidate *c, struct emys_insn *insn,
		    struct emys_insn_cpu *cpu, enum emys_insn_mode mode)
{
	bool bit_reg;
	u64 wide[2];
	u8 *at;
	int i;

	if (emys_insn_decode(insn, c->bytes, c->n, mode))
		return false;
	for (i = 0; i < 16; i++)
		cpu->gpr[i] = rnd_value();
	cpu->rip = addr_of(low->code) + insn_at;
	cpu->rflags = (rnd() & FLAGS) | 0x202;
	cpu->ss_big = mode == EMYS_INSN_32;

	bit_reg = insn->op <= EMYS_OP_BTC && insn->op >= EMYS_OP_BT &&
		  !insn->has_imm;
	if (bit_reg) {
		if (insn->reg == insn->mem[0].base || insn->reg == insn->mem[0].index)
			return false;
		cpu->gpr[insn->reg] = (s64)(rnd() % 60000) - 30000;
	}
	if (!aim_all(c, insn, cpu))
		return false;
	aim_dividend(insn, cpu);
	if (insn->rep)
		cpu->gpr[EMYS_RCX] = rnd() % 6 |
			(insn->addr_size == 4 ? (u64)rnd() << 32 : 0);
	if (emys_insn_decode(insn, c->bytes, c->n, mode))
		return false;

	/* give CMPXCHG, SCAS and CMPS something to find */
	at = (u8 *)(unsigned long)emys_insn_offset(insn, cpu, 0);
	if ((insn->op == EMYS_OP_CMPXCHG || insn->op == EMYS_OP_SCAS) && one_in(2)) {
		memcpy(at, &cpu->gpr[EMYS_RAX], 8);
		memcpy(shadow + (at - low->scratch), &cpu->gpr[EMYS_RAX], 8);
	}
	if (insn->op == EMYS_OP_CMPXCHG8B && one_in(2)) {
		wide[0] = cpu->gpr[EMYS_RAX];
		wide[1] = cpu->gpr[EMYS_RDX];
		if (insn->size == 8)
			wide[0] = wide[1] << 32 | (u32)wide[0];
		memcpy(at, wide, insn->size);
		memcpy(shadow + (at - low->scratch), wide, insn->size);
	}
	if (insn->op == EMYS_OP_CMPS && one_in(2)) {
		u8 *from = (u8 *)(unsigned long)emys_insn_offset(insn, cpu, 1);

		memmove(at, from, 16);
		memcpy(shadow, low->scratch, SCRATCH);
	}
	return true;
}

static u8 *in_shadow(u64 offset, unsigned int size)
{
	u64 at = offset - addr_of(low->scratch);

	return at <= SCRATCH - size ? shadow + at : NULL;
}

/* 0, the signal that stands for the fault, or -1: an address beyond memory */
static int execute(const struct emys_insn *insn, struct emys_insn_cpu *cpu,
		   u64 xmm[16][2])
{
	struct emys_insn_result res;
	u64 in[2];
	int i;

	do {
		u64 offset = emys_insn_offset(insn, cpu, 0);
		u8 *p = in_shadow(offset, insn->size);

		if (!p)
			return -1;
		in[0] = rnd64();
		in[1] = rnd64();
		for (i = 0; i < 2; i++) {
			u8 *r = in_shadow(emys_insn_offset(insn, cpu, i), insn->size);

			if (!(insn->reads & (1 << i)) || !emys_insn_left(insn, cpu))
				continue;
			if (!r)
				return -1;
			memcpy(i ? &in[1] : in, r, insn->size);
		}
		emys_insn_execute(insn, cpu, in, insn->vec ? xmm[insn->reg] : NULL,
				  &res);
		if (res.divide_error)
			return SIGFPE;
		if (res.write)
			memcpy(p, res.out, insn->size);
		if (res.vec_write)
			memcpy(xmm[insn->reg], res.vec, 16);
		*cpu = res.cpu;
	} while (res.again);
	return 0;
}

/* Flags that the manual does not define after this instruction */
static u64 undefined_flags(const struct emys_insn *insn, u64 rcx)
{
	unsigned int count = (insn->has_imm ? (u64)insn->imm : rcx) &
			     (insn->size == 8 ? 0x3f : 0x1f);

	switch (insn->op) {
	case EMYS_OP_BT ... EMYS_OP_BTC:
		return BT_UNDEFINED;
	case EMYS_OP_AND:
	case EMYS_OP_OR:
	case EMYS_OP_XOR:
	case EMYS_OP_TEST:
		return AF;
	case EMYS_OP_ROL ... EMYS_OP_RCR:
		return count > 1 ? OF : 0;
	case EMYS_OP_SHL ... EMYS_OP_SAR:
		return (count ? AF : 0) | (count > 1 ? OF : 0) |
		       (count >= 8 * insn->size && insn->op != EMYS_OP_SAR ? CF : 0);
	case EMYS_OP_SHLD:
	case EMYS_OP_SHRD:
		return (count ? AF : 0) | (count > 1 ? OF : 0);
	case EMYS_OP_MUL:
	case EMYS_OP_IMUL:
		return MUL_UNDEFINED;
	case EMYS_OP_DIV:
	case EMYS_OP_IDIV:
		return DIV_UNDEFINED;
	}
	return 0;
}

/* SHLD and SHRD of 16 bits by more than 16: CPUs differ */
static bool undefined_result(const struct emys_insn *insn, u64 rcx)
{
	return (insn->op == EMYS_OP_SHLD || insn->op == EMYS_OP_SHRD) &&
	       insn->size == 2 && ((insn->has_imm ? (u64)insn->imm : rcx) & 0x1f) > 16;
}

static const char *hex(const struct candidate *c)
{
	static char text[100];
	unsigned int i;

	for (i = 0; i < c->n; i++)
		sprintf(text + 3 * i, "%02x ", c->bytes[i]);
	return text;
}

static void compare(const struct template *t, const struct candidate *c,
		    const struct emys_insn *insn, const struct emys_insn_cpu *cpu,
		    u64 xmm[16][2], bool halves)
{
	u64 mask = halves ? 0xffffffff : ~0ULL;
	u64 flags = FLAGS & ~undefined_flags(insn, low->in.gpr[EMYS_RCX]);
	int i;

	for (i = 0; i < (halves ? 8 : 16); i++)
		expect((cpu->gpr[i] & mask) == (low->out.gpr[i] & mask),
		       "%s %s: register %d is %#llx, CPU says %#llx", t->name,
		       hex(c), i, cpu->gpr[i], low->out.gpr[i]);
	expect(!((cpu->rflags ^ low->out.flags) & flags),
	       "%s %s: flags %#llx, CPU says %#llx, from %#llx", t->name, hex(c),
	       cpu->rflags & flags, low->out.flags & flags, low->in.flags & flags);
	expect(cpu->rip == addr_of(low->code) + insn_at + c->n,
	       "%s %s: RIP moves by %lld", t->name, hex(c),
	       cpu->rip - addr_of(low->code) - insn_at);
	expect(!memcmp(xmm, low->out.xmm, sizeof(low->out.xmm)),
	       "%s %s: XMM registers differ", t->name, hex(c));
	for (i = 0; memcmp(shadow, low->scratch, SCRATCH) && i < SCRATCH; i++) {
		expect(shadow[i] == low->scratch[i],
		       "%s %s: byte %#x of memory is %#x, CPU says %#x",
		       t->name, hex(c), i, shadow[i], low->scratch[i]);
		if (shadow[i] != low->scratch[i])
			break;
	}
}

static void run_mode(bool compat)
{
	enum emys_insn_mode mode = compat ? EMYS_INSN_32 : EMYS_INSN_64;
	int count[NR_TEMPLATES] = {};
	unsigned int i;
	int round;

	build_prologue(compat);
	for (round = 0; round < ROUNDS && tap_failures < 10; round++) {
		const struct template *t = &templates[rnd() % NR_TEMPLATES];
		struct emys_insn_cpu cpu;
		struct emys_insn insn;
		struct candidate c;
		u64 xmm[16][2];
		bool no_element;
		int sig, want;

		if (((t->flags & NEEDS_MOVBE) && !have_movbe) ||
		    ((t->flags & NEEDS_SSE41) && !have_sse41) ||
		    ((t->flags & ONLY64) && compat))
			continue;
		generate(t, compat, &c);
		if (!prepare(&c, &insn, &cpu, mode) ||
		    undefined_result(&insn, cpu.gpr[EMYS_RCX]))
			continue;

		/*
		 * A repeat count of 0 with 32-bit addresses: CPUs differ in
		 * what becomes of the upper halves
		 */
		no_element = insn.addr_size == 4 && !emys_insn_left(&insn, &cpu);

		memcpy(low->in.gpr, cpu.gpr, sizeof(cpu.gpr));
		low->in.flags = cpu.rflags;
		for (i = 0; i < 16; i++) {
			low->in.xmm[i][0] = xmm[i][0] = rnd64();
			low->in.xmm[i][1] = xmm[i][1] = rnd64();
		}
		pc = low->code + insn_at;
		emit((char *)c.bytes, c.n);
		build_epilogue(compat);

		sig = run_native();
		want = execute(&insn, &cpu, xmm);
		expect(want >= 0, "%s %s: address beyond memory", t->name, hex(&c));
		expect(sig == want, "%s %s: the CPU raised signal %d, not %d", t->name,
		       hex(&c), sig, want);
		if (sig)
			continue;
		compare(t, &c, &insn, &cpu, xmm, compat || no_element);
		if (memcmp(shadow, low->scratch, SCRATCH))
			memcpy(shadow, low->scratch, SCRATCH);
		count[t - templates]++;
	}
	for (i = 0; i < NR_TEMPLATES && !tap_failures; i++) {
		if (count[i])
			continue;
		if (((templates[i].flags & NEEDS_MOVBE) && !have_movbe) ||
		    ((templates[i].flags & NEEDS_SSE41) && !have_sse41))
			printf("# %s: not run, this CPU lacks it\n", templates[i].name);
		else
			expect(compat && templates[i].flags & ONLY64,
			       "%s never ran", templates[i].name);
	}
}

static void test_64(void)
{
	run_mode(false);
}

static void test_32(void)
{
	run_mode(true);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "insn: 64-bit code as the CPU runs it", test_64 },
		{ "insn: 32-bit code as the CPU runs it", test_32 },
	};

	seed = 20;
	set_up();
	return tap_run(tests, sizeof(tests) / sizeof(*tests));
}
