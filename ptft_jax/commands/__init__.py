"""What each command of `ptft` does, once its arguments are read."""
