"""What a command line asks for, checked: every key, what it means, and which values go together."""
