// SPDX-License-Identifier: GPL-2.0-only
/* The executor: what a decoded instruction does to registers, flags, memory */

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/string.h>

#include "insn.h"

#define CF	BIT_ULL(0)
#define PF	BIT_ULL(2)
#define AF	BIT_ULL(4)
#define ZF	BIT_ULL(6)
#define SF	BIT_ULL(7)
#define DF	BIT_ULL(10)
#define OF	BIT_ULL(11)
#define ARITH	(CF | PF | AF | ZF | SF | OF)

static u64 size_mask(unsigned int size)
{
	return size >= 8 ? ~0ULL : (1ULL << (8 * size)) - 1;
}

static u64 size_sign(unsigned int size)
{
	return 1ULL << (8 * size - 1);
}

static s64 sign_extend(u64 value, unsigned int size)
{
	unsigned int unused = 64 - 8 * size;

	return (s64)(value << unused) >> unused;
}

/* The manual's rule: 32 bits clear the upper half, 8 and 16 leave the rest */
static void put_gpr(u64 *gpr, u64 value, unsigned int size)
{
	u64 mask = size == 4 ? ~0ULL : size_mask(size);

	*gpr = (*gpr & ~mask) | (value & mask & size_mask(size));
}

static u64 get_reg(const struct emys_insn *insn, const struct emys_insn_cpu *cpu)
{
	u64 value = cpu->gpr[insn->reg];

	if (insn->reg_high)
		value >>= 8;
	return value & size_mask(insn->reg_size);
}

static void put_reg(const struct emys_insn *insn, struct emys_insn_cpu *cpu,
		    u64 value)
{
	u64 *gpr = &cpu->gpr[insn->reg];

	if (insn->reg_high)
		*gpr = (*gpr & ~0xff00ULL) | (value & 0xff) << 8;
	else
		put_gpr(gpr, value, insn->reg_size);
}

static u64 result_flags(u64 value, unsigned int size)
{
	u64 flags = 0;
	u8 low = value;

	low ^= low >> 4;
	low ^= low >> 2;
	low ^= low >> 1;
	if (!(low & 1))
		flags |= PF;
	if (!(value & size_mask(size)))
		flags |= ZF;
	if (value & size_sign(size))
		flags |= SF;
	return flags;
}

static void set_flags(u64 *rflags, u64 which, u64 value)
{
	*rflags = (*rflags & ~which) | (value & which);
}

/* @carry has a bit for each carry out of, or borrow into, a bit of the sum */
static u64 carry_flags(u64 carry, u64 overflow, unsigned int size)
{
	return (carry & size_sign(size) ? CF : 0) |
	       (carry & BIT_ULL(3) ? AF : 0) |
	       (overflow & size_sign(size) ? OF : 0);
}

static u64 add(u64 a, u64 b, u64 c, unsigned int size, u64 which, u64 *rflags)
{
	u64 r = a + b + c;
	u64 carry = (a & b) | ((a | b) & ~r);

	set_flags(rflags, which, result_flags(r, size) |
		  carry_flags(carry, (a ^ r) & (b ^ r), size));
	return r;
}

static u64 sub(u64 a, u64 b, u64 c, unsigned int size, u64 which, u64 *rflags)
{
	u64 r = a - b - c;
	u64 borrow = (~a & b) | ((~a | b) & r);

	set_flags(rflags, which, result_flags(r, size) |
		  carry_flags(borrow, (a ^ b) & (a ^ r), size));
	return r;
}

static u64 logic(u64 r, unsigned int size, u64 *rflags)
{
	set_flags(rflags, ARITH, result_flags(r, size));
	return r;
}

