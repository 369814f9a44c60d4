"""The loop over time compiled by Numba, with products of its own."""
