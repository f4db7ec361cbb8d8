// SPDX-License-Identifier: GPL-2.0-only
/* The instruction decoder: bytes to struct emys_insn */

/*
 * DOC: decoding
 *
 *	prefixes  REX  opcode  ModRM  SIB  displacement  immediate
 *
 * One table row per opcode says the operation and the form of the operands; a
 * group row leads to a second table, chosen by bits 5:3 of ModRM. Reading past
 * the bytes sets a sticky error and yields zeros, so the code below reads
 * straight through and asks once per step.
 */

#include <linux/compiler.h>
#include <linux/string.h>

#include "insn.h"

enum form {
	F_NONE,		/* not in the set */
	F_UD,		/* does not exist */
	F_MRI,		/* memory, register, immediate */
	F_MR,		/* memory, register */
	F_RM,		/* register, memory */
	F_RMI,		/* register, memory, immediate */
	F_RX,		/* register, memory of another size: 1 or 2 by W */
	F_RS,		/* MOVSXD */
	F_M,		/* memory */
	F_QUAD,		/* memory of 8 bytes, 16 with REX.W */
	F_GROUP,	/* op is the number of the group; the last with ModRM */
	F_MI,		/* memory, immediate; only in groups */
	F_STACK_M,	/* PUSH, POP of memory; only in groups */
	F_STACK_R,	/* of a register in the opcode */
	F_STACK_I,	/* of an immediate */
	F_OFF_LOAD,	/* accumulator, absolute offset */
	F_OFF_STORE,
	F_STRING,
};

#define W	0x01	/* bit 0 of the opcode is clear for operand size 1 */
#define BYTE	0x02	/* operand size is 1 */
#define IMM8	0x04	/* the immediate is one byte */
#define MEM	0x08	/* a register instead of memory is #UD */
#define NO_PFX	0x10	/* 66, F2 and F3 are #UD */
#define IMM_1	0x20	/* the immediate is 1, in no byte */
#define CL	0x40	/* CL instead of an immediate */

struct row {
	u8 op;
	u8 form;
	u8 flags;
};

enum {
	GRP_80, GRP_8F, GRP_C0, GRP_C6, GRP_F6, GRP_FE, GRP_FF, GRP_BA, GRP_C7,
	GRP_NR
};

