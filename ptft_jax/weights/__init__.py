"""The shipped pretrained networks and the script that made them."""
