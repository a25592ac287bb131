"""Gradient Flossing (Engelken 2023, arXiv 2312.17306), figure by figure."""
