"""The pure core: no clock, randomness, I/O, SQL or web in here. `now`, keys and salts are arguments."""
