"""Lyapunov exponents of any one-step map, and what follows from them; tensors alone, one file for each idea."""
