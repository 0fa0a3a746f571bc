/* The bench SoC's firmware as a process of the machine that the tests run on.
 *
 * usage: native_board IMAGE_FILE RAM_FILE CONFIG_ID
 *
 * Image and RAM are files, mapped to the addresses that they have in the SoC. When the firmware
 * starts the NPU, its registers go to standard output as one line of numbers, and a line
 * "STATUS CYCLES" is expected on standard input once the program has run on the RAM file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory_map.h"
#include "npu_registers.h"

int firmware_main(void);
uint32_t read_register(uint32_t address);
void write_register(uint32_t address, uint32_t value);

#define RAM_BASE RESULTS_BASE
#define NPU_WORDS 256

static uint32_t cycles;
static uint32_t exit_code;
static uint32_t npu[NPU_WORDS];

static void fail(const char *what)
{
    perror(what);
    exit(99);
}

static void map_file(const char *path, uint32_t address, int protection)
{
    struct stat status;
    const int file = open(path, protection & PROT_WRITE ? O_RDWR : O_RDONLY);

    if (file < 0 || fstat(file, &status) != 0)
        fail(path);
    void *wanted = (void *)(uintptr_t)address;
    if (mmap(wanted, (size_t)status.st_size, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, file,
             0) != wanted)
        fail("mmap");
    close(file);
}

static void run_npu_program(void)
{
    unsigned status, npu_cycles;

    printf("%u %u %u %u %u %u\n", npu[NPU_COMMAND_BASE / 4], npu[NPU_COMMAND_BYTES / 4],
           npu[NPU_REGION_BASE_CONSTANTS / 4], npu[NPU_REGION_SIZE_CONSTANTS / 4],
           npu[NPU_REGION_BASE_ARENA / 4], npu[NPU_REGION_SIZE_ARENA / 4]);
    fflush(stdout);
    if (scanf("%u %u", &status, &npu_cycles) != 2)
        fail("standard input");
    npu[NPU_STATUS / 4] = status;
    npu[NPU_EVENT_CYCLES / 4] = npu_cycles;
}

uint32_t read_register(uint32_t address)
{
    if (address == DEVICES_BASE + DEVICE_CYCLES_LOW)
        return ++cycles;
    if (address >= NPU_BASE && address < NPU_BASE + 4 * NPU_WORDS)
        return npu[(address - NPU_BASE) / 4];
    return 0;
}

void write_register(uint32_t address, uint32_t value)
{
    if (address == DEVICES_BASE + DEVICE_EXIT)
        exit_code = value;
    if (address < NPU_BASE || address >= NPU_BASE + 4 * NPU_WORDS)
        return;
    npu[(address - NPU_BASE) / 4] = value;
    if (address == NPU_BASE + NPU_CONTROL && (value & NPU_CONTROL_START) != 0)
        run_npu_program();
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 98;
    npu[NPU_ID / 4] = NPU_ID_VALUE;
    npu[NPU_CONFIG_ID / 4] = (uint32_t)strtoul(argv[3], NULL, 10);
    map_file(argv[1], IMAGE_BASE, PROT_READ);
    map_file(argv[2], RAM_BASE, PROT_READ | PROT_WRITE);
    firmware_main();
    return (int)exit_code;
}
