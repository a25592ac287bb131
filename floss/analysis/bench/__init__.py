"""Measurements of the hot loops beside what a user would write instead."""
