"""A page about a run: figures from its record, and one HTML file that needs nothing else."""
