"""A product of cuBLAS and one kernel for each step."""
