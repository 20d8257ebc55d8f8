"""The tasks that sweeps know by name, one file each."""