/* ADD ... CMP and TEST: the result for the first operand, @a */
static u64 alu(u8 op, u64 a, u64 b, unsigned int size, u64 *rflags)
{
	u64 c = *rflags & CF;

	switch (op) {
	case EMYS_OP_ADD:
		return add(a, b, 0, size, ARITH, rflags);
	case EMYS_OP_ADC:
		return add(a, b, c, size, ARITH, rflags);
	case EMYS_OP_SBB:
		return sub(a, b, c, size, ARITH, rflags);
	case EMYS_OP_OR:
		return logic(a | b, size, rflags);
	case EMYS_OP_XOR:
		return logic(a ^ b, size, rflags);
	case EMYS_OP_AND:
	case EMYS_OP_TEST:
		return logic(a & b, size, rflags);
	default:	/* SUB, CMP */
		return sub(a, b, 0, size, ARITH, rflags);
	}
}

static u64 bit_test(u8 op, u64 value, u64 bit, unsigned int size, u64 *rflags)
{
	u64 mask = 1ULL << (bit & (8 * size - 1));

	set_flags(rflags, CF, value & mask ? CF : 0);
	switch (op) {
	case EMYS_OP_BTS:
		return value | mask;
	case EMYS_OP_BTR:
		return value & ~mask;
	case EMYS_OP_BTC:
		return value ^ mask;
	}
	return value;
}

/* "Conditional Jumps and Moves" of the flags, by the low bits of the opcode */
static bool condition(u8 cond, u64 f)
{
	bool less = !(f & SF) != !(f & OF);
	bool yes;

	switch (cond >> 1) {
	case 0:
		yes = f & OF;
		break;
	case 1:
		yes = f & CF;
		break;
	case 2:
		yes = f & ZF;
		break;
	case 3:
		yes = f & (CF | ZF);
		break;
	case 4:
		yes = f & SF;
		break;
	case 5:
		yes = f & PF;
		break;
	case 6:
		yes = less;
		break;
	default:
		yes = less || (f & ZF);
	}
	return yes != (cond & 1);
}

static u64 swap_bytes(u64 value, unsigned int size)
{
	u64 swapped = 0;

	while (size--) {
		swapped = swapped << 8 | (value & 0xff);
		value >>= 8;
	}
	return swapped;
}

static void advance(const struct emys_insn *insn, struct emys_insn_cpu *cpu)
{
	cpu->rip += insn->length;
	if (insn->mode != EMYS_INSN_64)
		cpu->rip = (u32)cpu->rip;
}

static unsigned int stack_size(const struct emys_insn *insn,
			       const struct emys_insn_cpu *cpu)
{
	return insn->mode == EMYS_INSN_64 ? 8 : cpu->ss_big ? 4 : 2;
}

static void move_rsp(const struct emys_insn *insn, const struct emys_insn_cpu *cpu,
		     u64 *rsp)
{
	s64 delta = insn->op == EMYS_OP_PUSH ? -(s64)insn->size : insn->size;

	put_gpr(rsp, *rsp + delta, stack_size(insn, cpu));
}

u64 emys_insn_offset(const struct emys_insn *insn,
		     const struct emys_insn_cpu *cpu, int i)
{
	const struct emys_insn_mem *mem = &insn->mem[i];
	u64 offset = mem->disp;
	u64 base = 0;

	if (mem->base != EMYS_INSN_NO_REG)
		base = cpu->gpr[mem->base];
	if (insn->op == EMYS_OP_POP && mem->base == EMYS_RSP && !mem->stack)
		move_rsp(insn, cpu, &base);
	offset += base;
	if (mem->index != EMYS_INSN_NO_REG)
		offset += cpu->gpr[mem->index] * mem->scale;
	if (mem->rip_relative)
		offset += cpu->rip + insn->length;
	if (insn->op >= EMYS_OP_BT && insn->op <= EMYS_OP_BTC && !insn->has_imm)
		offset += (sign_extend(get_reg(insn, cpu), insn->size) >> 3) &
			  -(s64)insn->size;
	return offset & size_mask(mem->stack ? stack_size(insn, cpu) :
				  insn->addr_size);
}

u64 emys_insn_left(const struct emys_insn *insn, const struct emys_insn_cpu *cpu)
{
	return insn->rep ? cpu->gpr[EMYS_RCX] & size_mask(insn->addr_size) : 1;
}

