/* From reset to main. The NPU's interrupt is enabled but not taken (mstatus.MIE stays 0): it ends
 * `wfi`. Firmware that wants it taken sets MIE and defines `handle_interrupt`. */
    .option arch, +zicsr

    .equ DEVICES, 0x80000000
    .equ DEVICE_EXIT, 0x04
    .equ DEVICE_TRAP, 0x18
    .equ EXIT_TRAP, 0x40
    .equ MIE_EXTERNAL, 1 << 11
    .equ VEXRISCV_INTERRUPT_MASK, 0xBC0

    .section .text.start, "ax"
    .globl _start
_start:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, __stack_top
    la t0, trap
    csrw mtvec, t0
    li t0, MIE_EXTERNAL
    csrw mie, t0
#ifdef CORE_VEXRISCV
    li t0, 1
    csrw VEXRISCV_INTERRUPT_MASK, t0
#endif
    la a0, __data_start
    la a1, __data_end
    la a2, __data_load
1:  bgeu a0, a1, 2f
    lw t0, 0(a2)
    sw t0, 0(a0)
    addi a0, a0, 4
    addi a2, a2, 4
    j 1b
2:  la a0, __bss_start
    la a1, __bss_end
3:  bgeu a0, a1, 4f
    sw zero, 0(a0)
    addi a0, a0, 4
    j 3b
4:  call main
    li t0, DEVICES
    sw a0, DEVICE_EXIT(t0)
5:  j 5b

    .weak handle_interrupt
    /* mtvec's low bits are its mode; CV32E40P wants 256 bytes */
    .balign 256
trap:
    addi sp, sp, -80
    sw ra, 0(sp)
    sw t0, 4(sp)
    sw t1, 8(sp)
    sw t2, 12(sp)
    sw t3, 16(sp)
    sw t4, 20(sp)
    sw t5, 24(sp)
    sw t6, 28(sp)
    sw a0, 32(sp)
    sw a1, 36(sp)
    sw a2, 40(sp)
    sw a3, 44(sp)
    sw a4, 48(sp)
    sw a5, 52(sp)
    sw a6, 56(sp)
    sw a7, 60(sp)
    csrr a0, mcause
    la t0, handle_interrupt
    bgez a0, 6f
    beqz t0, 6f
    jalr t0
    lw ra, 0(sp)
    lw t0, 4(sp)
    lw t1, 8(sp)
    lw t2, 12(sp)
    lw t3, 16(sp)
    lw t4, 20(sp)
    lw t5, 24(sp)
    lw t6, 28(sp)
    lw a0, 32(sp)
    lw a1, 36(sp)
    lw a2, 40(sp)
    lw a3, 44(sp)
    lw a4, 48(sp)
    lw a5, 52(sp)
    lw a6, 56(sp)
    lw a7, 60(sp)
    addi sp, sp, 80
    mret
    /* an exception, or an interrupt that nobody handles, ends the run: with mtvec at 0 it would
     * start the firmware again, for ever */
6:  csrr t1, mepc
    li t0, DEVICES
    sw t1, DEVICE_TRAP(t0)
    andi a0, a0, 0x1f
    addi a0, a0, EXIT_TRAP
    sw a0, DEVICE_EXIT(t0)
7:  j 7b
