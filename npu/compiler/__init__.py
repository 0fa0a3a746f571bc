"""From a graph to programs: partition, lowering, scheduling, allocation, command emission."""
