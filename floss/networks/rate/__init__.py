"""Rate networks h' = W φ(h) + V x / S + b: their time loop, spectra and gradients in closed form."""
