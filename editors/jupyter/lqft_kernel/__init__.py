"""Jupyter kernel of lqft: `python -m lqft_kernel install`."""
