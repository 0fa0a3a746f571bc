"""What the hardware costs: synthesis, place and route, area and clock of each block.

`commands -> synth -> rtl, sim`: nothing here knows networks, compilers or simulators' backends.
"""
