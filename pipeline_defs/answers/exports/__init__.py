"""What the store knows of a node, in the files other tools read."""
