#include "board.h"
#include "runtime.h"

int main(void)
{
    const uint32_t code = run_network();
    write_register(DEVICES_BASE + DEVICE_EXIT, code);
    return (int)code;
}
