"""Small firmware for tests of the SoC itself."""

import struct
from pathlib import Path

from sim.soc.cores import CORES
from sim.soc.firmware.headers import headers
from sim.soc.firmware_build import Firmware, build_firmware

_ALIGNMENT = 64

_COMMON = """
#include <stdint.h>
#include "memory_map.h"
#include "npu_registers.h"
#define WORD(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define mark(value) (WORD(DEVICES_BASE + DEVICE_PHASE) = (value))
"""

HELLO = """
static const char text[] = "hello\\n";
uint32_t initialized = 7, zeroed;
int main(void) {
    for (const char *c = text; *c; c++) WORD(DEVICES_BASE + DEVICE_CONSOLE) = (uint32_t)*c;
    mark(WORD(DEVICES_BASE + DEVICE_WAIT_STATES));
    WORD(ARENA_BASE) = initialized + zeroed;
    WORD(ARENA_BASE + 4) = WORD(IMAGE_BASE);
    return 3;
}
"""

ARITHMETIC = """
volatile int32_t operands[8] = {1, -1, 123456789, -987654321, 0x7fffffff, -0x7fffffff - 1, 17, -3};
int main(void) {
    uint32_t address = ARENA_BASE;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            const int32_t a = operands[i], b = operands[j];
            const int64_t product = (int64_t)a * b;
            const uint32_t values[8] = {
                (uint32_t)product, (uint32_t)(product >> 32),
                (uint32_t)(((uint64_t)(uint32_t)a * (uint32_t)b) >> 32),
                b == -1 ? 0u : (uint32_t)(a / b), b == -1 ? 0u : (uint32_t)(a % b),
                (uint32_t)a / (uint32_t)b, (uint32_t)(a >> (b & 31)), (uint32_t)(a < b)};
            for (int k = 0; k < 8; k++, address += 4) WORD(address) = values[k];
        }
    return 0;
}
"""

MEMORY_WALK = """
int main(void) {
    uint32_t sum = 0;
    mark(1);
    for (uint32_t i = 0; i < 4096; i += 4) sum += WORD(IMAGE_BASE + i);
    mark(2);
    for (uint32_t i = 0; i < 16384; i += 64) WORD(ARENA_BASE + i) = sum;
    mark(3);
    return 0;
}
"""

BYTES = """
int main(void) {
    volatile uint8_t *bytes = (volatile uint8_t *)(uintptr_t)ARENA_BASE;
    volatile uint16_t *halves = (volatile uint16_t *)(uintptr_t)(ARENA_BASE + 16);
    for (int i = 0; i < 16; i++) bytes[i] = (uint8_t)(i * 17);
    for (int i = 0; i < 8; i++) halves[i] = (uint16_t)(i * 4097);
    return 0;
}
"""

ILLEGAL_INSTRUCTION = 'int main(void) { __asm__ volatile(".word 0"); return 0; }'
WRITE_TO_IMAGE = "int main(void) { WORD(IMAGE_BASE + 64) = 1; return 0; }"
READ_NOWHERE = "int main(void) { return (int)WORD(0x40000000); }"
READ_NPU = "int main(void) { return (int)WORD(NPU_BASE); }"
HANG = "int main(void) { mark(9); for (;;) ; }"

NPU_PROGRAM = """
volatile uint32_t interrupts;
void handle_interrupt(void);
void handle_interrupt(void) {
    WORD(NPU_BASE + NPU_CONTROL) = NPU_CONTROL_CLEAR_IRQ;
    while (WORD(NPU_BASE + NPU_STATUS) & 8) ;
    interrupts++;
}
int main(void) {
    const volatile uint32_t *header = (const volatile uint32_t *)(uintptr_t)IMAGE_BASE;
    const volatile uint32_t *initial = header + header[4] / 4;
    volatile uint32_t *arena = (volatile uint32_t *)(uintptr_t)ARENA_BASE;
    const uint32_t words = (header[5] + 3) / 4;
    for (uint32_t i = 0; i < words; i++) arena[i] = initial[i];
    WORD(NPU_BASE + NPU_COMMAND_BASE) = IMAGE_BASE + header[0];
    WORD(NPU_BASE + NPU_COMMAND_BYTES) = header[1];
    WORD(NPU_BASE + NPU_REGION_BASE_CONSTANTS) = IMAGE_BASE + header[2];
    WORD(NPU_BASE + NPU_REGION_SIZE_CONSTANTS) = header[3];
    WORD(NPU_BASE + NPU_REGION_BASE_ARENA) = ARENA_BASE;
    WORD(NPU_BASE + NPU_REGION_SIZE_ARENA) = header[5];
    WORD(NPU_BASE + NPU_IRQ_ENABLE) = 1;
    __asm__ volatile(".insn i 0x73, 6, x0, x8, 0x300");  /* csrsi mstatus, MIE */
    mark(1);
    WORD(NPU_BASE + NPU_CONTROL) = NPU_CONTROL_START;
    /* the core keeps reading the arena, so that both use the memory at once */
    for (uint32_t i = 0; !interrupts; i = i + 16 < words ? i + 16 : 0) (void)arena[i];
    mark(2);
    return (int)(WORD(NPU_BASE + NPU_STATUS) | interrupts << 8);
}
"""


def compile_program(core: str, text: str, folder: Path) -> Firmware:
    """Firmware of one C file, for a core by name."""
    source = folder / "program.c"
    source.write_text(_COMMON + text, encoding="utf-8")
    return build_firmware(CORES[core], [source], generated=headers(with_npu=True))


def npu_image(*pieces: bytes) -> bytes:
    """The image for `NPU_PROGRAM`: commands, constants and the arena's initial contents behind a
    table of their offsets and sizes."""
    words: list[int] = []
    content = b""
    for piece in pieces:
        words += [_ALIGNMENT + len(content), len(piece)]
        content += piece + bytes(-len(piece) % _ALIGNMENT)
    header = struct.pack(f"<{len(words)}I", *words)
    return header.ljust(_ALIGNMENT, b"\0") + content
