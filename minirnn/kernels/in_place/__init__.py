"""The loop over time on NumPy, with one product a step and no new arrays."""
