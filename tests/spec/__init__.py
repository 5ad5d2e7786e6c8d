"""One file for each chapter of the specification.  The docstring of a test says which requirement
it proves; coverage.py turns them into COVERAGE.md."""