static void step(const struct emys_insn *insn, struct emys_insn_cpu *cpu, u8 reg)
{
	s64 delta = cpu->rflags & DF ? -(s64)insn->size : insn->size;

	put_gpr(&cpu->gpr[reg], cpu->gpr[reg] + delta, insn->addr_size);
}

static void execute_string(const struct emys_insn *insn, const u64 in[2],
			   struct emys_insn_result *res)
{
	u64 left = emys_insn_left(insn, &res->cpu);
	struct emys_insn_cpu *cpu = &res->cpu;
	bool compares = false;

	if (!left) {
		advance(insn, cpu);
		return;
	}

	switch (insn->op) {
	case EMYS_OP_STOS:
		res->out[0] = get_reg(insn, cpu);
		break;
	case EMYS_OP_LODS:
		put_reg(insn, cpu, in[0]);
		break;
	case EMYS_OP_MOVS:
		res->out[0] = in[1];
		break;
	case EMYS_OP_SCAS:
		sub(get_reg(insn, cpu), in[0], 0, insn->size, ARITH, &cpu->rflags);
		compares = true;
		break;
	case EMYS_OP_CMPS:
		sub(in[1], in[0], 0, insn->size, ARITH, &cpu->rflags);
		compares = true;
		break;
	default:	/* INS, OUTS */
		res->out[0] = in[0];
	}
	res->write = insn->write || insn->op == EMYS_OP_OUTS;

	step(insn, cpu, insn->mem[0].base);
	if (insn->op == EMYS_OP_MOVS || insn->op == EMYS_OP_CMPS)
		step(insn, cpu, insn->mem[1].base);

	if (insn->rep) {
		put_gpr(&cpu->gpr[EMYS_RCX], --left, insn->addr_size);
		res->again = left;
		if (compares && !(cpu->rflags & ZF) != insn->repne)
			res->again = false;
	}
	if (!res->again)
		advance(insn, cpu);
}

static void execute_vec(const struct emys_insn *insn, const u64 in[2],
			const u64 vec[2], struct emys_insn_result *res)
{
	if (insn->write) {
		res->out[0] = vec[0] & size_mask(insn->size);
		res->out[1] = insn->size == 16 ? vec[1] : 0;
		res->write = true;
	} else {
		res->vec[0] = in[0] & size_mask(insn->size);
		res->vec[1] = insn->size == 16 ? in[1] : 0;
		res->vec_write = true;
	}
}

static void execute_stack(const struct emys_insn *insn, const u64 in[2],
			  struct emys_insn_result *res)
{
	u64 value = in[insn->reads & 2 ? 1 : 0];
	struct emys_insn_cpu *cpu = &res->cpu;

	if (insn->op == EMYS_OP_PUSH && !insn->reads)
		value = insn->has_imm ? (u64)insn->imm : get_reg(insn, cpu);
	value &= size_mask(insn->size);
	move_rsp(insn, cpu, &cpu->gpr[EMYS_RSP]);
	if (insn->write)
		res->out[0] = value;
	else
		put_reg(insn, cpu, value);
	res->write = insn->write;
}

static void execute_cmpxchg8b(const struct emys_insn *insn, const u64 in[2],
			      struct emys_insn_result *res)
{
	unsigned int half = insn->size / 2;
	struct emys_insn_cpu *cpu = &res->cpu;
	u64 mask = size_mask(half);
	u64 *gpr = cpu->gpr;
	u64 low, high;

	low = in[0] & mask;
	high = half == 8 ? in[1] : in[0] >> 32;
	if (low == (gpr[EMYS_RAX] & mask) && high == (gpr[EMYS_RDX] & mask)) {
		cpu->rflags |= ZF;
		low = gpr[EMYS_RBX] & mask;
		high = gpr[EMYS_RCX] & mask;
	} else {
		/* As with CMPXCHG, the old value is written back */
		cpu->rflags &= ~ZF;
		put_gpr(&gpr[EMYS_RAX], low, half);
		put_gpr(&gpr[EMYS_RDX], high, half);
	}
	res->out[0] = half == 8 ? low : high << 32 | low;
	res->out[1] = half == 8 ? high : 0;
	res->write = true;
}