static const struct row map_1[256] = {
	[0x00 ... 0x01] = { EMYS_OP_ADD, F_MR, W },
	[0x02 ... 0x03] = { EMYS_OP_ADD, F_RM, W },
	[0x08 ... 0x09] = { EMYS_OP_OR, F_MR, W },
	[0x0a ... 0x0b] = { EMYS_OP_OR, F_RM, W },
	[0x10 ... 0x11] = { EMYS_OP_ADC, F_MR, W },
	[0x12 ... 0x13] = { EMYS_OP_ADC, F_RM, W },
	[0x18 ... 0x19] = { EMYS_OP_SBB, F_MR, W },
	[0x1a ... 0x1b] = { EMYS_OP_SBB, F_RM, W },
	[0x20 ... 0x21] = { EMYS_OP_AND, F_MR, W },
	[0x22 ... 0x23] = { EMYS_OP_AND, F_RM, W },
	[0x28 ... 0x29] = { EMYS_OP_SUB, F_MR, W },
	[0x2a ... 0x2b] = { EMYS_OP_SUB, F_RM, W },
	[0x30 ... 0x31] = { EMYS_OP_XOR, F_MR, W },
	[0x32 ... 0x33] = { EMYS_OP_XOR, F_RM, W },
	[0x38 ... 0x39] = { EMYS_OP_CMP, F_MR, W },
	[0x3a ... 0x3b] = { EMYS_OP_CMP, F_RM, W },
	[0x50 ... 0x57] = { EMYS_OP_PUSH, F_STACK_R },
	[0x58 ... 0x5f] = { EMYS_OP_POP, F_STACK_R },
	[0x63] = { EMYS_OP_MOVSX, F_RS },
	[0x68] = { EMYS_OP_PUSH, F_STACK_I },
	[0x69] = { EMYS_OP_IMUL, F_RMI },
	[0x6a] = { EMYS_OP_PUSH, F_STACK_I, IMM8 },
	[0x6b] = { EMYS_OP_IMUL, F_RMI, IMM8 },
	[0x6c ... 0x6d] = { EMYS_OP_INS, F_STRING, W },
	[0x6e ... 0x6f] = { EMYS_OP_OUTS, F_STRING, W },
	[0x80 ... 0x82] = { GRP_80, F_GROUP, W },
	[0x83] = { GRP_80, F_GROUP, IMM8 },
	[0x84 ... 0x85] = { EMYS_OP_TEST, F_MR, W },
	[0x86 ... 0x87] = { EMYS_OP_XCHG, F_MR, W },
	[0x88 ... 0x89] = { EMYS_OP_MOV, F_MR, W },
	[0x8a ... 0x8b] = { EMYS_OP_MOV, F_RM, W },
	[0x8f] = { GRP_8F, F_GROUP },
	[0xa0 ... 0xa1] = { EMYS_OP_MOV, F_OFF_LOAD, W },
	[0xa2 ... 0xa3] = { EMYS_OP_MOV, F_OFF_STORE, W },
	[0xa4 ... 0xa5] = { EMYS_OP_MOVS, F_STRING, W },
	[0xa6 ... 0xa7] = { EMYS_OP_CMPS, F_STRING, W },
	[0xaa ... 0xab] = { EMYS_OP_STOS, F_STRING, W },
	[0xac ... 0xad] = { EMYS_OP_LODS, F_STRING, W },
	[0xae ... 0xaf] = { EMYS_OP_SCAS, F_STRING, W },
	[0xc0 ... 0xc1] = { GRP_C0, F_GROUP, W | IMM8 },
	[0xc6 ... 0xc7] = { GRP_C6, F_GROUP, W },
	[0xd0 ... 0xd1] = { GRP_C0, F_GROUP, W | IMM_1 },
	[0xd2 ... 0xd3] = { GRP_C0, F_GROUP, W | CL },
	[0xf6 ... 0xf7] = { GRP_F6, F_GROUP, W },
	[0xfe] = { GRP_FE, F_GROUP, BYTE },
	[0xff] = { GRP_FF, F_GROUP },
};

static const struct row map_0f[256] = {
	[0x40 ... 0x4f] = { EMYS_OP_CMOVCC, F_RM },
	[0x90 ... 0x9f] = { EMYS_OP_SETCC, F_M, BYTE },
	[0xa3] = { EMYS_OP_BT, F_MR },
	[0xa4] = { EMYS_OP_SHLD, F_MRI, IMM8 },
	[0xa5] = { EMYS_OP_SHLD, F_MR },
	[0xab] = { EMYS_OP_BTS, F_MR },
	[0xac] = { EMYS_OP_SHRD, F_MRI, IMM8 },
	[0xad] = { EMYS_OP_SHRD, F_MR },
	[0xaf] = { EMYS_OP_IMUL, F_RM },
	[0xb0 ... 0xb1] = { EMYS_OP_CMPXCHG, F_MR, W },
	[0xb3] = { EMYS_OP_BTR, F_MR },
	[0xb6 ... 0xb7] = { EMYS_OP_MOVZX, F_RX, W },
	[0xba] = { GRP_BA, F_GROUP, IMM8 },
	[0xbb] = { EMYS_OP_BTC, F_MR },
	[0xbe ... 0xbf] = { EMYS_OP_MOVSX, F_RX, W },
	[0xc0 ... 0xc1] = { EMYS_OP_XADD, F_MR, W },
	[0xc3] = { EMYS_OP_MOV, F_MR, MEM | NO_PFX },	/* MOVNTI */
	[0xc7] = { GRP_C7, F_GROUP },
};

static const struct row movbe_load = { EMYS_OP_MOVBE, F_RM, MEM };
static const struct row movbe_store = { EMYS_OP_MOVBE, F_MR, MEM };

