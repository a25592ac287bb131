"""Hydra configuration of the `floss` commands; installed as the package `floss.conf`."""
