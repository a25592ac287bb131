"""What this process does on this machine: files, locks, checkpoints, the device, memory, signals, progress."""
