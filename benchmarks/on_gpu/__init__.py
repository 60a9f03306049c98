"""What the GPU benchmarks are made of: cases of the ops with their peers, networks, the cohort and the script of today.

The commands stand above: bench_gpu_ops.py, bench_gpu_engines.py, bench_gpu_cohort.py.
"""
