"""Parts of encoders that read an image patch by patch."""