static const struct row groups[GRP_NR][8] = {
	[GRP_80] = {
		{ EMYS_OP_ADD, F_MI }, { EMYS_OP_OR, F_MI },
		{ EMYS_OP_ADC, F_MI }, { EMYS_OP_SBB, F_MI },
		{ EMYS_OP_AND, F_MI }, { EMYS_OP_SUB, F_MI },
		{ EMYS_OP_XOR, F_MI }, { EMYS_OP_CMP, F_MI },
	},
	[GRP_8F] = {
		{ EMYS_OP_POP, F_STACK_M }, [1 ... 7] = { 0, F_UD },
	},
	[GRP_C0] = {	/* 6 is an alias of 4 */
		{ EMYS_OP_ROL, F_MI }, { EMYS_OP_ROR, F_MI },
		{ EMYS_OP_RCL, F_MI }, { EMYS_OP_RCR, F_MI },
		{ EMYS_OP_SHL, F_MI }, { EMYS_OP_SHR, F_MI },
		{ EMYS_OP_SHL, F_MI }, { EMYS_OP_SAR, F_MI },
	},
	[GRP_C6] = {
		{ EMYS_OP_MOV, F_MI }, [1 ... 7] = { 0, F_UD },
	},
	[GRP_F6] = {
		{ EMYS_OP_TEST, F_MI }, { EMYS_OP_TEST, F_MI },
		{ EMYS_OP_NOT, F_M }, { EMYS_OP_NEG, F_M },
		{ EMYS_OP_MUL, F_M }, { EMYS_OP_IMUL, F_M },
		{ EMYS_OP_DIV, F_M }, { EMYS_OP_IDIV, F_M },
	},
	[GRP_FE] = {
		{ EMYS_OP_INC, F_M }, { EMYS_OP_DEC, F_M },
		[2 ... 7] = { 0, F_UD },
	},
	[GRP_FF] = {	/* 2..5: CALL, CALL far, JMP, JMP far */
		{ EMYS_OP_INC, F_M }, { EMYS_OP_DEC, F_M },
		[6] = { EMYS_OP_PUSH, F_STACK_M }, [7] = { 0, F_UD },
	},
	[GRP_BA] = {
		[0 ... 3] = { 0, F_UD },
		{ EMYS_OP_BT, F_MI }, { EMYS_OP_BTS, F_MI },
		{ EMYS_OP_BTR, F_MI }, { EMYS_OP_BTC, F_MI },
	},
	[GRP_C7] = { [1] = { EMYS_OP_CMPXCHG8B, F_QUAD } },
};

/* SSE moves; the mandatory prefix is 66, F3, F2 or 0; size 0: 4, with REX.W 8 */
static const struct vec_row {
	u16 opcode;	/* after 0F; 0x138..: after 0F 38 */
	u8 prefix;
	u8 size;
	bool store;
} vec_rows[] = {
	{ 0x10, 0x00, 16, false },	/* MOVUPS */
	{ 0x10, 0x66, 16, false },	/* MOVUPD */
	{ 0x10, 0xf3, 4, false },	/* MOVSS */
	{ 0x10, 0xf2, 8, false },	/* MOVSD */
	{ 0x11, 0x00, 16, true },
	{ 0x11, 0x66, 16, true },
	{ 0x11, 0xf3, 4, true },
	{ 0x11, 0xf2, 8, true },
	{ 0x28, 0x00, 16, false },	/* MOVAPS */
	{ 0x28, 0x66, 16, false },	/* MOVAPD */
	{ 0x29, 0x00, 16, true },
	{ 0x29, 0x66, 16, true },
	{ 0x2b, 0x00, 16, true },	/* MOVNTPS */
	{ 0x2b, 0x66, 16, true },	/* MOVNTPD */
	{ 0x6e, 0x66, 0, false },	/* MOVD, MOVQ */
	{ 0x7e, 0x66, 0, true },
	{ 0x7e, 0xf3, 8, false },	/* MOVQ */
	{ 0xd6, 0x66, 8, true },
	{ 0x6f, 0x66, 16, false },	/* MOVDQA */
	{ 0x6f, 0xf3, 16, false },	/* MOVDQU */
	{ 0x7f, 0x66, 16, true },
	{ 0x7f, 0xf3, 16, true },
	{ 0xe7, 0x66, 16, true },	/* MOVNTDQ */
	{ 0xf0, 0xf2, 16, false },	/* LDDQU */
	{ 0x12a, 0x66, 16, false },	/* MOVNTDQA */
};

