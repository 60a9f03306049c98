"""The tables of benchmarks/README.md and the README's sentences, from the results files; page.py puts them there."""
