"""What a configuration costs: area, clock and energy, by fits over synthesized blocks."""
