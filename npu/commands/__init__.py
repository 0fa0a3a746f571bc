"""One module per command of `npu`. They import what is slow to import only when they run."""
