"""The commands: one file for each `floss COMMAND`."""
