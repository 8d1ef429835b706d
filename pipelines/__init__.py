"""The stages, one file each: options, one library call, a report."""
