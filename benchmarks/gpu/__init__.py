"""Everything that a GPU changes, checked and measured by one command."""