#define REX_W	0x8
#define REX_R	0x4
#define REX_X	0x2
#define REX_B	0x1
#define NO_SEG	0xff

struct decoder {
	struct emys_insn *insn;
	const u8 *bytes;
	unsigned int n;
	unsigned int pos;
	int err;
	u8 opsize;
	u8 rex;		/* the whole byte, 0 for none */
	u8 rep;		/* F2 or F3, the last one counts */
	u8 seg;
	bool pfx_66;
	bool pfx_67;
	bool lock;
	u8 modrm;
};

static u64 fetch(struct decoder *d, unsigned int bytes)
{
	u64 value = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++) {
		if (d->pos >= EMYS_INSN_MAX) {
			d->err = -E2BIG;
			return 0;
		}
		if (d->pos >= d->n) {
			d->err = -ENODATA;
			return 0;
		}
		value |= (u64)d->bytes[d->pos++] << (8 * i);
	}
	return value;
}

static s64 fetch_signed(struct decoder *d, unsigned int bytes)
{
	unsigned int unused = 64 - 8 * bytes;

	return (s64)(fetch(d, bytes) << unused) >> unused;
}

/* The opcode, after all prefixes */
static u8 fetch_prefixes(struct decoder *d)
{
	bool long_mode = d->insn->mode == EMYS_INSN_64;

	for (;;) {
		u8 b = fetch(d, 1);

		if (d->err)
			return 0;
		switch (b) {
		case 0x66:
			d->pfx_66 = true;
			break;
		case 0x67:
			d->pfx_67 = true;
			break;
		case 0xf0:
			d->lock = true;
			break;
		case 0xf2:
		case 0xf3:
			d->rep = b;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			if (!long_mode)
				d->seg = (b >> 3) & 3;
			break;
		case 0x64:
		case 0x65:
			d->seg = b & 7;
			break;
		default:
			if (!long_mode || (b & 0xf0) != 0x40)
				return b;
			d->rex = b;
			continue;
		}
		/* REX counts only right before the opcode */
		d->rex = 0;
	}
}

static void set_sizes(struct decoder *d)
{
	static const u8 op[3][2] = { { 2, 4 }, { 4, 2 }, { 4, 2 } };
	static const u8 addr[3][2] = { { 2, 4 }, { 4, 2 }, { 8, 4 } };
	unsigned int mode = d->insn->mode;

	d->opsize = d->rex & REX_W ? 8 : op[mode][d->pfx_66];
	d->insn->addr_size = addr[mode][d->pfx_67];
}

static void set_seg(struct decoder *d, struct emys_insn_mem *mem)
{
	if (d->seg != NO_SEG)
		mem->seg = d->seg;
	else if (mem->base == EMYS_RSP || mem->base == EMYS_RBP)
		mem->seg = EMYS_SEG_SS;
	else
		mem->seg = EMYS_SEG_DS;
}

static void decode_mem_16(struct decoder *d, struct emys_insn_mem *mem)
{
	static const u8 base[8] = {
		EMYS_RBX, EMYS_RBX, EMYS_RBP, EMYS_RBP,
		EMYS_RSI, EMYS_RDI, EMYS_RBP, EMYS_RBX,
	};
	u8 mod = d->modrm >> 6, rm = d->modrm & 7;

	mem->base = base[rm];
	if (rm < 4)
		mem->index = rm & 1 ? EMYS_RDI : EMYS_RSI;
	if (mod == 0 && rm == 6) {
		mem->base = EMYS_INSN_NO_REG;
		mem->disp = fetch_signed(d, 2);
	} else if (mod) {
		mem->disp = fetch_signed(d, mod);
	}
}

