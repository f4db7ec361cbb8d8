/* SPDX-License-Identifier: GPL-2.0-only */
/* The decoder of MMIO and string-I/O instructions: contract of kmod/insn/ */
#ifndef _EMYS_INSN_H
#define _EMYS_INSN_H

#include <linux/errno.h>
#include <linux/types.h>

/*
 * Source: Intel SDM volume 2, "Instruction Format" and the pages of the single
 * instructions; volume 1, "EFLAGS Register".
 *
 * Pure: no state, no locks, any context, nothing but its arguments is read or
 * written. Covers the instructions that guests use on device memory; what
 * else there is gets -EOPNOTSUPP. How a vCPU uses it:
 *
 *	emys_insn_decode()
 *	for each memory operand i in insn.reads: get its value into in[i]
 *	emys_insn_execute(): a result, nothing is committed yet
 *	if result.divide_error: raise #DE, and that is all
 *	if result.write: put result.out to memory operand 0
 *	commit result.cpu (and result.vec)
 *
 * A read or write may be an exit to userspace in between; insn, in[] and the
 * CPU state are then what has to be kept. A string instruction with a repeat
 * prefix is done one element at a time: after an element that is not the last,
 * result.cpu.rip is still the instruction's, and the guest is entered again.
 */

#define EMYS_INSN_MAX	15

/* How code is read: CS.L, CS.D. Real and virtual-8086 mode are 16-bit. */
enum emys_insn_mode {
	EMYS_INSN_16,
	EMYS_INSN_32,
	EMYS_INSN_64,
};

/* Register numbers in instructions; 8..15 are R8..R15 */
enum {
	EMYS_RAX, EMYS_RCX, EMYS_RDX, EMYS_RBX,
	EMYS_RSP, EMYS_RBP, EMYS_RSI, EMYS_RDI,
};

enum emys_insn_seg {
	EMYS_SEG_ES, EMYS_SEG_CS, EMYS_SEG_SS, EMYS_SEG_DS, EMYS_SEG_FS,
	EMYS_SEG_GS,
};

enum emys_insn_op {
	/* in the order of the opcode's bits 5:3 */
	EMYS_OP_ADD, EMYS_OP_OR, EMYS_OP_ADC, EMYS_OP_SBB, EMYS_OP_AND,
	EMYS_OP_SUB, EMYS_OP_XOR, EMYS_OP_CMP,
	/* in the order of the group's bits 1:0 */
	EMYS_OP_BT, EMYS_OP_BTS, EMYS_OP_BTR, EMYS_OP_BTC,
	EMYS_OP_TEST, EMYS_OP_NOT, EMYS_OP_NEG, EMYS_OP_INC, EMYS_OP_DEC,
	EMYS_OP_MOV,		/* MOV, MOVNTI; @vec: MOVD, MOVQ, MOVUPS, ... */
	EMYS_OP_MOVZX,
	EMYS_OP_MOVSX,		/* and MOVSXD */
	EMYS_OP_MOVBE,
	EMYS_OP_XCHG, EMYS_OP_XADD, EMYS_OP_CMPXCHG,
	EMYS_OP_CMPXCHG8B,	/* and CMPXCHG16B, by @size */
	EMYS_OP_SETCC, EMYS_OP_CMOVCC,
	EMYS_OP_ROL, EMYS_OP_ROR, EMYS_OP_RCL, EMYS_OP_RCR, EMYS_OP_SHL,
	EMYS_OP_SHR, EMYS_OP_SAR, EMYS_OP_SHLD, EMYS_OP_SHRD,
	EMYS_OP_MUL, EMYS_OP_IMUL, EMYS_OP_DIV, EMYS_OP_IDIV,
	EMYS_OP_PUSH, EMYS_OP_POP,
	/* strings, from here to the end */
	EMYS_OP_STOS, EMYS_OP_LODS, EMYS_OP_MOVS, EMYS_OP_SCAS, EMYS_OP_CMPS,
	EMYS_OP_INS, EMYS_OP_OUTS,
	EMYS_OP_NR
};

#define EMYS_INSN_NO_REG	0xff

/**
 * struct emys_insn_mem - how the address of a memory operand is computed
 * @seg: the segment; in 64-bit mode its base counts only for FS and GS
 * @base: register, or EMYS_INSN_NO_REG
 * @index: register, or EMYS_INSN_NO_REG
 * @scale: 1, 2, 4 or 8
 * @rip_relative: @disp counts from the end of the instruction
 * @stack: the top of the stack: the address size is the stack's. PUSH has -size
 *	in @disp, for RSP moves first.
 * @disp: displacement or absolute offset, sign-extended
 */
struct emys_insn_mem {
	u8 seg;
	u8 base;
	u8 index;
	u8 scale;
	bool rip_relative;
	bool stack;
	s64 disp;
};

