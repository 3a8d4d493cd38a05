"""The core: what to cut, when, for whom. Synchronous, without I/O and without a clock."""
