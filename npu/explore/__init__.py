"""Design-space exploration: many configurations through the compiler and the cycle model."""