static void decode_mem(struct decoder *d, struct emys_insn_mem *mem)
{
	u8 mod = d->modrm >> 6, rm = d->modrm & 7;

	mem->base = EMYS_INSN_NO_REG;
	mem->index = EMYS_INSN_NO_REG;
	mem->scale = 1;

	if (d->insn->addr_size == 2) {
		decode_mem_16(d, mem);
		set_seg(d, mem);
		return;
	}

	if (rm == 4) {
		u8 sib = fetch(d, 1);
		u8 index = ((sib >> 3) & 7) | (d->rex & REX_X ? 8 : 0);

		rm = sib & 7;
		if (index != EMYS_RSP) {
			mem->index = index;
			mem->scale = 1 << (sib >> 6);
		}
		if (mod || rm != 5)
			mem->base = rm | (d->rex & REX_B ? 8 : 0);
		else
			mem->disp = fetch_signed(d, 4);
	} else if (mod || rm != 5) {
		mem->base = rm | (d->rex & REX_B ? 8 : 0);
	} else {
		mem->rip_relative = d->insn->mode == EMYS_INSN_64;
		mem->disp = fetch_signed(d, 4);
	}
	if (mod)
		mem->disp = fetch_signed(d, mod == 1 ? 1 : 4);
	set_seg(d, mem);
}

static void set_reg(struct decoder *d, unsigned int size)
{
	struct emys_insn *insn = d->insn;

	insn->reg = ((d->modrm >> 3) & 7) | (d->rex & REX_R ? 8 : 0);
	insn->reg_size = size;
	/* With any REX prefix these are SPL, BPL, SIL and DIL */
	if (size == 1 && !d->rex && insn->reg >= 4) {
		insn->reg -= 4;
		insn->reg_high = true;
	}
}

static bool lockable(const struct emys_insn *insn)
{
	if (!insn->write)
		return false;
	switch (insn->op) {
	case EMYS_OP_ADD ... EMYS_OP_XOR:
	case EMYS_OP_BTS ... EMYS_OP_BTC:
	case EMYS_OP_NOT ... EMYS_OP_DEC:
	case EMYS_OP_XCHG ... EMYS_OP_CMPXCHG8B:
		return true;
	}
	return false;
}

/* Accesses to memory operand 0 when it is the first operand */
static void set_access(struct emys_insn *insn)
{
	insn->reads = insn->op != EMYS_OP_MOV && insn->op != EMYS_OP_MOVBE &&
		      insn->op != EMYS_OP_SETCC;
	insn->write = insn->op != EMYS_OP_CMP && insn->op != EMYS_OP_TEST &&
		      insn->op != EMYS_OP_BT &&
		      !(insn->op >= EMYS_OP_MUL && insn->op <= EMYS_OP_IDIV);
}

/* An operand that one register alone addresses */
static void reg_mem(struct emys_insn_mem *mem, u8 seg, u8 reg)
{
	mem->seg = seg;
	mem->base = reg;
	mem->index = EMYS_INSN_NO_REG;
	mem->scale = 1;
}

static void decode_string(struct decoder *d)
{
	struct emys_insn *insn = d->insn;
	u8 seg = d->seg != NO_SEG ? d->seg : EMYS_SEG_DS;

	/* Ports are at most 32 bits wide */
	if ((insn->op == EMYS_OP_INS || insn->op == EMYS_OP_OUTS) &&
	    insn->size == 8)
		insn->size = 4;
	insn->rep = d->rep;
	insn->repne = d->rep == 0xf2;
	insn->reg = EMYS_RAX;
	insn->reg_size = insn->size;

	switch (insn->op) {
	case EMYS_OP_LODS:
	case EMYS_OP_OUTS:
		reg_mem(&insn->mem[0], seg, EMYS_RSI);
		break;
	default:
		reg_mem(&insn->mem[0], EMYS_SEG_ES, EMYS_RDI);
	}

	switch (insn->op) {
	case EMYS_OP_MOVS:
		reg_mem(&insn->mem[1], seg, EMYS_RSI);
		insn->reads = 2;
		insn->write = true;
		break;
	case EMYS_OP_CMPS:
		reg_mem(&insn->mem[1], seg, EMYS_RSI);
		insn->reads = 3;
		break;
	case EMYS_OP_LODS:
		insn->to_reg = true;
		fallthrough;
	case EMYS_OP_SCAS:
	case EMYS_OP_OUTS:
		insn->reads = 1;
		break;
	default:
		insn->write = true;
	}
}

