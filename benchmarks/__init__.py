"""How fast minirnn is, beside PyTorch and beside a plain textbook implementation.

Run from the root of the repository: ``python -m benchmarks --help``. Each sub-command is a module with
``add_arguments(parser)`` and ``run(options)``; the first line of its docstring is its help.
"""

from minirnn.kernels.in_place.memory import keep_freed_memory

keep_freed_memory()  # in every process of a measurement, for all sides
