"""Where raw records come from: discovery, unpacking, rows. Digests what it reads; never cleans, splits or tokenises."""
