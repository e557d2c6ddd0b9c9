"""What a store keeps and why, and removing the rest, with a receipt."""