/* rDX:rAX, for single bytes AX */
static void put_wide(struct emys_insn_cpu *cpu, u64 high, u64 low, unsigned int size)
{
	if (size == 1) {
		put_gpr(&cpu->gpr[EMYS_RAX], (high & 0xff) << 8 | (low & 0xff), 2);
		return;
	}
	put_gpr(&cpu->gpr[EMYS_RAX], low, size);
	put_gpr(&cpu->gpr[EMYS_RDX], high, size);
}

/* @a times @b: the lower half; *@high is the upper one */
static u64 multiply(bool is_signed, u64 a, u64 b, unsigned int size, u64 *high,
		    u64 *rflags)
{
	u64 mask = size_mask(size);
	u64 low, beyond;

	if (is_signed) {
		a = sign_extend(a, size);
		b = sign_extend(b, size);
	}
	low = (a * b) & mask;
	if (size < 8) {
		*high = (a * b) >> (8 * size) & mask;
	} else {
		*high = (__int128)(s64)a * (s64)b >> 64;
		/* A top bit that is no sign is worth 2^64 more */
		if (!is_signed)
			*high += (a >> 63 ? b : 0) + (b >> 63 ? a : 0);
	}
	beyond = is_signed && (low & size_sign(size)) ? mask : 0;
	set_flags(rflags, ARITH, (*high != beyond ? CF | OF : 0) |
		  (result_flags(low, size) & ~ZF));
	return low;
}

/*
 * *@high:*@low by @divisor, into quotient *@low and remainder *@high. Bit by bit,
 * as a kernel has no 128-bit division. False: the quotient needs over 64 bits.
 */
static bool divide(u64 *high, u64 *low, u64 divisor)
{
	unsigned int i;

	if (*high >= divisor)
		return false;
	for (i = 0; i < 64; i++) {
		bool carry = *high >> 63;

		*high = *high << 1 | *low >> 63;
		*low <<= 1;
		if (carry || *high >= divisor) {
			*high -= divisor;
			*low |= 1;
		}
	}
	return true;
}

/* Magnitude of the 128-bit value, if @negative */
static void negate_wide(bool negative, u64 *high, u64 *low)
{
	if (!negative)
		return;
	*low = -*low;
	*high = ~*high + !*low;
}

/* False: #DE */
static bool execute_div(const struct emys_insn *insn, u64 divisor,
			struct emys_insn_cpu *cpu)
{
	u64 high = cpu->gpr[EMYS_RDX], low = cpu->gpr[EMYS_RAX];
	bool negative = false, opposite = false;
	unsigned int size = insn->size;
	u64 limit = size_mask(size);

	/* The dividend has twice the size */
	if (size == 1)
		low &= 0xffff;
	else if (size < 8)
		low = (high & limit) << (8 * size) | (low & limit);
	if (size < 8)
		high = 0;
	if (insn->op == EMYS_OP_IDIV) {
		if (size < 8) {
			low = sign_extend(low, 2 * size);
			high = (s64)low >> 63;
		}
		negative = high >> 63;
		opposite = negative != !!(divisor & size_sign(size));
		divisor = sign_extend(divisor, size);
		if (divisor >> 63)
			divisor = -divisor;
		limit = size_sign(size) - !opposite;
	}
	negate_wide(negative, &high, &low);
	if (!divide(&high, &low, divisor) || low > limit)
		return false;
	put_wide(cpu, negative ? -high : high, opposite ? -low : low, size);
	return true;
}

/* One operand, rDX:rAX implied. False: #DE */
static bool execute_muldiv(const struct emys_insn *insn, u64 value,
			   struct emys_insn_cpu *cpu)
{
	u64 high, low;

	if (insn->op == EMYS_OP_DIV || insn->op == EMYS_OP_IDIV)
		return execute_div(insn, value, cpu);
	low = multiply(insn->op == EMYS_OP_IMUL,
		       cpu->gpr[EMYS_RAX] & size_mask(insn->size), value,
		       insn->size, &high, &cpu->rflags);
	put_wide(cpu, high, low, insn->size);
	return true;
}

