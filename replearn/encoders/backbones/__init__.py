"""Networks that others have trained, of several libraries: one file for each library."""
