"""The loop over time on CUDA: kernels in C++, and what launches them."""
