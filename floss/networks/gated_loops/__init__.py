"""Gated cells in closed form: their time loop, and the gradients of the task and of their exponents by hand."""
