"""The page that shows every figure beside its claims."""