/*
 * Rotates go step by step: at most 63, and each step is the manual's text. CF is
 * that of the last step, OF that of the first; no step changes no flag.
 */
static u64 rotate(u8 op, u64 r, unsigned int count, unsigned int size, u64 *rflags)
{
	u64 mask = size_mask(size), sign = size_sign(size);
	bool cf = *rflags & CF, of = *rflags & OF;
	unsigned int i;

	for (i = 0; i < count; i++) {
		bool top = r & sign, bottom = r & 1;

		switch (op) {
		case EMYS_OP_ROL:
			r = r << 1 | top;
			cf = top;
			break;
		case EMYS_OP_RCL:
			r = r << 1 | cf;
			cf = top;
			break;
		case EMYS_OP_ROR:
			r = (r & mask) >> 1 | (bottom ? sign : 0);
			cf = bottom;
			break;
		default:
			r = (r & mask) >> 1 | (cf ? sign : 0);
			cf = bottom;
		}
		if (!i)
			of = !(r & sign) != !top;
	}
	set_flags(rflags, CF | OF, (cf ? CF : 0) | (of ? OF : 0));
	return r;
}

/* Shifts too: the bits of @fill come in, the near end first, then those of @then */
static u64 shift(bool left, u64 r, u64 fill, u64 then, unsigned int count,
		 unsigned int size, u64 *rflags)
{
	u64 mask = size_mask(size), sign = size_sign(size);
	bool out = false, of = false;
	unsigned int i;

	if (!count)
		return r;
	for (i = 0; i < count; i++) {
		bool top = r & sign;

		if (left) {
			out = top;
			r = r << 1 | (fill & sign ? 1 : 0);
			fill = fill << 1 | (then & sign ? 1 : 0);
			then <<= 1;
		} else {
			out = r & 1;
			r = (r & mask) >> 1 | (fill & 1 ? sign : 0);
			fill = (fill & mask) >> 1 | (then & 1 ? sign : 0);
			then >>= 1;
		}
		if (!i)
			of = !(r & sign) != !top;
	}
	set_flags(rflags, ARITH,
		  result_flags(r, size) | (out ? CF : 0) | (of ? OF : 0));
	return r;
}

static u64 execute_shift(const struct emys_insn *insn, u64 value,
			 struct emys_insn_cpu *cpu)
{
	u64 count = insn->has_imm ? (u64)insn->imm : cpu->gpr[EMYS_RCX];
	unsigned int size = insn->size;
	u64 *rflags = &cpu->rflags;
	u64 fill = 0;

	count &= size == 8 ? 0x3f : 0x1f;
	switch (insn->op) {
	case EMYS_OP_SAR:
		if (value & size_sign(size))
			fill = ~0ULL;
		fallthrough;
	case EMYS_OP_SHL:
	case EMYS_OP_SHR:
		return shift(insn->op == EMYS_OP_SHL, value, fill, fill, count,
			     size, rflags);
	case EMYS_OP_SHLD:
	case EMYS_OP_SHRD:
		/* Only 16 bits can be shifted by more than their size */
		return shift(insn->op == EMYS_OP_SHLD, value, get_reg(insn, cpu),
			     value, count, size, rflags);
	case EMYS_OP_RCL:
	case EMYS_OP_RCR:
		/* CF is one more bit to go round */
		count %= 8 * size + 1;
		break;
	}
	return rotate(insn->op, value, count, size, rflags);
}

/* Register, memory: what is not a string, nor SSE, nor changes memory */
static void execute_to_reg(const struct emys_insn *insn, u64 value,
			   struct emys_insn_cpu *cpu)
{
	u64 reg = get_reg(insn, cpu);
	u64 high;

