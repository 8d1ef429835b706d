"""What the library is worth and what it costs: programs to run, no part of the library."""
