"""Models that judge slices on this machine, each in a worker process (docs/moderation.md).

    supplier ──▶ workers ──▶ a process: judge ──▶ pictures │ speech ──▶ word_lists

The supplier lives on the loop and knows no model; the process has the models and knows no loop.
"""
