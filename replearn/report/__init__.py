"""Reports of encoders and comparisons: one HTML file each, which opens from disk.

`build` makes a report of a folder.  `encoder_files` and `comparison_files` load what is in it,
`encoder` and `comparison` decide what is shown, `figures` draws and `page` lays out.
"""
