"""How fast minirnn is, beside PyTorch and beside a plain textbook implementation.

Run from the root of the repository: ``python -m benchmarks --help``. Each sub-command is a module with
``add_arguments(parser)`` and ``run(options)``; the first line of its docstring is its help.
"""