	switch (insn->op) {
	case EMYS_OP_MOV:
	case EMYS_OP_MOVZX:
		reg = value;
		break;
	case EMYS_OP_MOVSX:
		reg = sign_extend(value, insn->size);
		break;
	case EMYS_OP_MOVBE:
		reg = swap_bytes(value, insn->size);
		break;
	case EMYS_OP_CMOVCC:
		/* A false condition still clears the upper half of 32 bits */
		if (condition(insn->cond, cpu->rflags))
			reg = value;
		break;
	case EMYS_OP_IMUL:
		reg = multiply(true, insn->has_imm ? (u64)insn->imm : reg, value,
			       insn->size, &high, &cpu->rflags);
		break;
	case EMYS_OP_CMP:
		alu(insn->op, reg, value, insn->size, &cpu->rflags);
		return;
	default:
		reg = alu(insn->op, reg, value, insn->size, &cpu->rflags);
	}
	put_reg(insn, cpu, reg);
}

/* Memory, register or immediate: the new value of memory */
static u64 execute_to_mem(const struct emys_insn *insn, u64 value,
			  struct emys_insn_cpu *cpu)
{
	u64 mask = size_mask(insn->size);
	u64 *rflags = &cpu->rflags;
	u64 src = insn->has_imm ? insn->imm & mask : get_reg(insn, cpu);
	u64 acc, sum;

	switch (insn->op) {
	case EMYS_OP_MOV:
		return src;
	case EMYS_OP_MOVBE:
		return swap_bytes(src, insn->size);
	case EMYS_OP_SETCC:
		return condition(insn->cond, *rflags);
	case EMYS_OP_NOT:
		return ~value;
	case EMYS_OP_NEG:
		return sub(0, value, 0, insn->size, ARITH, rflags);
	case EMYS_OP_INC:
		return add(value, 1, 0, insn->size, ARITH & ~CF, rflags);
	case EMYS_OP_DEC:
		return sub(value, 1, 0, insn->size, ARITH & ~CF, rflags);
	case EMYS_OP_BT ... EMYS_OP_BTC:
		return bit_test(insn->op, value, src, insn->size, rflags);
	case EMYS_OP_ROL ... EMYS_OP_SHRD:
		return execute_shift(insn, value, cpu);
	case EMYS_OP_XCHG:
		put_reg(insn, cpu, value);
		return src;
	case EMYS_OP_XADD:
		sum = add(value, src, 0, insn->size, ARITH, rflags);
		put_reg(insn, cpu, value);
		return sum;
	case EMYS_OP_CMPXCHG:
		acc = cpu->gpr[EMYS_RAX] & mask;
		sub(acc, value, 0, insn->size, ARITH, rflags);
		if (acc == value)
			return src;
		/* The CPU writes the old value back: devices see a write */
		put_gpr(&cpu->gpr[EMYS_RAX], value, insn->size);
		return value;
	}
	return alu(insn->op, value, src, insn->size, rflags);
}

void emys_insn_execute(const struct emys_insn *insn,
		       const struct emys_insn_cpu *cpu, const u64 in[2],
		       const u64 vec[2], struct emys_insn_result *result)
{
	u64 mask = size_mask(insn->size);
	u64 cut[2];

	memset(result, 0, sizeof(*result));
	result->cpu = *cpu;

	if (insn->op >= EMYS_OP_STOS) {
		cut[0] = in[0] & mask;
		cut[1] = in[1] & mask;
		execute_string(insn, cut, result);
		return;
	}

	if (insn->vec) {
		execute_vec(insn, in, vec, result);
	} else if (insn->op == EMYS_OP_PUSH || insn->op == EMYS_OP_POP) {
		execute_stack(insn, in, result);
	} else if (insn->op == EMYS_OP_CMPXCHG8B) {
		execute_cmpxchg8b(insn, in, result);
	} else if (insn->to_reg) {
		execute_to_reg(insn, in[0] & mask, &result->cpu);
	} else if (insn->op >= EMYS_OP_MUL && insn->op <= EMYS_OP_IDIV) {
		if (!execute_muldiv(insn, in[0] & mask, &result->cpu)) {
			result->divide_error = true;
			return;
		}
	} else {
		result->out[0] = mask & execute_to_mem(insn, in[0] & mask,
						       &result->cpu);
		result->write = insn->write;
		if (!result->write)
			result->out[0] = 0;
	}
	advance(insn, &result->cpu);
}