/**
 * struct emys_insn - a decoded instruction
 * @op: what it does
 * @mode: how it was decoded
 * @length: bytes, 1..15
 * @size: of a memory access in bytes: 1, 2, 4, 8 or 16
 * @addr_size: 2, 4 or 8
 * @reads: bit i: memory operand i is read
 * @write: memory operand 0 is written (after the read, if both)
 * @to_reg: the register is the first operand, memory the second (so it is the
 *	destination, but for CMP); without, it is the other way round
 * @lock: LOCK prefix, or XCHG: read and write are one atomic access
 * @rep: string instruction with a repeat prefix
 * @repne: that prefix is F2 (matters to SCAS and CMPS)
 * @has_imm: the other operand is @imm, not a register. IMUL into a register
 *	multiplies memory by it; SHLD and SHRD have the register as well, and
 *	take the count from @imm instead of CL.
 * @vec: @reg is an XMM register
 * @reg_high: @reg is AH, CH, DH or BH (named 0..3)
 * @reg: register operand
 * @reg_size: its bytes; unlike @size for MOVZX and MOVSX
 * @cond: condition code of SETcc and CMOVcc
 * @imm: immediate operand, sign-extended
 * @mem: memory operands. One for most; 0 is the one that is written. PUSH of
 *	memory 0 = stack, 1 = source; POP into memory 0 = destination,
 *	1 = stack; other PUSH and POP 0 = stack. Strings: STOS, SCAS and INS 0 = ES:rDI;
 *	LODS and OUTS 0 = seg:rSI; MOVS and CMPS 0 = ES:rDI, 1 = seg:rSI.
 *	INS writes operand 0 with what it reads from a port, OUTS the reverse.
 */
struct emys_insn {
	u8 op;
	u8 mode;
	u8 length;
	u8 size;
	u8 addr_size;
	u8 reads;
	bool write;
	bool to_reg;
	bool lock;
	bool rep;
	bool repne;
	bool has_imm;
	bool vec;
	bool reg_high;
	u8 reg;
	u8 reg_size;
	u8 cond;
	s64 imm;
	struct emys_insn_mem mem[2];
};

/**
 * struct emys_insn_cpu - the part of a CPU's state that instructions use
 * @gpr: general-purpose registers
 * @rip: of the instruction; where not 64-bit, the upper half is 0
 * @rflags: RFLAGS
 * @ss_big: SS.B: the stack is addressed by ESP, not SP. Unused in 64-bit mode,
 *	where it is RSP. Never changed.
 */
struct emys_insn_cpu {
	u64 gpr[16];
	u64 rip;
	u64 rflags;
	bool ss_big;
};

/**
 * struct emys_insn_result - what an instruction, or one element, does
 * @cpu: all registers afterwards, RIP and RFLAGS included
 * @write: put @out into memory operand 0 (OUTS: into the port)
 * @out: value to write, insn.size bytes; [1] is the upper half of 16 bytes
 * @vec_write: put @vec into XMM register insn.reg, bits 127:0; the bits above
 *	stay as they are
 * @vec: its new value
 * @again: more elements follow: @cpu.rip is still the instruction's
 * @divide_error: DIV or IDIV raises #DE; @cpu is as before the instruction
 */
struct emys_insn_result {
	struct emys_insn_cpu cpu;
	bool write;
	bool vec_write;
	bool again;
	bool divide_error;
	u64 out[2];
	u64 vec[2];
};

/**
 * emys_insn_decode() - decode one instruction that accesses memory
 * @bytes: instruction bytes; exactly @n may be read, 0..15 (more is ignored)
 *
 * Return: 0, or
 * -ENODATA	the instruction goes on after @n bytes: fetch more (it may cross a
 *		page) and call again; never returned when @n is 15 or more
 * -EOPNOTSUPP	an instruction outside this set, or one without a memory operand:
 *		the caller reports an emulation failure
 * -EINVAL	the CPU would raise #UD: LOCK where it is not allowed, an encoding
 *		that does not exist
 * -E2BIG	longer than 15 bytes: the CPU would raise #GP(0)
 * On error *@insn is undefined.
 */
int emys_insn_decode(struct emys_insn *insn, const u8 *bytes, unsigned int n,
		     enum emys_insn_mode mode);

/**
 * emys_insn_offset() - effective address of memory operand @i, 0 or 1
 * @cpu: state before the instruction (RIP: of the instruction)
 *
 * The offset inside the segment, cut to the address size, or the stack's. A bit
 * test with a register bit number reaches beyond its operand; that is included.
 * So is the manual's rule that POP into memory addresses with the new RSP.
 */
u64 emys_insn_offset(const struct emys_insn *insn,
		     const struct emys_insn_cpu *cpu, int i);

/**
 * emys_insn_left() - elements that a string instruction still has to do
 *
 * 1 for all that have no repeat prefix. 0 only for a repeated string with a
 * count of 0: then no memory may be touched; emys_insn_execute() steps over it.
 */
u64 emys_insn_left(const struct emys_insn *insn,
		   const struct emys_insn_cpu *cpu);

/**
 * emys_insn_execute() - compute what the instruction does
 * @in: values read: [i] is memory operand i for each bit of insn.reads (INS:
 *	[0] is the port's value); for 16 bytes [1] is the upper half of operand
 *	0. Bits above insn.size are ignored.
 * @vec: value of XMM register insn.reg when insn.vec and insn.write; else unused,
 *	may be NULL
 *
 * Flags that the manual leaves undefined: AF after AND, OR, XOR, TEST, shifts
 * and multiplications is cleared; OF after shifts and rotates by more than 1 is
 * as by 1, CF after shifts by more than the size the last bit out; SF and PF
 * after multiplications are those of the lower half of the product, ZF is
 * cleared; others keep their value. Intel's CPUs do the same. The interrupt
 * shadow, RF and single step are the caller's. May not fail: every insn from
 * emys_insn_decode() is fine.
 */
void emys_insn_execute(const struct emys_insn *insn,
		       const struct emys_insn_cpu *cpu, const u64 in[2],
		       const u64 vec[2], struct emys_insn_result *result);

#endif
