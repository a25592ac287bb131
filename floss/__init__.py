"""floss: Lyapunov exponents of recurrent networks, seen and controlled (Engelken 2023, arXiv 2312.17306)."""