static int decode_vec(struct decoder *d, unsigned int opcode)
{
	u8 prefix = d->rep ?: d->pfx_66 ? 0x66 : 0;
	struct emys_insn *insn = d->insn;
	const struct vec_row *row;

	for (row = vec_rows; row->opcode != opcode || row->prefix != prefix;)
		if (++row == vec_rows + sizeof(vec_rows) / sizeof(*vec_rows))
			return -EOPNOTSUPP;
	if (d->lock)
		return -EINVAL;
	d->modrm = fetch(d, 1);
	if (d->err)
		return d->err;
	if (d->modrm >> 6 == 3)
		return -EOPNOTSUPP;

	insn->op = EMYS_OP_MOV;
	insn->vec = true;
	insn->size = row->size ?: d->rex & REX_W ? 8 : 4;
	set_reg(d, 16);
	decode_mem(d, &insn->mem[0]);
	insn->to_reg = !row->store;
	insn->reads = !row->store;
	insn->write = row->store;
	return d->err;
}

static void decode_moffs(struct decoder *d, bool load)
{
	struct emys_insn *insn = d->insn;
	struct emys_insn_mem *mem = &insn->mem[0];

	mem->base = EMYS_INSN_NO_REG;
	mem->index = EMYS_INSN_NO_REG;
	mem->scale = 1;
	mem->disp = fetch(d, insn->addr_size);
	set_seg(d, mem);
	insn->reg = EMYS_RAX;
	insn->reg_size = insn->size;
	insn->to_reg = load;
	insn->reads = load;
	insn->write = !load;
}

static void decode_imm(struct decoder *d, u8 flags)
{
	struct emys_insn *insn = d->insn;

	if (flags & CL) {
		insn->reg = EMYS_RCX;
		insn->reg_size = 1;
		return;
	}
	insn->has_imm = true;
	if (flags & IMM_1)
		insn->imm = 1;
	else
		insn->imm = fetch_signed(d, flags & IMM8 ? 1 :
					 insn->size == 8 ? 4 : insn->size);
}

static void decode_stack(struct decoder *d, u8 form, u8 flags, u8 opcode)
{
	struct emys_insn *insn = d->insn;
	bool push = insn->op == EMYS_OP_PUSH;
	bool memory = form == F_STACK_M;
	struct emys_insn_mem *stack = &insn->mem[memory && !push];

	/* In 64-bit mode there is no size of 4, and 8 needs no REX.W */
	if (insn->mode == EMYS_INSN_64 && insn->size == 4)
		insn->size = 8;
	insn->write = push || memory;

	reg_mem(stack, EMYS_SEG_SS, EMYS_RSP);
	stack->stack = true;
	if (push)
		stack->disp = -insn->size;
	else
		insn->reads = 1;

	if (memory) {
		decode_mem(d, &insn->mem[push]);
		insn->reads = 2;
	} else if (form == F_STACK_I) {
		decode_imm(d, flags);
	} else {
		insn->reg = (opcode & 7) | (d->rex & REX_B ? 8 : 0);
		insn->reg_size = insn->size;
		insn->to_reg = !push;
	}
}

