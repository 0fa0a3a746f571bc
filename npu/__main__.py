"""`python -m npu`: the command line, where the command `npu` is not on the `PATH`."""

from npu.cli import main

main()
