"""How every benchmark measures: facts of the machine, turns and their medians, answers that are compared before."""