static void decode_modrm(struct decoder *d, u8 form, u8 flags)
{
	struct emys_insn *insn = d->insn;
	u8 reg_size = insn->size;

	decode_mem(d, &insn->mem[0]);

	switch (form) {
	case F_RX:
		reg_size = d->opsize;
		insn->size = insn->size == 1 ? 1 : 2;
		break;
	case F_RS:
		insn->size = reg_size == 2 ? 2 : 4;
		break;
	case F_QUAD:
		insn->size = d->rex & REX_W ? 16 : 8;
		break;
	case F_MI:
	case F_MRI:
	case F_RMI:
		decode_imm(d, flags);
		break;
	}
	if (form >= F_MRI && form <= F_RS)
		set_reg(d, reg_size);

	if (form >= F_RM && form <= F_RS) {
		insn->to_reg = true;
		insn->reads = 1;
	} else {
		set_access(insn);
	}
}

static int decode_row(struct decoder *d, const struct row *row, u8 opcode)
{
	struct emys_insn *insn = d->insn;
	u8 form = row->form;
	u8 flags = row->flags;

	if (form == F_NONE)
		return -EOPNOTSUPP;
	if (form <= F_GROUP) {
		d->modrm = fetch(d, 1);
		if (d->err)
			return d->err;
		if (d->modrm >> 6 == 3)
			return d->lock || (flags & MEM) ? -EINVAL : -EOPNOTSUPP;
	}
	if (form == F_GROUP) {
		row = &groups[row->op][(d->modrm >> 3) & 7];
		form = row->form;
		if (form == F_NONE)
			return -EOPNOTSUPP;
	}
	if (form == F_UD || ((flags & NO_PFX) && (d->pfx_66 || d->rep)))
		return -EINVAL;

	insn->op = row->op;
	insn->size = d->opsize;
	if ((flags & BYTE) || ((flags & W) && !(opcode & 1)))
		insn->size = 1;

	if (form == F_STRING)
		decode_string(d);
	else if (form == F_OFF_LOAD || form == F_OFF_STORE)
		decode_moffs(d, form == F_OFF_LOAD);
	else if (form >= F_STACK_M && form <= F_STACK_I)
		decode_stack(d, form, flags, opcode);
	else
		decode_modrm(d, form, flags);
	if (d->err)
		return d->err;

	if (d->lock && !lockable(insn))
		return -EINVAL;
	insn->lock = d->lock || insn->op == EMYS_OP_XCHG;
	return 0;
}

static int decode_0f38(struct decoder *d)
{
	u8 opcode = fetch(d, 1);

	if (d->err)
		return d->err;
	/* With F2 it is CRC32 */
	if ((opcode & 0xfe) == 0xf0 && !d->rep)
		return decode_row(d, opcode & 1 ? &movbe_store : &movbe_load,
				  opcode);
	return decode_vec(d, 0x100 | opcode);
}

static int decode_0f(struct decoder *d)
{
	u8 opcode = fetch(d, 1);

	if (d->err)
		return d->err;
	if (opcode == 0x38)
		return decode_0f38(d);
	if (map_0f[opcode].form == F_NONE)
		return decode_vec(d, opcode);
	d->insn->cond = opcode & 0xf;
	return decode_row(d, &map_0f[opcode], opcode);
}

int emys_insn_decode(struct emys_insn *insn, const u8 *bytes, unsigned int n,
		     enum emys_insn_mode mode)
{
	struct decoder d = {
		.insn = insn, .bytes = bytes, .n = n, .seg = NO_SEG,
	};
	u8 opcode;
	int ret;

	memset(insn, 0, sizeof(*insn));
	insn->mode = mode;

	opcode = fetch_prefixes(&d);
	if (d.err)
		return d.err;
	set_sizes(&d);

	/* Aliases and neighbours that depend on the mode */
	if (opcode == 0x82 && mode == EMYS_INSN_64)
		return -EINVAL;
	if (opcode == 0x63 && mode != EMYS_INSN_64)	/* ARPL */
		return -EOPNOTSUPP;

	if (opcode == 0x0f)
		ret = decode_0f(&d);
	else
		ret = decode_row(&d, &map_1[opcode], opcode);
	if (ret)
		return ret;
	insn->length = d.pos;
	return 0;
}
