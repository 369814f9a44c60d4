"""One kernel for all steps, which keeps W on chip."""
